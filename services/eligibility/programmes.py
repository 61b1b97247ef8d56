"""Programmes as they are applied: a file's document, its expressions compiled, named by its hash. Pure."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from operator import itemgetter

from services.eligibility import reading
from services.eligibility.compiling import Compiler, Counted
from services.eligibility.documents import Document, Version
from services.eligibility.expressions import Expression, Value
from services.eligibility.facts import CIRCUMSTANCES, Circumstances, Person
from services.eligibility.reading import FileRefused, Source

PERSONS_REMEMBERED = 16_384

Rates = Mapping[str, int]
"""Component -> riel, in the order of the version's components."""

RateTable = Mapping[tuple[str, str], Rates]
"""(area, level) -> rates."""


@dataclass(frozen=True, eq=False)
class Programme:
    """A programme as it is applied; `hash` is the SHA-256 of its file's bytes and names it in decisions.

    `missing` are the lines to fill in before it can be put in force; one that misses any is a draft.
    """

    document: Document
    content: bytes
    hash: str
    missing: tuple[str, ...]
    persons: Mapping[str, Counted]
    conditions: Mapping[str, Expression]
    counts: Mapping[str, Expression]

    @property
    def id(self) -> str:
        return self.document.id

    def in_force(self, on: date) -> bool:
        """Whether it pays on a day."""
        return self.rates(on) is not None

    def rates(self, on: date) -> RateTable | None:
        """The rates in force on a day; None where no version is, and of a draft."""
        return next((table for first, last, table in self._tables if first <= on <= last), None)

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The facts that its decisions hang on, level and area first."""
        compiled = (*self.conditions.values(), *self.counts.values())
        return tuple(dict.fromkeys(("level", "area", *(name for each in compiled for name in each.reads))))

    @cached_property
    def stacks(self) -> bool:
        """Whether it hangs on what other programmes decide."""
        return bool(self.document.stacking.others)

    def asked(self, circumstances: Circumstances, persons: Sequence[Person]) -> tuple[Value, ...]:
        """A household's values of `reads`: all that this programme wants to know of it."""
        counted = map(sum, zip(*map(self._count, persons), strict=True)) if persons else self._nobody
        return self._pick((*circumstances, *counted))

    def counted(self, person: Person) -> tuple[int, ...]:
        """How often a person counts in each of its groups: whoever counts alike is decided alike."""
        return self._count(person)

    def pays_for(self, persons: Sequence[Person]) -> frozenset[int]:
        """The positions of those members whom a line counts; all of them where one counts members."""
        read = {name for count in self.counts.values() for name in count.reads}
        if "members" in read:
            return frozenset(range(len(persons)))
        columns = [at for at, name in enumerate(self.persons) if name in read]
        return frozenset(
            at for at, person in enumerate(persons) if any(self._count(person)[column] for column in columns)
        )

    @cached_property
    def _tables(self) -> list[tuple[date, date, RateTable]]:
        document = self.document
        if document.draft:
            return []
        return [(each.first, each.last, _table(document, each)) for each in document.versions]

    @cached_property
    def _pick(self) -> Callable[[tuple[Value, ...]], tuple[Value, ...]]:
        position = {name: at for at, name in enumerate((*CIRCUMSTANCES, *self.persons))}
        return itemgetter(*(position[name] for name in self.reads))

    @cached_property
    def _count(self) -> Callable[[Person], tuple[int, ...]]:
        """How often a person counts in each group; there are few kinds of person, so they are remembered."""

        @lru_cache(PERSONS_REMEMBERED)
        def count(person: Person) -> tuple[int, ...]:
            facts = person._asdict()
            return tuple(group.count(facts) for group in self.persons.values())

        return count

    @cached_property
    def _nobody(self) -> tuple[int, ...]:
        return (0,) * len(self.persons)


def parse(file: str, content: bytes) -> Programme:
    """A programme from its file's name and bytes. Raises `FileRefused`."""
    source = reading.read(file, content, Document)
    document = source.document
    missing = tuple(_missing(source))
    if missing and not document.draft:
        raise FileRefused("\n".join((*missing, f"{file}: or keep it a draft: write `draft: true`")))
    compiler = Compiler(source.at, document.persons)
    programme = Programme(
        document,
        content,
        hashlib.sha256(content).hexdigest(),
        missing,
        persons=compiler.groups(document.persons),
        conditions=compiler.conditions(document.conditions),
        counts={
            name: compiler.compile(line.count, compiler.vocabulary, int, ("lines", name, "count"))
            for name, line in document.lines.items()
        },
    )
    compiler.finish()
    return programme


def catalogue(files: Mapping[str, bytes]) -> dict[str, Programme]:
    """Programmes by id, from the bytes of their files by name. Raises `FileRefused`."""
    found: dict[str, Programme] = {}
    for file, content in sorted(files.items()):
        programme = parse(file, content)
        if f"{programme.id}.yaml" != file:
            raise FileRefused(f"{file}: its id is {programme.id}; name the file {programme.id}.yaml")
        found[programme.id] = programme
    check_stacking(found)
    return found


def check_stacking(programmes: Mapping[str, Programme]) -> None:
    """Raises `FileRefused` where programmes, by id, name others that they can't hang on."""
    if problems := list(_unstackable(programmes)):
        raise FileRefused("\n".join(problems))


def _unstackable(programmes: Mapping[str, Programme]) -> Iterator[str]:
    """Programmes that name one there is not, one that would tell a secret, or each other."""
    for each in programmes.values():
        for other in each.document.stacking.others:
            if other not in programmes:
                yield f"{each.id}.yaml: stacking: {other} is no programme; correct its name, or remove it"
            elif programmes[other].document.sensitive and not each.document.sensitive:
                yield f"{each.id}.yaml: stacking: {other} is sensitive; a refusal would tell of it: remove it"
            elif each.id in reachable(programmes, other):
                yield f"{each.id}.yaml: stacking: {other} hangs on {each.id} in turn; remove one of them"


def reachable(programmes: Mapping[str, Programme], start: str) -> set[str]:
    """All that a programme hangs on, itself included."""
    found, ahead = set[str](), [start]
    while ahead:
        name = ahead.pop()
        if name in programmes and name not in found:
            found.add(name)
            ahead += programmes[name].document.stacking.others
    return found


def _missing(source: Source[Document]) -> Iterator[str]:
    for at, version in enumerate(source.document.versions):
        if version.valid_from is None:
            yield f"{source.at(('versions', at, 'valid_from'))}: the first day was not found; fill it in"
        for row, rate in enumerate(version.rates):
            if rate.riel is None:
                place = ("versions", at, "rates", row, "riel")
                what = f"{rate.component} ({rate.area}, {rate.level})"
                yield f"{source.at(place)}: the rate of {what} was not found; fill it in, with its source"


def _table(document: Document, version: Version) -> RateTable:
    riel = {cell: rate.riel for rate in version.rates for cell in rate.cells(document.levels)}
    places = sorted({(area, level) for area, level, _ in riel})
    return {
        (area, level): {component: riel[area, level, component] or 0 for component in version.components}
        for area, level in places
    }
