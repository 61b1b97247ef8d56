"""What a row must hold to be registered, and what to do where it does not. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import phonenumbers
from langcodes import standardize_tag, tag_is_valid
from langcodes.tag_parser import LanguageTagError
from phonenumbers import PhoneMetadata

from contracts.household import (
    KHMER,
    AreaType,
    Condition,
    ContactPreference,
    Level,
    Purpose,
    Relation,
    SchoolLevel,
    Sex,
    Work,
)
from contracts.model import UNRECOGNISED, OpenEnum
from services.registration.cells import Cells, Flaw, Row, split
from services.registration.columns import HOUSEHOLD, MEMBER, MEMBERS_MOST, REPORT, member_column
from services.registration.household import (
    Card,
    Household,
    Materials,
    PaymentAccount,
    Person,
    Schooling,
    claims_of,
)
from services.registration.places import Gazetteer, Place

OLDEST_BIRTH_DATE = "1900-01-01"
"""Nobody alive was born before; an earlier year is a slip."""


def _writable(words: type[OpenEnum]) -> dict[str, str]:
    """The words of a contract that may be written, as plain text."""
    return {word.value: word.value for word in words if word.value != UNRECOGNISED}


def _mobile_numbers() -> re.Pattern[str]:
    # The library's own pattern; its parser takes ten times longer, and is asked for all other numbers.
    metadata = PhoneMetadata.metadata_for_region("KH")
    assert metadata is not None
    assert metadata.mobile is not None
    return re.compile(str(metadata.mobile.national_number_pattern), re.ASCII)


_MOBILE = _mobile_numbers()
_LEVELS = _writable(Level)
_SEXES = _writable(Sex)
_RELATIONS = _writable(Relation)
_CONDITIONS = _writable(Condition)
_SCHOOLS = _writable(SchoolLevel)
_WORKS = _writable(Work)
_PURPOSES = _writable(Purpose)
_CONTACTS = _writable(ContactPreference)
_YES_NO = {"yes": True, "no": False}
_NOWHERE = Place("", "", "", AreaType.RURAL)
_NO_DWELLING = Materials()

_MEMBER_COLUMNS = [tuple(member_column(n, name) for name in MEMBER) for n in range(MEMBERS_MOST + 1)]
_COLUMNS_UP_TO = [
    frozenset([*HOUSEHOLD, *REPORT, *(name for names in _MEMBER_COLUMNS[1 : n + 1] for name in names)])
    for n in range(MEMBERS_MOST + 1)
]
_KHMER = re.compile(r"[\u1780-\u17ff]")
_LATIN = re.compile(r"[A-Za-z]")
REFERENCE_MOST = 64
_REFERENCE = re.compile(rf"[A-Za-z0-9][A-Za-z0-9/_.-]{{0,{REFERENCE_MOST - 1}}}")
_CARD = re.compile(r"[A-Z0-9][A-Z0-9/-]{2,31}")
_NATIONAL_ID = re.compile(r"\d{9,12}", re.ASCII)
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ACCOUNT = re.compile(r"[A-Z0-9-]{4,34}")


def examine(row: Row, gazetteer: Gazetteer, today: date) -> Household | list[Flaw]:
    """Check every cell of a row. Gives the household, or all of its flaws, each with what to do."""
    cells = Cells(row)
    cells.refuse_unreadable()
    if cells.flaws:
        return cells.flaws
    place = _place(cells, gazetteer)
    members = _members(cells, today.isoformat())
    reference = cells.matching(
        "reference", _REFERENCE, f"letters, digits and / _ . -, at most {REFERENCE_MOST}", required=True
    )
    consents = cells.words("consents", _PURPOSES)
    _check_consent(cells, members, consents)
    card, account = _card(cells), _account(cells)
    phone, fallback_phone = _phone(cells, "phone"), _phone(cells, "fallback_phone")
    if fallback_phone is not None and fallback_phone == phone:
        cells.flaw(
            "fallback_phone", "is the same as phone", "Write somebody else's number, or leave it empty."
        )
    found = Household(
        reference=reference or "",
        place=place or _NOWHERE,
        level=cells.word("level", _LEVELS, required=True) or Level.NONE,
        members=tuple(members),
        collector=cells.number("collector", 1, max(1, len(members))) or 1,
        card=card,
        phone=phone,
        fallback_phone=fallback_phone,
        account=account,
        contact=cells.word("contact", _CONTACTS) or ContactPreference.NEUTRAL,
        language=_language(cells),
        consents=consents,
        dwelling=_dwelling(cells),
        assets=tuple(sorted(set(split(row.get("assets"))))),
        claims=claims_of(members, card, account),
    )
    return cells.flaws or found


def _place(cells: Cells, gazetteer: Gazetteer) -> Place | None:
    code = cells.required("village")
    if code is None:
        return None
    place = gazetteer.get(code)
    if place is None:
        restored = code.zfill(8)
        lost_zero = len(code) == 7 and restored in gazetteer
        cells.flaw(
            "village",
            "is no village of the gazetteer",
            f"Write {restored} (the spreadsheet dropped its leading zero)."
            if lost_zero
            else "Look up the village's 8-digit code in the gazetteer and write it as text.",
        )
    return place


def _members(cells: Cells, today: str) -> list[Person]:
    members: list[Person] = []
    for n in range(1, MEMBERS_MOST + 1):
        if cells.row.keys().isdisjoint(_MEMBER_COLUMNS[n]):
            break
        members.append(_person(cells, n, today))
    if not members:
        cells.flaw("member_1_name_km", "is empty", "Name the head of the household as member 1.")
    _check_gap(cells, len(members))
    _check_national_ids(cells, members)
    return members


def _person(cells: Cells, n: int, today: str) -> Person:
    name_km, name_latin, sex, birth_date, relation, conditions, school, attendance, national_id, work = (
        _MEMBER_COLUMNS[n]
    )
    person = Person(
        name_km=_name(cells, name_km, _KHMER, "Khmer"),
        name_latin=_name(cells, name_latin, _LATIN, "Latin"),
        sex=cells.word(sex, _SEXES, required=True) or Sex.FEMALE,
        birth_date=cells.day(birth_date, required=True) or today,
        relation=cells.word(relation, _RELATIONS, required=True) or _relation_of(n),
        conditions=cells.words(conditions, _CONDITIONS),
        school=_school(cells, school, attendance),
        national_id=cells.matching(national_id, _NATIONAL_ID, "9 to 12 digits, without spaces"),
        work=cells.word(work, _WORKS),
    )
    if not OLDEST_BIRTH_DATE <= person.birth_date <= today:
        cells.flaw(
            birth_date, "lies in the future or too far back", "Correct the year (not the Buddhist era)."
        )
    if (person.relation == Relation.HEAD) != (n == 1):
        cells.flaw(relation, "the head is member 1 and nobody else", "Write head for member 1 only.")
    if Condition.PREGNANCY in person.conditions and person.sex == Sex.MALE:
        cells.flaw(conditions, "pregnancy of a male member", "Correct the sex or the condition.")
    return person


def _relation_of(n: int) -> str:
    return Relation.HEAD if n == 1 else Relation.OTHER


def _name(cells: Cells, field: str, script: re.Pattern[str], called: str) -> str:
    value = cells.required(field)
    if value is None:
        return ""
    if script.search(value) is None:
        cells.flaw(field, f"holds no {called} letter", f"Write the name in {called} script, Unicode encoded.")
    return unicodedata.normalize("NFC", " ".join(value.split()))


def _school(cells: Cells, level_field: str, attendance_field: str) -> Schooling | None:
    if level_field not in cells.row and attendance_field not in cells.row:
        return None
    level = cells.word(level_field, _SCHOOLS)
    attendance = cells.number(attendance_field, 0, 100)
    if level is not None:
        return Schooling(level, attendance)
    if attendance is not None and level_field not in cells.row:
        cells.flaw(level_field, "is empty, but attendance is given", "Write the school level too.")
    return None


def _check_gap(cells: Cells, count: int) -> None:
    if cells.row.keys() <= _COLUMNS_UP_TO[count]:
        return
    for field in sorted(cells.row.keys() - _COLUMNS_UP_TO[count]):
        cells.flaw(field, f"member {count + 1} is missing", "Number the members 1, 2, 3 … without a gap.")


def _check_national_ids(cells: Cells, members: Sequence[Person]) -> None:
    ids = [person.national_id for person in members if person.national_id]
    if len(set(ids)) < len(ids):
        field = next(f for f, v in cells.row.items() if f.endswith("_national_id") and ids.count(v) > 1)
        cells.flaw(field, "two members have this national id", "Correct one of them.")


def _check_consent(cells: Cells, members: Sequence[Person], consents: Sequence[str]) -> None:
    if Purpose.HEALTH_DATA in consents:
        return
    for n, person in enumerate(members, 1):
        if Condition.HIV in person.conditions:
            cells.flaw(
                member_column(n, "conditions"),
                "hiv is recorded only with consent",
                "Ask the household, then add health_data to consents; or leave the condition out.",
            )


def _card(cells: Cells) -> Card | None:
    expires_on = cells.day("card_expires_on")
    if "card_number" not in cells.row:
        if expires_on is not None:
            cells.flaw("card_number", "is empty, but a date of expiry is given", "Write the card's number.")
        return None
    number = cells.row["card_number"].replace(" ", "").upper()
    if _CARD.fullmatch(number) is None:
        cells.flaw("card_number", "is no card number", "Write it as printed on the Equity Card.")
        return None
    return Card(number, expires_on)


def _phone(cells: Cells, field: str) -> str | None:
    value = cells.row.get(field)
    if value is None:
        return None
    national = value.replace(" ", "").removeprefix("+855").removeprefix("0")
    if _MOBILE.fullmatch(national):
        return f"+855{national}"
    try:
        number = phonenumbers.parse(value, "KH")
        if number.country_code == 855 and phonenumbers.is_valid_number(number):
            return f"+855{number.national_number}"
    except phonenumbers.NumberParseException:
        pass
    cells.flaw(field, "is no Cambodian telephone number", "Write it like 012 345 678, or leave it empty.")
    return None


def _language(cells: Cells) -> str:
    found = _tag(cells.row.get("language", KHMER))
    if found is None:
        cells.flaw(
            "language", "is no language tag", "Write km for Khmer, en for English, or another tag of BCP 47."
        )
    return found or KHMER


@lru_cache(maxsize=1024)
def _tag(written: str) -> str | None:
    """A language tag (BCP 47) in its usual spelling; None for what the registry of IANA does not have."""
    try:
        return standardize_tag(written) if tag_is_valid(written) else None
    except LanguageTagError:
        return None


def _account(cells: Cells) -> PaymentAccount | None:
    provider = cells.matching(
        "account_provider", _PROVIDER, "the provider's id in small letters, such as wing"
    )
    if ("account_number" in cells.row) != ("account_provider" in cells.row):
        lacking = "account_provider" if "account_number" in cells.row else "account_number"
        cells.flaw(lacking, "is empty", "Give provider and number of the account together, or neither.")
        return None
    if provider is None:
        return None
    number = cells.row["account_number"].replace(" ", "").upper()
    if _ACCOUNT.fullmatch(number) is None:
        cells.flaw(
            "account_number", "is no account number", "Write 4 to 34 letters or digits, as the provider does."
        )
        return None
    return PaymentAccount(provider, number)


def _dwelling(cells: Cells) -> Materials | None:
    electricity = cells.word("electricity", _YES_NO)
    row = cells.row
    dwelling = Materials(
        roof=row.get("roof"),
        walls=row.get("walls"),
        floor=row.get("floor"),
        toilet=row.get("toilet"),
        water=row.get("water"),
        electricity=electricity,
    )
    return dwelling if dwelling != _NO_DWELLING else None
