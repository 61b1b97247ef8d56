"""The columns of an import file: one row is one household, the same columns in CSV, XLSX and Parquet."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MEMBERS_MOST = 40
HOUSEHOLD_REQUIRED = ("reference", "village", "level")
HOUSEHOLD_OPTIONAL = (
    "card_number",
    "card_expires_on",
    "phone",
    "fallback_phone",
    "account_provider",
    "account_number",
    "contact",
    "language",
    "collector",
    "consents",
    "roof",
    "walls",
    "floor",
    "toilet",
    "water",
    "electricity",
    "assets",
)
HOUSEHOLD = HOUSEHOLD_REQUIRED + HOUSEHOLD_OPTIONAL
MEMBER_REQUIRED = ("name_km", "name_latin", "sex", "birth_date", "relation")
MEMBER_OPTIONAL = ("conditions", "school", "attendance_percent", "national_id", "work")
MEMBER = MEMBER_REQUIRED + MEMBER_OPTIONAL

# What the quarantine's export adds, so that a corrected export can be imported as it is.
REPORT = ("quarantine_id", "row_number", "field", "reason", "remedy")

_MEMBER_COLUMN = re.compile(rf"member_([1-9]\d?)_({'|'.join(MEMBER)})")


class FileRefused(Exception):
    """A file that can't be imported at all. `reason` says what is wrong, `remedy` what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def member_column(n: int, name: str) -> str:
    """The column of one thing about member `n`; member 1 is the head."""
    return f"member_{n}_{name}"


def check(header: Sequence[str]) -> tuple[str, ...]:
    """The header's columns, trimmed. Raises `FileRefused` naming duplicated, unknown or missing ones.

    Optional columns may be left out; unknown ones are refused, because a misspelt `phone` would be lost.
    """
    columns = tuple(name.strip() for name in header)
    seen = set(columns)
    if twice := sorted({name for name in seen if columns.count(name) > 1}):
        raise FileRefused(
            f"columns that occur more than once: {_named(twice)}", "Keep one column of each name."
        )
    unknown = [name for name in columns if not _known(name)]
    missing = [name for name in _required(seen) if name not in seen]
    if unknown:
        raise FileRefused(f"unknown columns: {_named(unknown)}", _rename(unknown, missing))
    if missing:
        raise FileRefused(
            f"missing columns: {_named(missing)}", "Add them; cells may be empty only where nothing is known."
        )
    return columns


def _known(name: str) -> bool:
    if name in HOUSEHOLD or name in REPORT:
        return True
    match = _MEMBER_COLUMN.fullmatch(name)
    return match is not None and int(match[1]) <= MEMBERS_MOST


def _required(columns: Iterable[str]) -> list[str]:
    numbers = [int(match[1]) for name in columns if (match := _MEMBER_COLUMN.fullmatch(name))]
    members = range(1, max(numbers, default=1) + 1)
    return [*HOUSEHOLD_REQUIRED, *(member_column(n, name) for n in members for name in MEMBER_REQUIRED)]


def _rename(unknown: Sequence[str], missing: Sequence[str]) -> str:
    known = [*missing, *HOUSEHOLD, *(member_column(n, name) for n in range(1, 11) for name in MEMBER)]
    close = {name: get_close_matches(name.lower(), known, n=1) for name in unknown}
    hints = [f"{name or '(empty)'} → {found[0]}" for name, found in close.items() if found]
    return "Rename or remove them" + (f" (perhaps {', '.join(hints[:5])})." if hints else ".")


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(name[:60] or "(empty)" for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
