"""Which rows may be registered, and what is said about those that may not."""

import pytest

from contracts import wire
from contracts.household import AreaType, Level
from services.registration.household import Household, carry_person_ids
from services.registration.places import area_type_of
from services.registration.rules import examine
from tests.unit.registration.samples import GAZETTEER, PHNOM_PENH, RURAL, TODAY, URBAN, household, row, told

BAD = [
    ({"reference": ""}, "reference", "is empty"),
    ({"reference": "R 1"}, "reference", "has another shape"),
    ({"village": ""}, "village", "is empty"),
    ({"village": "99999999"}, "village", "no village of the gazetteer"),
    ({"village": "1020101"}, "village", "no village of the gazetteer"),
    ({"level": "poor"}, "level", "not a word"),
    ({"level": "__unrecognised__"}, "level", "not a word"),
    ({"card_number": ""}, "card_number", "a date of expiry is given"),
    ({"card_expires_on": "31/12/2025"}, "card_expires_on", "no date"),
    ({"card_expires_on": "2025-02-30"}, "card_expires_on", "no date"),
    ({"phone": "012"}, "phone", "no Cambodian telephone number"),
    ({"phone": "+33 6 12 34 56 78"}, "phone", "no Cambodian telephone number"),
    ({"fallback_phone": "+33 6 12 34 56 78"}, "fallback_phone", "no Cambodian telephone number"),
    ({"fallback_phone": "+85512345678"}, "fallback_phone", "the same as phone"),
    ({"language": "kh"}, "language", "no language tag"),
    ({"language": "Khmer"}, "language", "no language tag"),
    ({"account_number": ""}, "account_number", "is empty"),
    ({"account_provider": ""}, "account_provider", "is empty"),
    ({"account_number": "12"}, "account_number", "no account number"),
    ({"contact": "sometimes"}, "contact", "not a word"),
    ({"collector": "3"}, "collector", "not a whole number in range"),
    ({"collector": "one"}, "collector", "not a whole number in range"),
    ({"consents": "delivery,research"}, "consents", "a word not known"),
    ({"electricity": "maybe"}, "electricity", "not a word"),
    ({"roof": "x" * 201}, "roof", "too long"),
    ({"roof": "a\0b"}, "roof", "not text"),
    ({"roof": "\ufffd"}, "roof", "not text"),
    ({"member_1_name_km": "Sok Dara"}, "member_1_name_km", "no Khmer letter"),
    ({"member_1_name_latin": "សុខ"}, "member_1_name_latin", "no Latin letter"),
    ({"member_1_sex": "F"}, "member_1_sex", "not a word"),
    ({"member_1_birth_date": "2023-06-02"}, "member_1_birth_date", "in the future"),
    ({"member_1_birth_date": "1899-12-31"}, "member_1_birth_date", "too far back"),
    ({"member_1_relation": "spouse"}, "member_1_relation", "the head is member 1"),
    ({"member_2_relation": "head"}, "member_2_relation", "the head is member 1"),
    ({"member_2_birth_date": ""}, "member_2_birth_date", "is empty"),
    ({"member_2_national_id": "12"}, "member_2_national_id", "another shape"),
    ({"member_2_national_id": "000000001"}, "member_1_national_id", "two members"),
    ({"member_2_attendance_percent": "80"}, "member_2_school", "attendance is given"),
    (
        {"member_2_school": "primary", "member_2_attendance_percent": "101"},
        "member_2_attendance_percent",
        "range",
    ),
    ({"member_4_name_km": "សុខ"}, "member_4_name_km", "member 3 is missing"),
    ({"member_1_conditions": "pregnancy", "member_1_sex": "male"}, "member_1_conditions", "pregnancy"),
    ({"member_1_conditions": "hiv", "consents": "delivery"}, "member_1_conditions", "only with consent"),
]


@pytest.mark.parametrize(("change", "field", "reason"), BAD, ids=[f"{b[1]}: {b[2]}" for b in BAD])
def test_a_bad_cell_is_named_with_its_reason_and_what_to_do(
    change: dict[str, str], field: str, reason: str
) -> None:
    bad = row(**change)
    found = examine(bad, GAZETTEER, TODAY)
    assert isinstance(found, list)
    assert [flaw.field for flaw in found] == [field]
    assert reason in found[0].reason
    assert found[0].remedy
    assert found[0].value == bad.get(field, "")


def test_a_row_without_anything_names_every_required_field() -> None:
    found = examine({}, GAZETTEER, TODAY)
    assert isinstance(found, list)
    assert {flaw.field for flaw in found} == {"reference", "village", "level", "member_1_name_km"}


def test_a_village_whose_leading_zero_was_dropped_is_named() -> None:
    found = examine(row(village="1020101"), GAZETTEER, TODAY)
    assert isinstance(found, list)
    assert RURAL in found[0].remedy


@pytest.mark.parametrize(
    ("written", "e164"),
    [("012 345 678", "+85512345678"), ("+855 97 123 4567", "+855971234567"), ("0977123456", "+855977123456")],
)
def test_phones_become_e164(written: str, e164: str) -> None:
    assert household(phone=written).phone == e164


@pytest.mark.parametrize(
    ("written", "tag"), [("", "km"), ("EN", "en"), ("jra", "jra"), ("km-khmr", "km"), ("zh-hant", "zh-Hant")]
)
def test_a_language_is_any_tag_there_is_in_its_usual_spelling(written: str, tag: str) -> None:
    assert household(language=written).language == tag


@pytest.mark.parametrize(
    ("commune", "area_type"),
    [
        ("120101", AreaType.PHNOM_PENH),
        ("121401", AreaType.PHNOM_PENH),
        ("010601", AreaType.OTHER_URBAN),
        ("171001", AreaType.OTHER_URBAN),
        ("010201", AreaType.RURAL),
        ("210301", AreaType.RURAL),
    ],
)
def test_a_commune_is_phnom_penh_a_sangkat_or_a_khum(commune: str, area_type: AreaType) -> None:
    assert area_type_of(commune) is area_type


@pytest.mark.parametrize(
    ("village", "area_type"),
    [(RURAL, AreaType.RURAL), (URBAN, AreaType.OTHER_URBAN), (PHNOM_PENH, AreaType.PHNOM_PENH)],
)
def test_a_household_has_the_commune_and_area_type_of_its_village(village: str, area_type: AreaType) -> None:
    found = household(village=village)
    assert (found.commune, found.area_type) == (village[:6], area_type)


def test_the_least_a_household_needs() -> None:
    given = {
        name: text
        for name, text in row().items()
        if name in ("reference", "village") or (name.startswith("member_1") and not name.endswith("_id"))
    }
    found = examine(given | {"level": "none"}, GAZETTEER, TODAY)
    assert isinstance(found, Household)
    assert found.level == Level.NONE
    assert (found.phone, found.account, found.card, found.dwelling, found.collector) == (None,) * 4 + (1,)


def test_equal_content_has_one_hash_however_it_is_written() -> None:
    first = household(phone="012 345 678", consents="delivery;research", assets="radio;bicycle")
    second = household(phone="+85512345678", consents="research; delivery", assets="bicycle;radio")
    assert first.content() == second.content()
    assert first.longer_hash() == second.longer_hash()


@pytest.mark.parametrize(
    "change",
    [
        {"village": URBAN},
        {"level": "poor_2"},
        {"phone": "012 345 679"},
        {"fallback_phone": "012 345 679"},
        {"collector": "2"},
        {"card_expires_on": "2026-12-31"},
        {"member_2_birth_date": "2021-01-03"},
        {"member_2_school": "primary"},
        {"member_2_work": "none"},
        {"electricity": "no"},
        {"consents": "delivery"},
    ],
)
def test_other_content_has_another_hash(change: dict[str, str]) -> None:
    assert household(**change).content().hash != household().content().hash


@pytest.mark.parametrize(
    "kept",
    [
        "a9e4e1c3048616a7eb161072f36ec43e6db80ec483014f1b8e94334d0c4ec888",  # pragma: allowlist secret
        "f9591d4fba5df10cfa03fa0e1b9d37ef",  # pragma: allowlist secret
    ],
)
def test_the_hashes_of_a_content_stay_what_databases_hold(kept: str) -> None:
    found, other = household(member_2_school="primary"), household(member_2_school="upper_secondary")
    assert found.has_hash(bytes.fromhex(kept), found.content())
    assert not other.has_hash(bytes.fromhex(kept), other.content())


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"card_expires_on": "", "phone": "", "assets": "", "roof": "", "electricity": ""},
        {"card_expires_on": "", "card_number": "", "account_provider": "", "account_number": ""},
        {"member_1_conditions": "hiv;disability", "electricity": "no", "contact": "", "language": ""},
        {"member_2_school": "primary"},
        {"member_2_school": "primary", "member_2_attendance_percent": "85"},
        {"fallback_phone": "012 345 679", "language": "jra"},
    ],
)
def test_what_is_sealed_is_what_its_contracts_would_write(change: dict[str, str]) -> None:
    found = household(**change)
    persons, payee = told(found, ["head", "child"])
    content = found.content()
    # What is empty is what it is where nothing is said.
    assert persons.model_dump_json(exclude_defaults=True).encode() == content.persons_of(["head", "child"])
    assert wire.dump(payee) == content.payee_of("head")


def test_a_name_can_not_pass_for_a_place_where_an_id_belongs() -> None:
    named = household(member_1_name_latin='Sok "person_id":""', collector="1")
    persons, payee = told(named, ["head", "child"])
    assert [member.person_id for member in persons.members] == ["head", "child"]
    assert (payee.person_id, payee.name_latin) == ("head", 'Sok "person_id":""')


def test_the_payee_is_the_collector() -> None:
    _, payee = told(household(collector="2"), ["a", "b"])
    assert (payee.person_id, payee.name_latin) == ("b", "Sok Bopha")


def test_persons_keep_their_ids_through_a_revision() -> None:
    before, _ = told(household(), ["head", "child"])
    after = household(
        member_2_name_km="សុខ ថ្មី",
        member_2_birth_date="2023-01-01",
        member_3_name_km="សុខ បូផា",
        member_3_name_latin="Sok Bopha",
        member_3_sex="female",
        member_3_birth_date="2021-01-02",
        member_3_relation="child",
        member_1_name_km="ចាន់ ដារា",
    )
    assert carry_person_ids(before, after.members, lambda: "new") == ["head", "new", "child"]


def test_twins_of_one_name_do_not_share_an_id() -> None:
    twin = {
        "member_3_name_km": "សុខ បូផា",
        "member_3_name_latin": "Sok Bopha",
        "member_3_sex": "female",
        "member_3_birth_date": "2021-01-02",
        "member_3_relation": "child",
    }
    before, _ = told(household(), ["head", "child"])
    assert carry_person_ids(before, household(**twin).members, lambda: "new") == ["head", "child", "new"]


def test_a_birth_today_is_possible() -> None:
    assert household(member_2_birth_date=TODAY.isoformat()).members[1].birth_date == "2023-06-01"
