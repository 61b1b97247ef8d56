"""How a simulated partner behaves, and misbehaves: seeded, so that the same payments meet the same fate."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from contracts.payment import PaymentReport, ReportStatus
from contracts.topics import Topic
from contracts.wire import event_id

Share = Annotated[float, Field(ge=0, le=1)]
AMOUNT_OFF_RIEL = 100
T = TypeVar("T")


class Behaviour(BaseModel):
    """Shares (0 to 1) that meet a fate, and seconds; all but `fail` is off at first.

    One vocabulary for partners on Kafka, on HTTP and banks; which of them heed a word stands in
    docs/partners.md. Of payments: `fail`; `expire` (nobody collected in time); `relent` (of those that
    failed: settled after all, `relent_after_s` later; an answer that one failed binds it); `forget` (answers
    that it never heard of one it has).
    Of reports: `drop` (never sent, so that it looks like a timeout after accepting), `twice`, `late` (after
    what followed it), `wrong_amount` (with another amount), `unknown` (one more, about a payment that nobody
    made). Of files and calls: `partial` (of the payments in one, this share is not spoken of), `cut` (the
    answer breaks off), `refuse` (rejected whole). It settles after `settle_after_s`, and is down for
    `down_s` of every `down_every_s`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    fail: Share = 0.01
    expire: Share = 0.0
    relent: Share = 0.0
    relent_after_s: float = 5.0
    forget: Share = 0.0
    drop: Share = 0.0
    twice: Share = 0.0
    late: Share = 0.0
    wrong_amount: Share = 0.0
    unknown: Share = 0.0
    partial: Share = 0.0
    cut: Share = 0.0
    refuse: Share = 0.0
    settle_after_s: float = 0.0
    down_s: float = 0.0
    down_every_s: float = 30.0

    def picks(self, share: float, what: str) -> bool:
        """Whether this one is among the share; the same seed picks the same ones for ever."""
        if share <= 0:
            return False
        digest = blake2b(f"{self.seed}/{what}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < share * 2**64

    def ends(self, payment_id: str) -> tuple[ReportStatus, str | None]:
        """How a payment ends at first, with its reason code."""
        if self.picks(self.fail, f"fail/{payment_id}"):
            return ReportStatus.FAILED, "account-closed"
        if self.picks(self.expire, f"expire/{payment_id}"):
            return ReportStatus.EXPIRED, "not-collected"
        return ReportStatus.SETTLED, None

    def relents(self, payment_id: str) -> bool:
        """Whether one that failed is settled after all."""
        return self.picks(self.relent, f"relent/{payment_id}")

    def forgets(self, payment_id: str) -> bool:
        """Whether an inquiry about it is answered by `not_found`."""
        return self.picks(self.forget, f"forget/{payment_id}")

    def is_down(self, at: float) -> bool:
        """Whether it is down at a time, in seconds since the epoch."""
        return self.down_s > 0 and at % self.down_every_s < self.down_s

    def garbled(self, about: Sequence[T], name: Callable[[T], str]) -> list[T]:
        """What a file or call says of these, in its order: some left out, some twice, some at the end."""
        said: list[T] = []
        late: list[T] = []
        for each in about:
            named = name(each)
            if not self.picks(self.partial, f"partial/{named}"):
                times = 2 if self.picks(self.twice, f"twice/{named}") else 1
                (late if self.picks(self.late, f"late/{named}") else said).extend([each] * times)
        return said + late

    def breaks_off(self, content: bytes, name: str) -> bytes:
        """An answer as it arrives: whole, or half of it."""
        return content[: len(content) // 2] if self.picks(self.cut, f"cut/{name}") else content

    def besides(self, report: PaymentReport, topic: Topic) -> Sequence[PaymentReport]:
        """What it says wrongly beside a report, before it."""
        found = []
        if self.picks(self.wrong_amount, f"amount/{report.report_id}"):
            off = {
                "report_id": event_id(topic, report.report_id, "off"),
                "amount": report.amount + AMOUNT_OFF_RIEL,
            }
            found.append(report.model_copy(update=off))
        if self.picks(self.unknown, f"unknown/{report.report_id}"):
            made_up = event_id(topic, report.report_id, "made-up")
            found.append(report.model_copy(update={"report_id": made_up, "payment_id": made_up}))
        return found
