"""A decision in words: every refusal that can be given is said in both languages."""

from datetime import date

import pytest

from contracts.household import AreaType, Level
from services.eligibility.app import FOLDER, read_programmes
from services.eligibility.explaining import explain
from services.eligibility.facts import facts_of
from services.eligibility.packages import Judgement, Panel
from services.eligibility.scoring import Occasion
from tests.unit.eligibility.samples import PRESS_CASE, PROGRAMME

SHIPPED = Panel(read_programmes(FOLDER / "programmes"))


def explained(programme_id: str, level: Level, on: date, period: str | None = None) -> tuple[str, str, int]:
    programme = SHIPPED.programmes[programme_id]
    facts = {on: facts_of(PRESS_CASE, level, AreaType.RURAL, "010201", on)}
    (decision,) = SHIPPED.decide([Judgement(programme, Occasion(on, period and "cycle", period))], facts)
    said = explain(programme, decision)
    assert {each.reason for each in said.asked if not each.holds} == set(decision.reasons)
    return said.en, said.km, len(decision.reasons)


def test_what_is_paid_is_said_line_by_line() -> None:
    en, km, _ = explained(PROGRAMME.id, Level.POOR_2, date(2021, 4, 1))
    assert en == (
        "COVID-19 Cash Transfer gives 176,000 riel, judged on 2021-04-01: "
        "80,000 for the household (1 × 80,000), 80,000 for each member (5 × 16,000), "
        "16,000 for each vulnerable member (1 × 16,000)."
    )
    assert "176,000 រៀល" in km


@pytest.mark.parametrize("programme_id", SHIPPED.programmes)
@pytest.mark.parametrize("on", [date(2021, 4, 1), date(2022, 12, 10), date(2026, 1, 1)])
@pytest.mark.parametrize("level", [Level.NONE, Level.POOR_1, Level.AT_RISK])
def test_every_reason_of_a_refusal_is_said_in_words(programme_id: str, on: date, level: Level) -> None:
    en, km, failed = explained(programme_id, level, on, "2022-11")
    assert (" gives nothing, " in en) == bool(failed)
    assert ("មិនផ្តល់ប្រាក់ទេ" in km) == bool(failed)
    if failed:
        assert en.count("; ") == km.count("; ") == failed - 1
