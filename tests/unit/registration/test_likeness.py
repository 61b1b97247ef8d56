"""How households are weighed from how their members compare."""

from services.registration.likeness import (
    ALIKE_BITS,
    COMPARISONS,
    MISSING_BITS,
    Compared,
    Pair,
    likeness,
)

BEST = {name: len(levels) - 1 for name, levels in COMPARISONS.items()}
SHARED = {"place": 10.0, "phone": 0.0, "card": 0.0}


def compared(first: int, later: int, bits: float) -> Compared:
    """Two members for whom `bits` speak, in households of one village."""
    levels = BEST | {"phone": -1, "card": 0}
    return Compared(first, later, levels, {"name": bits, "birth_date": 0.0, "sex": 0.0, **SHARED})


def test_members_are_paired_off_one_to_one_the_likest_first() -> None:
    found = likeness([compared(1, 1, 20), compared(1, 2, 18), compared(2, 1, 19), compared(2, 2, 8)], 2)
    assert [(each.first_member, each.later_member) for each in found.members] == [(1, 1), (2, 2)]
    assert found.bits == 10 + 20 + 8


def test_what_the_household_shares_is_weighed_once() -> None:
    one = likeness([compared(1, 1, 20)], 1).bits
    two = likeness([compared(1, 1, 20), compared(2, 2, 20)], 2).bits
    assert two - one == 20


def test_relatives_who_are_a_little_alike_are_no_pair_but_missing() -> None:
    found = likeness([compared(1, 1, 20), compared(2, 2, ALIKE_BITS - 0.1)], 2)
    assert len(found.members) == found.missing == 1
    assert found.bits == 10 + 20 + MISSING_BITS


def test_reasons_are_words_and_leave_out_what_is_not_known() -> None:
    found = likeness([compared(1, 1, 20)], 1)
    assert found.shared == ["the same village", "another card"]
    assert found.members[0].reasons == ["the same name", "born the same day", "the same sex"]


def test_of_two_records_of_one_person_every_way_to_compare_is_counted_once() -> None:
    for levels in COMPARISONS.values():
        assert abs(sum(level.of_one for level in levels) - 1) < 1e-9
        assert abs(sum(level.of_strangers for level in levels) - 1) < 1e-3
        assert [level.condition is None for level in levels] == [*[False] * (len(levels) - 1), True]


def test_the_household_that_was_registered_first_comes_first_with_its_members() -> None:
    pair = Pair("b", "a", likeness([compared(1, 2, 20)], 1))
    assert pair.turned({"a": 7, "b": 3}) == pair
    turned = pair.turned({"a": 3, "b": 7})
    assert turned[:2] == ("a", "b")
    assert [(each.first_member, each.later_member) for each in turned.likeness.members] == [(2, 1)]
