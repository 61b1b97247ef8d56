"""Which gateway SMS leave through, and how: a part of the settings, and the gateway it describes."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from services.notifications.gateways.inbound import Receive
from services.notifications.gateways.intake import Intake
from services.notifications.gateways.kannel import Kannel
from services.notifications.gateways.outcome import Gateway
from services.notifications.gateways.smpp import Smpp
from services.notifications.gateways.smpp_link import Account, Line
from services.notifications.sending import Limits

LEASE_TIMEOUTS = 6


class GatewayOptions(BaseModel):
    """`TONLE_GATEWAY_…`: the address and login of the gateway, and what it is asked to tell afterwards.

    `gateway_url`: of Kannel's smsbox, `http://…`; by SMPP `smpp://host:2775`, or `smpps://…` by TLS.
    `smpp_window`: requests without an answer at once. `smpp_long`: how a long text travels.
    `smpp_bind`: one connection for both directions, or `separate` ones to send and to hear.
    `gateway_report_url`: where Kannel shall send receipts, with `{sms_id}` in it and Kannel's `%d`.
    `gateway_callback_secret_file`: what callers of `/gateway/…` must know; without it nobody is let in.
    `receipt_window_s`: how long a receipt is awaited before an SMS is `unknown`.
    `receipts_every_s`: how often it is looked for receipts that are overdue, and for the SMS of early ones.
    `sms_rates`: segments a second that an operator takes, as JSON, `{"smart": 50}`; others are not limited.
    `resend_unknown`: templates whose SMS may be sent once more when the window has passed and nobody learned
    whether the gateway took the first; none by default.
    """

    gateway_kind: Literal["kannel", "smpp"] = "kannel"
    gateway_url: str
    gateway_user: str
    gateway_password_file: Path
    gateway_report_url: str | None = None
    gateway_callback_secret_file: Path | None = None
    smpp_window: int = 32
    smpp_long: Literal["segments", "payload"] = "segments"
    smpp_bind: Literal["transceiver", "separate"] = "transceiver"
    receipt_window_s: float = 86_400.0
    receipts_every_s: float = 5.0
    resend_unknown: tuple[str, ...] = ()
    sms_rates: dict[str, float] = {}
    sms_sender: str
    sms_timeout_s: float = 10.0
    sms_in_flight: int = 64
    sms_chunk: int = 512

    @property
    def limits(self) -> Limits:
        """How much is sent at once, and how long a claim holds: half of it to begin requests, two time-outs
        for the last, one to spare."""
        lease_s = LEASE_TIMEOUTS * self.sms_timeout_s
        return Limits(self.sms_chunk, self.sms_in_flight, lease_s, self.awaits_receipts_s, self.sms_rates)

    @property
    def callback_secret(self) -> str | None:
        """The shared secret, where a gateway may call."""
        file = self.gateway_callback_secret_file
        return file.read_text().strip() if file else None

    @property
    def awaits_receipts_s(self) -> float | None:
        """How long receipts are awaited; None where the gateway is asked for none."""
        return self.receipt_window_s if self.gateway_kind == "smpp" or self.gateway_report_url else None

    def gateway(self, intake: Intake, receive: Receive | None) -> Gateway:
        """The gateway these settings describe; what it tells by itself goes to `intake` and `receive`."""
        password = self.gateway_password_file.read_text().strip()
        if self.gateway_kind == "smpp":
            account = Account(self.gateway_url, self.gateway_user, password, self.sms_sender)
            line = Line(
                self.smpp_window,
                self.sms_timeout_s,
                in_payload=self.smpp_long == "payload",
                separate=self.smpp_bind == "separate",
            )
            return Smpp(account, line, intake.keep, receive, intake.count)
        return Kannel(
            self.gateway_url,
            self.gateway_user,
            password,
            self.sms_sender,
            timeout_s=self.sms_timeout_s,
            report_url=self.gateway_report_url,
        )
