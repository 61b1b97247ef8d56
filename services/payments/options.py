"""How often what failed is tried again, and how fast an overpayment is recovered: a part of the settings."""

from datetime import timedelta

from pydantic import BaseModel, Field

from services.payments.attempts import Retrying
from services.payments.payroll import Thresholds


class PolicyOptions(BaseModel):
    """What failed is issued again after `reissue_after_s`; `attempts_most` in all, unless a person asks.

    `recover_percent`: how much of a household's next payment an earlier overpayment may take at most.
    `approvers`: riel from which two, and three, people approve a payroll.
    """

    reissue_after_s: float = Field(default=86_400, gt=0)
    attempts_most: int = Field(default=3, ge=1)
    recover_percent: int = Field(default=20, ge=0, lt=100)
    approvers: Thresholds = Thresholds(two=1_000_000_000, three=40_000_000_000)

    @property
    def retrying(self) -> Retrying:
        """When another attempt is made unasked."""
        return Retrying(self.attempts_most, timedelta(seconds=self.reissue_after_s))
