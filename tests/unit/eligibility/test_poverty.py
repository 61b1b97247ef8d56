"""How likely a household is poor, as facts: counted where a file asks for them, and nowhere else."""

import pytest

from contracts.household import AreaType, Dwelling, Level, Persons
from contracts.wire import dump
from services.eligibility import grounds, programmes
from services.eligibility.app import FOLDER
from services.eligibility.facts import People
from services.eligibility.grounds import Known
from services.eligibility.library import scorecards
from services.eligibility.packages import Judgement, Panel
from services.eligibility.poverty import LINE, SCORECARD, Poverty, percent
from services.eligibility.programmes import Programme
from services.eligibility.scorecards import LineScore
from services.eligibility.scoring import Occasion
from services.eligibility.structs import read
from tests.unit.eligibility.samples import FILE, JUNE, Sealer, member, persons

PPI = scorecards(FOLDER / "scorecards")[SCORECARD]
THATCH = persons(*[member()] * 6).model_copy(update={"dwelling": Dwelling(walls="thatch", floor="earth")})
OWNERS = persons(member()).model_copy(update={"assets": ("motorbike",)})
ASKING = programmes.parse(
    FILE.name, FILE.read_bytes().replace(b"'!card_expired'", b"ppi_2020_high >= 50 && ppi_2020_low < 50")
)


def refusal(of: Persons, programme: Programme, poverty: Poverty) -> tuple[str, ...]:
    registration = Sealer().registered(of=of, area=AreaType.RURAL, level=Level.POOR_1).data
    known = Known(read(People, dump(of)), persons=dump(of))
    panel = Panel({programme.id: programme}, poverty)
    (decision,) = grounds.decide(panel, [Judgement(programme, Occasion(JUNE))], 1, registration, known)
    return decision.reasons


def test_a_programme_may_ask_how_likely_a_household_is_poor() -> None:
    assert refusal(THATCH, ASKING, Poverty(PPI)) == ()
    assert refusal(OWNERS, ASKING, Poverty(PPI)) == ("card-expired",)


def test_a_household_is_not_scored_where_no_programme_asks() -> None:
    class Never(Poverty):
        def likelihood(self, *_: object) -> None:  # type: ignore[override]
            raise AssertionError

    shipped = programmes.parse(FILE.name, FILE.read_bytes())
    assert refusal(THATCH, shipped, Never(PPI)) == ()


@pytest.mark.parametrize(
    ("lowest", "highest", "facts"), [(1.0015, 90.1508, (1, 91)), (50, 50, (50, 50)), (0, 0.2, (0, 1))]
)
def test_the_range_gets_no_narrower_by_rounding(
    lowest: float, highest: float, facts: tuple[int, int]
) -> None:
    assert percent(LineScore(LINE, 0, 0, lowest, highest)) == facts
