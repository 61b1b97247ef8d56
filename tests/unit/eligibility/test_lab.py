"""The lab decides a household as the stream does, and tells no more than it may."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.eligibility import Outcome
from contracts.household import Level
from services.eligibility.app import FOLDER
from services.eligibility.lab import running, telling
from services.eligibility.lab.columns import Readable
from services.eligibility.lab.proposals import Proposal, propose
from services.eligibility.lab.shapes import Day
from services.eligibility.lab.store import Lab
from services.eligibility.packages import Judgement
from services.eligibility.reading import FileRefused
from services.eligibility.scoring import Occasion
from tests.unit.eligibility.laboratory import (
    CURRENT,
    DAYS,
    ENDS,
    PROPOSED,
    STRUCK,
    Household,
    facts_by_stream,
    households,
    judged,
    laboratory,
    proposal,
    rural,
)


@settings(max_examples=12)
@given(st.lists(households, min_size=1, max_size=40))
def test_columns_give_every_household_what_the_stream_gives_it(everybody: list[Household]) -> None:
    with laboratory(everybody, shocks=STRUCK) as lab:
        before = frozenset[tuple[str, str]]()
        for on in DAYS:
            day = Day(proposal(), on, before)
            running.decide(lab, day)
            expected = {f"h-{at}": by_stream(each, day) for at, each in enumerate(everybody)}
            assert lab.riel() == expected
            before = day.paid_once


def by_stream(household: Household, day: Day) -> tuple[int, int]:
    """Riel on either side, one household at a time, with the stream's own facts and package."""
    on = day.on
    facts = {on: facts_by_stream(household, on)}
    days_late = max(0, (household.registered_on - on).days)
    found = []
    for side, panel in (("current", day.proposal.current), ("proposed", day.proposal.proposed)):
        judgements = [
            Judgement(each, Occasion(on, None, f"{on:%Y-%m}"), days_late)
            for name, each in panel.programmes.items()
            if each.in_force(on) and (side, name) not in day.paid_before
        ]
        made = panel.decide(judgements, facts)
        found.append(sum(each.amount for each in made if each.outcome is Outcome.ELIGIBLE))
    return found[0], found[1]


def report_of(lab: Lab, days: Sequence[date], of: Proposal | None = None) -> Any:
    """The report as a program reads it."""
    return json.loads(json.dumps(running.judge(lab, of or proposal(), days, lambda *_: None)))


def test_a_household_is_as_it_was_registered_last_by_the_day() -> None:
    registered = [
        ("h", 1, rural(date(2020, 11, 1)), Readable.READ),
        ("h", 2, rural(date(2022, 12, 10), Level.POOR_2), Readable.READ),
        ("h", 2, rural(date(2022, 12, 10), Level.POOR_2), Readable.READ),  # published again
        ("late", 1, rural(ENDS), Readable.READ),
    ]
    poor_1, poor_2 = 80_000 + 24_000, 80_000 + 16_000
    with laboratory([], registered) as lab:
        for on, expected in (
            (date(2020, 12, 1), poor_1),
            (date(2022, 12, 9), poor_1),
            (date(2022, 12, 10), poor_2),
        ):
            found = {name: current for name, (current, _) in judged(lab, on).items()}
            assert found == {"h": expected, "late": poor_1}


def test_who_left_by_the_day_is_judged_no_more_unless_registered_again() -> None:
    registered = [
        ("gone", 1, rural(), Readable.READ),
        ("back", 1, rural(), Readable.READ),
        ("back", 2, rural(date(2022, 12, 10)), Readable.READ),
    ]
    exits = [("gone", 1, date(2022, 1, 1)), ("back", 1, date(2022, 1, 1))]
    with laboratory([], registered, exits) as lab:
        days = (date(2021, 12, 31), date(2022, 1, 1), date(2022, 12, 10))
        assert [set(judged(lab, on)) for on in days] == [{"gone", "back"}, set(), {"back"}]


def test_who_could_not_be_read_is_counted_and_not_dropped() -> None:
    why = [Readable.FORGOTTEN, Readable.KEY_MISSING, Readable.KEY_MISSING, Readable.BROKEN]
    with laboratory([rural()], [(f"u-{at}", 1, rural(), each) for at, each in enumerate(why)]) as lab:
        (day,) = report_of(lab, [DAYS[0]])["days"]
    assert day["unread"] == {"forgotten": 1, "key_missing": 2, "broken": 1}


def test_a_one_off_payment_is_counted_on_the_first_day_alone() -> None:
    with laboratory([rural() for _ in range(40)]) as lab:
        first, second = report_of(lab, [date(2020, 12, 1), date(2021, 1, 1)])["days"]
    monthly = 40 * (80_000 + 24_000)
    assert (first["proposed"]["riel"], second["proposed"]["riel"]) == (2 * monthly, monthly)


def test_nobody_is_recognised_by_what_is_told() -> None:
    nine = [rural(level=Level.NONE) for _ in range(9)]
    with laboratory([rural() for _ in range(31)] + nine) as lab:
        report = report_of(lab, [DAYS[0]])
        levels = next(each for each in report["tables"] if each["dimension"] == "level")
        few, many = levels["groups"]
        assert (few["group"], few["households"], few["current"]["riel"]) == ("none", None, None)
        assert (many["households"], many["current"]["riel"]) == (40, 40 * 104_000)
        hiv = propose(CURRENT, {"h.yaml": (FOLDER / "programmes" / "family-package-hiv.yaml").read_bytes()})
        assert [each["dimension"] for each in report_of(lab, [DAYS[0]], hiv)["tables"]] == ["everyone"]


def test_errors_of_targeting_are_ranges() -> None:
    sums = {
        "poor_lowest": 40.0,
        "poor_highest": 80.0,
        "current_households": 100,
        "current_poor_lowest": 30.0,
        "current_poor_highest": 60.0,
    }
    found = telling.targeting(sums)["current"]
    # Of 40 to 80 poor, 10 are missed at least and 20 at most; of 100 reached, 40 to 70 are not poor.
    assert found == {"poor_reached": [40, 60], "exclusion_percent": [14, 40], "inclusion_percent": [40, 70]}


CHILDREN = PROPOSED["children.yaml"]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        (
            CHILDREN.replace("age < 18", "aeg < 18"),
            r"children.yaml:\d+: persons.child.any_of.0: .*correct it",
        ),
        (
            CHILDREN.replace("[covid-19-cash-transfer]", "[nobody]"),
            "nobody is no programme; correct its name",
        ),
        (CHILDREN.replace("riel: 10_000", "riel: 10_050"), r"children.yaml:\d+: .*multiples of 100 riel"),
        ("id: [", r"children.yaml:\d: is no YAML"),
    ],
)
def test_a_proposal_that_does_not_compile_is_refused_with_line_and_remedy(text: str, refused: str) -> None:
    with pytest.raises(FileRefused, match=refused):
        propose(CURRENT, {"children.yaml": text.encode()})


def test_a_draft_counts_as_in_force_unless_a_rate_is_missing() -> None:
    draft = propose(CURRENT, {"children.yaml": CHILDREN.encode()})
    assert draft.proposed.programmes["children"].in_force(DAYS[0])
    lacking = propose(CURRENT, {"p.yaml": (FOLDER / "programmes" / "family-package.yaml").read_bytes()})
    assert not lacking.proposed.programmes["family-package"].in_force(DAYS[-1])
    assert "rate of elder" in "".join(lacking.notes)
