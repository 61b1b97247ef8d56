"""How often what failed is tried again, and how fast an overpayment is recovered: a part of the settings."""

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, Field

from services.payments import screening
from services.payments.approval import Thresholds
from services.payments.attempts import Retrying
from services.payments.reconciliation import Limits
from services.payments.screening import Screen


class PolicyOptions(BaseModel):
    """What failed is issued again after `reissue_after_s`; `attempts_most` in all, unless a person asks.

    `recover_percent`: how much of a household's next payment an earlier overpayment may take at most.
    `approvers`: riel from which two, and three, people approve a payroll, or an envelope that is paid from
    as decisions come.
    `confirm_payees`: a household that would be paid to another name, telephone or account than last waits
    until a person has confirmed it.
    `screening_list`: a CSV file of names nobody is paid under unless a person has looked (columns id, name,
    aliases); `screening_score`: how alike a name must be, 100 being the same. It needs the extra `screening`.
    `late_…_days`: after so many days in Phnom Penh reconciliation says that a step is late.
    """

    reissue_after_s: float = Field(default=86_400, gt=0)
    attempts_most: int = Field(default=3, ge=1)
    recover_percent: int = Field(default=20, ge=0, lt=100)
    approvers: Thresholds = Thresholds(two=1_000_000_000, three=40_000_000_000)
    confirm_payees: bool = True
    screening_list: Path | None = None
    screening_score: int = Field(default=90, ge=50, le=100)
    late_acknowledgement_days: int = Field(default=1, ge=0)
    late_settlement_days: int = Field(default=31, ge=0)
    late_statement_days: int = Field(default=2, ge=0)

    @property
    def limits(self) -> Limits:
        """How many days each step may take."""
        return Limits(self.late_acknowledgement_days, self.late_settlement_days, self.late_statement_days)

    @property
    def screen(self) -> Screen | None:
        """The list as it was read. Raises `ListRefused`, or `OSError` where it can't be read."""
        if self.screening_list is None:
            return None
        return screening.read(
            self.screening_list.read_text(encoding="utf-8-sig").splitlines(), self.screening_score
        )

    @property
    def retrying(self) -> Retrying:
        """When another attempt is made unasked."""
        return Retrying(self.attempts_most, timedelta(seconds=self.reissue_after_s))
