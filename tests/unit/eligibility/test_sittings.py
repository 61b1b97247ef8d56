"""Households that count alike come to what each would come to alone, and are told as the model tells it."""

from datetime import date
from functools import partial
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.eligibility import EligibilityScored
from contracts.household import AreaType, Condition, Level, Purpose, SchoolLevel, Sex, Work
from contracts.sealed import Sealed
from contracts.shock import ShockKind
from contracts.wire import Cause, dump
from services.eligibility import events, grounds, library, sittings
from services.eligibility.app import FOLDER
from services.eligibility.events import Sealing
from services.eligibility.facts import Card, Member, People, School
from services.eligibility.grounds import Days, Known, Registration
from services.eligibility.households import Scored
from services.eligibility.packages import Judgement, Panel
from services.eligibility.scoring import Occasion
from services.eligibility.shocks import Shock
from services.eligibility.sittings import Sitting
from tests.unit.eligibility.samples import ATTENDED
from tests.unit.eligibility.test_census import PANEL

TODAY, MAY, FLOOD = date(2025, 5, 10), date(2023, 5, 1), date(2020, 12, 1)
SERVICES = library.services(FOLDER / "referrals", frozenset({"health", "labour"}), None)  # type: ignore[arg-type]
FLOODED = Shock("flood", ShockKind.FLOOD, frozenset({"010201"}), FLOOD, None)
LARGEST = {"covid-19-cash-transfer": MAY, "family-package-students": TODAY, "family-package-hiv": TODAY}
ALONE = Panel({name: PANEL.programmes[name] for name in LARGEST})
cards = st.builds(partial(Card), expires_on=st.sampled_from([None, MAY, date(2024, 1, 1)]))
schools = st.builds(
    partial(School), level=st.sampled_from(SchoolLevel), attendance_percent=st.sampled_from([None, 0, 80])
)
members = st.builds(
    partial(Member),
    birth_date=st.sampled_from(
        [date(1960, 2, 29), date(1990, 5, 10), date(2007, 5, 11), date(2018, 12, 1), date(2024, 1, 1)]
    ),
    sex=st.sampled_from(Sex),
    conditions=st.lists(st.sampled_from(Condition), max_size=2).map(tuple),
    school=st.none() | schools,
    work=st.none() | st.sampled_from(Work),
)
people = st.builds(
    partial(People),
    members=st.lists(members, min_size=1, max_size=4).map(tuple),
    equity_card=st.none() | cards,
    consents=st.lists(st.sampled_from(Purpose), max_size=3).map(tuple),
)
known = st.builds(
    partial(Known),
    people=people,
    reports=st.sampled_from([(), (), (ATTENDED,)]),
    shocks=st.sampled_from([(), (FLOODED,)]),
)
quotes = st.text(max_size=12)


def sitting(panel: Panel) -> Sitting:
    days = [LARGEST.get(name, (MAY, FLOOD)[at % 2]) for at, name in enumerate(panel.programmes)]
    judged = tuple(
        Judgement(each, Occasion(day, each.id, f"{day:%Y-%m}"))
        for each, day in zip(panel.programmes.values(), days, strict=True)
    )
    return sittings.sitting(panel, SERVICES, judged, TODAY)


def registration(
    level: Level = Level.POOR_1, area: AreaType = AreaType.RURAL, key_id: str = "key"
) -> Registration:
    sealed = Sealed(key_id=key_id, blob=bytes(29))
    return Registration("event", "010201", area, level, sealed, sealed, "", "")


@settings(max_examples=300)
@given(
    st.sampled_from([PANEL, ALONE]), known, st.sampled_from([*Level][:-1]), st.sampled_from([*AreaType][:-1])
)
def test_households_that_count_alike_come_to_what_each_would_come_to_alone(
    panel: Panel, told: Known, level: Level, area: AreaType
) -> None:
    heard, place = sitting(panel), registration(level, area)
    made, sending = heard.hear(1, Days(place, told))
    decided = grounds.decide(panel, heard.judgements, 1, place, told)
    assert made == sittings.made(panel, decided)
    if sending is not None:
        facts = grounds.facts_on(TODAY, place, told)
        assert sending == SERVICES.sending(TODAY).asked(facts)


def test_members_are_one_kind_only_where_nobody_counts_them_otherwise() -> None:
    heard, place = sitting(ALONE), registration()
    told = [(), *((each,) for each in Condition)]
    learning = [
        None,
        School(level=SchoolLevel.PRIMARY),
        School(level=SchoolLevel.PRIMARY, attendance_percent=80),
    ]
    consents: list[tuple[Purpose, ...]] = [(), (Purpose.HEALTH_DATA,)]
    for born, sex, conditions, school, work, may in product(
        (date(1990, 5, 10), date(2007, 5, 11), date(2024, 1, 1)), Sex, told, learning, [None, *Work], consents
    ):
        one = Member(birth_date=born, sex=sex, conditions=conditions, school=school, work=work)
        known_of = Known(People(members=(one,), consents=may))
        made, sending = heard.hear(1, Days(place, known_of))
        assert made == sittings.made(ALONE, grounds.decide(ALONE, heard.judgements, 1, place, known_of)), one
        assert sending == SERVICES.sending(TODAY).asked(grounds.facts_on(TODAY, place, known_of)), one


@given(
    known,
    quotes,
    st.lists(quotes, max_size=2).map(tuple),
    st.binary(min_size=29, max_size=64),
    st.none() | st.binary(min_size=29, max_size=64),
)
def test_a_scoring_is_told_in_the_very_bytes_of_its_contract(
    told: Known, quoted: str, shocks: tuple[str, ...], payee: bytes, sensitive: bytes | None
) -> None:
    place = registration(key_id=quoted)
    made, _ = sitting(ALONE).hear(1, Days(place, told))
    scored = Scored("h-1", 1, 3, place, made, b"", Cause("", "", ""), 2, 1, TODAY, quoted, shocks)
    assert events.told(scored, Sealing(quoted, payee, sensitive)) == dump(
        EligibilityScored(
            household_id="h-1",
            revision=3,
            commune=place.commune,
            area_type=place.area_type,
            level=place.level,
            decisions=made.decisions,
            shocks=shocks,
            reports=2,
            appeals=1,
            judged_on=TODAY,
            catalogue=quoted,
            payee=Sealed(key_id=quoted, blob=payee),
            sensitive=None if sensitive is None else Sealed(key_id=quoted, blob=sensitive),
        )
    )
