"""What the lab keeps of a household is what the rules say of it."""

import json
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from contracts.household import AreaType, Level
from contracts.sealed import Sealed
from services.eligibility import library
from services.eligibility.answers import Home, known_of
from services.eligibility.app import FOLDER
from services.eligibility.lab.columns import REVISIONS, Columns, Registered
from services.eligibility.poverty import LINE, SCORECARD
from services.eligibility.structs import read

PPI = library.scorecards(FOLDER / "scorecards")[SCORECARD]
ENDS = date(2026, 1, 1)
homes = st.fixed_dictionaries(
    {
        "members": st.lists(
            st.fixed_dictionaries(
                {
                    "birth_date": st.sampled_from(["1960-01-01", "1999-05-05", "2020-02-29"]),
                    "sex": st.sampled_from(["female", "male"]),
                    "relation": st.sampled_from(["head", "spouse", "child"]),
                }
            ),
            min_size=1,
            max_size=8,
        ),
        "dwelling": st.none()
        | st.fixed_dictionaries(
            {
                "walls": st.sampled_from(["Bamboo", "brick", "wood"]),
                "roof": st.sampled_from(["thatch", "tiles", "corrugated iron"]),
                "floor": st.none() | st.sampled_from(["earth", "cement", " wood "]),
            }
        ),
        "assets": st.lists(st.sampled_from(["motorbike", "television", "bicycle"]), max_size=2),
    }
)


@given(st.lists(homes, min_size=1, max_size=4), st.sampled_from(["010201", "120101"]))
def test_poverty_of_a_home_is_the_scorecards_whatever_was_remembered(
    everyone: list[dict[str, object]], commune: str
) -> None:
    columns = Columns(PPI, ENDS)
    lowest, highest = (REVISIONS.get_field_index(f"poor_{end}") for end in ("lowest", "highest"))
    for home in everyone:
        people = read(Home, json.dumps({k: v for k, v in home.items() if v is not None}).encode())
        found = columns.read(0, registered(commune), ENDS, people).revision
        score = PPI.score_line(LINE, PPI.answers(known_of(people, commune, ENDS)))
        assert (found[lowest], found[highest]) == (score.likelihood_lowest, score.likelihood_highest)


def registered(commune: str) -> Registered:
    return Registered(
        household_id="h",
        revision=1,
        commune=commune,
        area_type=AreaType.RURAL,
        level=Level.POOR_1,
        persons=Sealed(key_id="k", blob=b"0" * 29),
    )
