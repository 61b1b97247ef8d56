"""Which steps households are told of, when and in which words: a part of the settings."""

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from services.notifications import wording
from services.notifications.manners import Manners, QuietHours
from services.notifications.steps import STEPS
from services.notifications.telling import Policy
from services.notifications.wording import Wording

SHIPPED = Path(__file__).parent / "templates"


class TellingOptions(BaseModel):
    """`TONLE_SMS_…`: what is told and how.

    `sms_steps`: the steps that are told, separated by commas, or `all`. `sms_registered_from_files`: rows of
    files are told, too, that they are registered. `sms_settling_s`: how long a decision waits before it is
    told. `sms_reminder_days`: so many days before the last it is reminded of money that waits.
    `sms_quiet_hours`: when nobody is disturbed, by the clock of Phnom Penh, or `none`. `sms_western_digits`:
    Khmer SMS have 0–9. `sms_templates`: a folder of templates that take the place of, or join, those shipped.
    `sms_prices_riel`: riel a segment by operator and `default`, as JSON: {"default": 100, "smart": 90}.
    """

    sms_steps: str = "all"
    sms_registered_from_files: bool = False
    sms_settling_s: float = 600.0
    sms_reminder_days: int = 5
    sms_quiet_hours: str = "20:00-07:00"
    sms_western_digits: bool = False
    sms_templates: Path | None = None
    sms_prices_riel: dict[str, int] = {}

    @property
    def policy(self) -> Policy:
        """Which steps are told. Raises `ValueError` for a step there is not."""
        wanted = frozenset(STEPS if self.sms_steps == "all" else self.sms_steps.split(","))
        if unknown := sorted(wanted - STEPS.keys()):
            known = ", ".join(sorted(STEPS))
            raise ValueError(f"TONLE_SMS_STEPS: no step is called {unknown[0]!r}; there are {known}")
        return Policy(wanted, self.sms_registered_from_files, timedelta(seconds=self.sms_settling_s))

    @property
    def manners(self) -> Manners:
        """When nobody is disturbed, and which steps are told. Raises `ValueError`."""
        return Manners(QuietHours.parse(self.sms_quiet_hours), self.policy)

    @property
    def wording(self) -> Wording:
        """The words. Raises `TemplateRefused`."""
        return wording.load(template_files(self.sms_templates), western_digits=self.sms_western_digits)


def template_files(own: Path | None = None) -> dict[str, str]:
    """The templates as they are shipped, and over them those of a folder: file name -> content."""
    folders = [SHIPPED, *([own] if own else [])]
    return {path.name: path.read_text() for folder in folders for path in sorted(folder.glob("*.yaml"))}
