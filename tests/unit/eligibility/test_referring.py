"""A household is referred once for what it rests on, with its consent, and its ministry alone can read it."""

from dataclasses import replace

import pytest
from joserfc import jwe, jws
from joserfc.errors import DecodeError
from joserfc.jwk import OKPKey

from contracts.household import Dwelling, Level, Persons, Purpose
from contracts.referral import Referral, ReferralMade, ReferralState
from contracts.wire import decode, load
from services.eligibility import households
from services.eligibility.households import Household
from services.eligibility.poverty import Poverty
from services.eligibility.referrals import Services
from services.eligibility.referring import Referrer, Told
from tests.unit.eligibility.samples import (
    IN_NEED,
    MINISTRIES,
    NOW,
    OUR_KEY,
    POVERTY,
    PRESS_CASE,
    SERVICES,
    THEIR_KEYS,
    WRITTEN_TO,
    Sealer,
    desk,
    exited,
    member,
    persons,
)

POOR = persons(*[member()] * 6, consents=[Purpose.REFERRAL]).model_copy(
    update={"equity_card": None, "dwelling": Dwelling(walls="thatch", floor="earth")}
)
RICH = POOR.model_copy(update={"members": (member(),), "assets": ("motorbike", "tractor")})


def registered(
    of: Persons, before: Household | None = None, sealer: Sealer | None = None, **changed: object
) -> Household:
    """The household after a revision, as it is kept for the next one."""
    sealer = sealer or Sealer()
    revision = before.revision + 1 if before else 1
    event = sealer.registered(revision=revision, of=of)
    event.data = event.data.model_copy(update=changed)
    after = households.register(desk(sealer), before and before._replace(letters=()), event)
    assert after is not None
    return after


def letters(household: Household) -> list[Referral]:
    return [load(Referral, each.letter) for each in household.letters]


def services(household: Household) -> list[tuple[str, str | None]]:
    return [(each.state.value, each.service) for each in letters(household)]


def test_a_household_is_referred_to_every_service_it_needs_with_the_decision() -> None:
    household = registered(IN_NEED)
    assert services(household) == [
        ("made", "health-equity"),
        ("made", "reintegration"),
        ("made", "tvet-and-jobs"),
    ]
    assert (
        [each.number for each in household.letters]
        == [1, 2, 3]
        == [each.number for each in household.referred]
    )
    (scored,) = household.scored
    assert {each.about.decision_id for each in household.letters} == {scored.event_id}


def test_nobody_is_referred_without_consent() -> None:
    assert registered(IN_NEED.model_copy(update={"consents": (Purpose.DELIVERY,)})).letters == ()


def test_a_letter_holds_what_its_service_needs_and_nothing_else() -> None:
    health, _, training = letters(registered(IN_NEED))
    assert (health.level, health.members, health.persons) == (Level.POOR_2, 5, ())
    assert (health.village, health.card_number) == (None, None)
    assert [(each.age, each.person_id) for each in training.persons] == [(21, "p-2003-02-03")]
    assert (training.level, training.members, training.village) == (None, None, None)
    for each in (health, training):
        assert each.contact is not None
        assert each.contact.phone == "+85512345678"


def test_a_revision_that_changes_nothing_it_rests_on_refers_nobody_again() -> None:
    sealer = Sealer()
    before = registered(IN_NEED, sealer=sealer)
    older = IN_NEED.model_copy(update={"assets": ("radio",)})
    after = registered(older, before, sealer)
    assert (after.letters, after.referred) == ((), before.referred)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"commune": "010301"}, ["withdrawn"] * 3 + ["made"] * 3),
        ({"level": Level.POOR_1}, ["withdrawn"] * 2 + ["made"] * 2),
        ({"level": Level.NONE}, ["withdrawn"] * 2 + ["made"]),
    ],
)
def test_what_it_rests_on_changed_so_it_is_withdrawn_and_made_anew(
    change: dict[str, object], told: list[str]
) -> None:
    sealer = Sealer()
    before = registered(IN_NEED, sealer=sealer)
    after = registered(IN_NEED, before, sealer, **change)
    assert [each.state.value for each in letters(after)] == told
    assert [each.number for each in after.letters] == [*range(4, 4 + len(told))]
    withdrawn = {each.referral_id for each in letters(after) if each.state is ReferralState.WITHDRAWN}
    assert withdrawn < {each.referral_id for each in letters(before)} or len(withdrawn) == 3


def test_a_consent_that_is_taken_back_withdraws_what_was_told() -> None:
    sealer = Sealer()
    before = registered(IN_NEED, sealer=sealer)
    after = registered(IN_NEED.model_copy(update={"consents": ()}), before, sealer)
    assert services(after) == [("withdrawn", None)] * 3
    assert (after.referred, after.referrals) == ((), 6)


def test_an_exit_withdraws_what_was_told_and_a_new_registration_refers_again() -> None:
    sealer = Sealer()
    before = registered(IN_NEED, sealer=sealer)
    left = households.leave(MINISTRIES, before._replace(letters=()), exited())
    assert left is not None
    assert services(left) == [("withdrawn", None)] * 3
    assert [each.about.decision_id for each in left.letters] == [None] * 3
    assert [each.state.value for each in letters(registered(IN_NEED, left, sealer))] == ["made"] * 3


def test_an_exit_below_the_last_revision_withdraws_nothing() -> None:
    sealer = Sealer()
    twice = registered(IN_NEED, registered(IN_NEED, sealer=sealer), sealer)
    left = households.leave(MINISTRIES, twice._replace(letters=()), exited())
    assert left is not None
    assert left.letters == ()


@pytest.mark.parametrize("purpose", ["person", "payee"])
def test_a_forgotten_household_is_referred_to_nobody(purpose: str) -> None:
    sealer = Sealer(destroyed={f"h-1-{purpose}"})
    assert registered(IN_NEED, sealer=sealer).letters == ()


def test_a_household_without_a_card_is_sent_to_an_interview_where_it_may_be_poor() -> None:
    assert services(registered(POOR, level=Level.NONE)) == [("made", "on-demand-idpoor")]
    assert services(registered(RICH, level=Level.NONE)) == []


def test_the_scorecard_is_asked_for_those_alone_who_hang_on_it() -> None:
    class Never(Poverty):
        def __init__(self) -> None: ...
        def likelihood(self, *_: object) -> None:  # type: ignore[override]
            raise AssertionError

    sealer = Sealer()
    at = replace(
        desk(sealer),
        referrer=Referrer(Services(SERVICES.services, MINISTRIES, Never()), sealer.keys.mark),
    )
    assert households.register(at, None, sealer.registered(of=IN_NEED)) is not None
    with pytest.raises(AssertionError):
        households.register(at, None, sealer.registered(of=POOR, level=Level.NONE))


def test_a_ministry_that_can_not_be_written_to_is_told_nothing_and_keeps_what_it_was_told() -> None:
    sealer = Sealer()
    before = registered(IN_NEED, sealer=sealer)._replace(letters=())
    health = Referrer(Services(SERVICES.services, frozenset({"health"}), POVERTY), sealer.keys.mark)
    at = replace(desk(sealer), referrer=health)
    after = households.register(at, before, sealer.registered(revision=2, of=PRESS_CASE))
    assert after is not None
    assert [each.recipient for each in after.letters] == ["health"]
    assert [each.recipient for each in after.referred] == ["labour", "labour"]


def test_a_mark_tells_nobody_what_it_rests_on() -> None:
    first, second = (registered(IN_NEED, sealer=each) for each in (Sealer(), Sealer()))
    assert [each.mark for each in first.letters] == [each.mark for each in second.letters]
    other = Sealer()
    event = other.registered("h-2", of=IN_NEED)
    elsewhere = households.register(desk(other), None, event)
    assert elsewhere is not None
    assert {each.mark for each in elsewhere.letters}.isdisjoint(each.mark for each in first.letters)


def records(household: Household) -> list[tuple[Told, ReferralMade]]:
    mailing = WRITTEN_TO.mailing()
    made = [mailing.record(each, NOW) for each in household.letters]
    said = [decode(ReferralMade, each.topic, each.key, each.value, each.headers).data for each in made]
    return list(zip(household.letters, said, strict=True))


def opened(letter: str, by: OKPKey) -> bytes:
    token = jwe.decrypt_compact(letter, by, algorithms=["ECDH-ES+A256KW", "A256GCM"]).plaintext
    return jws.deserialize_compact(token or b"", OUR_KEY, algorithms=["Ed25519"]).payload


def test_a_letter_is_opened_by_its_ministry_alone_and_signed_by_us() -> None:
    for told, said in records(registered(IN_NEED)):
        assert load(Referral, opened(said.letter, THEIR_KEYS[said.recipient])) == load(Referral, told.letter)
        with pytest.raises(DecodeError):
            opened(said.letter, THEIR_KEYS["planning"])


def test_neither_the_event_nor_its_length_tells_the_service_or_the_person() -> None:
    household = registered(IN_NEED)
    found = records(household)
    assert len({len(said.letter) for _, said in found}) == 1
    text = "".join(said.model_dump_json() for _, said in found)
    for secret in ("Sok Dara", "reintegration", "tvet-and-jobs", "health-equity", "85512345678"):
        assert secret not in text
    assert [each.service for each in household.letters] == ["health-equity", None, None]


def test_the_ages_that_services_ask_for_are_birthdays_that_matter() -> None:
    assert {15, 18, 36} <= set(desk(Sealer()).birthdays)
