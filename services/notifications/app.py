"""Notifications as a process: settings in, everything wired."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from prometheus_client import Counter
from pydantic import SecretStr

from contracts import topics, wire
from contracts.household import HouseholdKey
from contracts.payment import PaymentIssued
from postbox.message import Subscription
from postbox.service import Job, Service, ServiceSettings, run
from services.notifications import api, handlers, wording
from services.notifications.gateways.kannel import Kannel
from services.notifications.sending import Limits, Sender
from vault import keyring
from vault.master import MasterKey

FOLDER = Path(__file__).parent
MIGRATIONS: Sequence[Path] = (keyring.MIGRATIONS, FOLDER / "migrations")


class Settings(ServiceSettings):
    """`TONLE_…` environment variables of notifications.

    `gateway_report_url`: where delivery reports shall go, with `{sms_id}` in it. `sms_lease_s` must be well
    above the time-out: twice the time that a chunk may take at most.
    """

    gateway_url: str
    gateway_user: str
    gateway_password: SecretStr
    gateway_report_url: str | None = None
    sms_sender: str
    sms_in_flight: int = 64
    sms_chunk: int = 256
    sms_timeout_s: float = 10.0
    sms_lease_s: float = 60.0
    sms_senders: int = 2
    collect_days: int = 30


def template_files() -> dict[str, str]:
    """The templates as they are shipped: file name -> content."""
    return {path.name: path.read_text() for path in sorted((FOLDER / "templates").glob("*.yaml"))}


def service(settings: Settings) -> Service:
    """The service, ready to run. Raises `TemplateRefused` and `MasterKeyUnusable` before it starts."""
    assert settings.master_key_file is not None, "set TONLE_MASTER_KEY_FILE"
    master = MasterKey.from_file(settings.master_key_file)
    gateway = Kannel(
        settings.gateway_url,
        settings.gateway_user,
        settings.gateway_password.get_secret_value(),
        settings.sms_sender,
        timeout_s=settings.sms_timeout_s,
        report_url=settings.gateway_report_url,
    )
    limits = Limits(settings.sms_chunk, settings.sms_in_flight, settings.sms_lease_s)
    words = wording.load(template_files())
    outcomes = Counter("notifications_sms", "What became of SMS", ["outcome"], registry=None)
    sender = Sender(gateway, words, master, f"sender-{uuid4()}", limits, lambda: datetime.now(UTC), outcomes)
    built = Service(
        "notifications",
        settings,
        subscriptions=(
            Subscription(
                topics.HOUSEHOLD_KEY.name,
                partial(wire.decode, HouseholdKey),
                handlers.keep_keys,
                HouseholdKey,
                compacted=True,
            ),
            Subscription(
                topics.PAYMENT_ISSUED.name,
                partial(wire.decode, PaymentIssued),
                partial(handlers.tell_payment, master, settings.collect_days),
                PaymentIssued,
            ),
        ),
        router=api.router,
        jobs=(
            *(Job(f"sender-{number}", sender.run, 0.1) for number in range(settings.sms_senders)),
            Job("give-up-lost", sender.give_up_lost, min(5.0, settings.sms_lease_s / 4)),
        ),
        migrations=MIGRATIONS,
    )
    built.metrics.registry.register(outcomes)
    return built


if __name__ == "__main__":
    run(service(Settings()))
