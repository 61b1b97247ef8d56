"""How sealed persons are read: as their contract says, and refused by the field alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.household import Member, Persons, Relation, Sex
from contracts.wire import WireError, dump
from services.eligibility.answers import Home
from services.eligibility.facts import People
from services.eligibility.structs import Struct, read
from tests.unit.eligibility.samples import member, persons

members = st.lists(st.builds(Member), min_size=1, max_size=4).map(tuple)
NAME = "Sokhon"
MEMBER = f'{{"name_latin":"{NAME}","sex":"female","birth_date":"1990-05-10","relation":"head"}}'


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        ('{"members":[]}', "Expected `array` of length >= 1 - at `$.members`"),
        ('{"village":"01020101"}', "Object missing required field `members`"),
        (f'{{"members":[{MEMBER.replace("1990-05-10", NAME)}]}}', "Invalid RFC3339 encoded date"),
        (f'{{"members":[{MEMBER.replace("1990-05-10", "1990-05-10T01:00")}]}}', "Invalid RFC3339"),
        (f'{{"members":[{MEMBER}],"consents":"{NAME}"}}', "Expected `array`, got `str` - at `$.consents`"),
        (f'{{"members":[{MEMBER}],"consents":[7]}}', "Expected `str`, got `int` - at `$.consents[0]`"),
        (f'{{"members":[{MEMBER[:-1]},"conditions":null}}]}}', "Expected `array`, got `null`"),
        (f'{{"members":[{MEMBER}', "Input data was truncated"),
        (f"{NAME}", "JSON is malformed"),
        ("", "Input data was truncated"),
    ],
)
@pytest.mark.parametrize("kind", [People, Home])
def test_persons_that_are_none_are_refused_by_the_field_and_never_by_what_it_holds(
    kind: type[People], plain: str, reason: str
) -> None:
    with pytest.raises(WireError) as refused:
        read(kind, plain.encode())
    assert reason in str(refused.value)
    assert NAME not in str(refused.value)


def test_a_word_of_a_later_version_is_read_as_unrecognised() -> None:
    plain = dump(persons(member(relation=Relation.HEAD)))
    plain = plain.replace(b'"female"', b'"another"').replace(b'"head"', b'"uncle"')
    found = read(Home, plain).members[0]
    assert (found.sex, found.relation) == (Sex.UNRECOGNISED, Relation.UNRECOGNISED)


@given(st.builds(Persons, members=members, village=st.just("01020304")))
def test_what_is_read_of_persons_is_what_their_contract_says(said: Persons) -> None:
    plain = said.model_dump_json(exclude_none=True).encode()
    assert _is_part_of(read(Home, plain), said)
    assert _is_part_of(read(People, plain), said)


def _is_part_of(found: object, said: object) -> bool:
    if isinstance(found, Struct):
        return all(_is_part_of(getattr(found, name), getattr(said, name)) for name in found.__struct_fields__)
    if isinstance(found, tuple) and isinstance(said, tuple):
        return len(found) == len(said) and all(map(_is_part_of, found, said))
    return found == said
