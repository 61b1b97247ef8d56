"""From the bytes of a shock's file to the shock: every refusal says file, line and remedy. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from contracts.household import CommuneCode
from contracts.shock import ShockKind, ShockName
from services.eligibility import reading
from services.eligibility.documents import Strict, wrong
from services.eligibility.reading import FileRefused, Source
from services.eligibility.shocks import Shock

Communes = Mapping[str, str]
"""The gazetteer's communes: code -> English name."""


class Days(Strict):
    """The first and the last day, both included; `last: null` where it holds until it is ended."""

    first: date
    last: date | None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.last is not None and self.last < self.first:
            raise wrong("the last day is before the first", "write the first day first")
        return self


class ShockFile(Strict):
    """A shock's file, field by field."""

    name: ShockName
    kind: Literal["flood", "inflation", "lockdown"]
    communes: Annotated[tuple[CommuneCode, ...], Field(min_length=1, max_length=2000)]
    dates: Days


def parse(file: str, content: bytes, communes: Communes) -> Shock:
    """A shock from its file's name and bytes. Raises `FileRefused`."""
    source = reading.read(file, content, ShockFile)
    if problems := list(_unknown(source, communes)):
        raise FileRefused("\n".join(problems))
    said = source.document
    return Shock(said.name, ShockKind(said.kind), frozenset(said.communes), said.dates.first, said.dates.last)


def _unknown(source: Source[ShockFile], communes: Communes) -> Iterator[str]:
    times = Counter(source.document.communes)
    for at, code in enumerate(source.document.communes):
        where = source.at(("communes", at))
        if code not in communes:
            yield f"{where}: no commune has the code {code}; {_remedy(code, communes)}"
        elif times[code] > 1:
            yield f"{where}: commune {code} stands {times[code]} times; keep one line of it"


def _remedy(code: str, communes: Communes) -> str:
    """The codes that it may have been meant for: those of its district, or else of its province."""
    district = sorted(each for each in communes if each.startswith(code[:4]))
    if district:
        first, last = (f"{each} ({communes[each]})" for each in (district[0], district[-1]))
        return f"correct it: those of district {code[:4]} run from {first} to {last}"
    districts = sorted({each[:4] for each in communes if each.startswith(code[:2])})
    if districts:
        return f"correct it: the districts of province {code[:2]} run from {districts[0]} to {districts[-1]}"
    return "correct it: provinces run from 01 to 25"
