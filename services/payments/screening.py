"""Names of those who collect, compared with a list of the operator; a likeness waits for a person. Pure.

RapidFuzz (MIT) compares: the share of a name's letters that agree, whatever the order of its words.
"""

import csv
import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from contracts.household import Payee


class ListRefused(ValueError):
    """The screening list can't be used; the text says where and why, and never holds a name."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A payee's name is like that of an entry (its id in the list); `score` is 0 to 100."""

    entry: str
    score: int


@dataclass(frozen=True)
class Screen:
    """A list as it was read. `version` changes with its content; from `score_least` on it is a hit."""

    version: str
    entries: tuple[str, ...]
    names: tuple[str, ...]
    score_least: int

    def hits(self, payee: Payee) -> list[Hit]:
        """Entries that are like the payee's name in either script, the most alike of each, best first."""
        from rapidfuzz import fuzz, process

        best: dict[str, int] = {}
        for name in {_plain(payee.name_latin), _plain(payee.name_km)} - {""}:
            found = process.extract(
                name, self.names, scorer=fuzz.token_sort_ratio, score_cutoff=self.score_least, limit=None
            )
            for _, score, place in found:
                entry = self.entries[place]
                best[entry] = max(best.get(entry, 0), int(score))
        return sorted((Hit(*each) for each in best.items()), key=lambda hit: (-hit.score, hit.entry))

    @staticmethod
    def about(payee: Payee) -> str:
        """What is compared, as one text."""
        return f"{_plain(payee.name_latin)}/{_plain(payee.name_km)}"


def read(lines: Sequence[str], score_least: int) -> Screen:
    """A list of a CSV file's lines: columns `id` and `name`, and `aliases` (separated by ;) if there are any.

    Raises `ListRefused` for a missing column, an empty name or an id that stands twice.
    """
    if find_spec("rapidfuzz") is None:
        raise ListRefused("screening needs RapidFuzz: pip install 'tonle[screening]'")
    rows = csv.DictReader(lines)
    if not {"id", "name"} <= set(rows.fieldnames or ()):
        raise ListRefused("line 1: the columns `id` and `name` are needed; `aliases` may be there")
    entries: list[str] = []
    names: list[str] = []
    known: set[str] = set()
    for number, row in enumerate(rows, 2):
        entry, spelled = (row["id"] or "").strip(), [row["name"] or "", *_aliases(row.get("aliases"))]
        if not entry or entry in known:
            raise ListRefused(f"line {number}: its id is empty, or stands in an earlier line")
        if not _plain(spelled[0]):
            raise ListRefused(f"line {number}: its name is empty")
        known.add(entry)
        for name in filter(None, map(_plain, spelled)):
            entries.append(entry)
            names.append(name)
    version = hashlib.sha256("\n".join((str(score_least), *lines)).encode()).hexdigest()[:16]
    return Screen(version, tuple(entries), tuple(names), score_least)


def _aliases(text: str | None) -> Iterable[str]:
    return (text or "").split(";")


def _plain(name: str) -> str:
    """Lower case, without accents, punctuation and double spaces; Khmer stays as it is written."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    kept = (each for each in decomposed if not unicodedata.combining(each) or "\u1780" <= each <= "\u17ff")
    words = "".join(each if unicodedata.category(each)[0] in "LMN" else " " for each in kept)
    return " ".join(words.split())
