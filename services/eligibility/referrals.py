"""Which services a household is offered, and which of them its ministry is told of. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import NamedTuple

from services.eligibility.expressions import Expression, Value
from services.eligibility.facts import Circumstances, Facts, Person
from services.eligibility.milestones import birthdays_that_matter
from services.eligibility.poverty import Poverty, asked_by
from services.eligibility.reading import FileRefused
from services.eligibility.referral_files import Answer, Service

REMEMBERED = 16_384


class Sending(NamedTuple):
    """The services that a household is to be referred to for certain, and those that ask how poor it is."""

    certain: tuple[Service, ...]
    asking: tuple[Service, ...]

    def sent(self, facts: Callable[[], Facts]) -> tuple[Service, ...]:
        """Those that the household is to be referred to; `facts` tell how likely it is poor, too."""
        if not self.asking:
            return self.certain
        told = facts()
        return (*self.certain, *(each for each in self.asking if holds(each.asks, values(each, told))))


@dataclass(frozen=True, eq=False)
class Services:
    """Services by id; `recipients` are the ministries that can be written to. `poverty` scores for them."""

    services: Mapping[str, Service] = field(default_factory=dict)
    recipients: frozenset[str] = frozenset()
    poverty: Poverty | None = None

    @cached_property
    def birthdays(self) -> tuple[int, ...]:
        """The ages on whose birthday a household may be offered something else."""
        return birthdays_that_matter(self.services.values())

    @cached_property
    def discreet(self) -> frozenset[str]:
        """Ministries that offer something sensitive: of none of their services is it kept whom they serve."""
        sensitive = (each.document.send for each in self.services.values() if each.document.sensitive)
        return frozenset(send.to for send in sensitive if send)

    @lru_cache(maxsize=512)  # noqa: B019 - a process has one
    def in_force(self, on: date) -> tuple[Service, ...]:
        """Those offered on a day."""
        return tuple(each for each in self.services.values() if each.in_force(on))

    @lru_cache(maxsize=512)  # noqa: B019 - a process has one
    def sending(self, on: date) -> "Together":
        """Those of them that a ministry is told of."""
        return self._together(
            tuple(
                each
                for each in self.in_force(on)
                if each.document.send is not None and each.document.send.to in self.recipients
            )
        )

    @lru_cache(maxsize=64)  # noqa: B019 - a process has one
    def _together(self, services: tuple[Service, ...]) -> "Together":
        return Together(services)


class Together:
    """Services asked at once: households that all of them see alike are answered once."""

    def __init__(self, services: tuple[Service, ...]) -> None:
        self._services = services
        self._groups = tuple(group for each in services for group in each.persons.values())
        self.groups = len(self._groups)
        read = frozenset[str]().union(*(each.reads for each in services))
        self._reads = tuple(name for name in Circumstances._fields if name in read and not asked_by((name,)))
        positions = tuple(map(Circumstances._fields.index, self._reads))
        self._pick = itemgetter(*positions, 0, 0)  # Two more, so that it always gives a tuple.
        self.count = lru_cache(REMEMBERED)(self._counted)
        """How often a person counts in each of their groups."""
        self._answer = lru_cache(REMEMBERED)(self._answered)

    def asked(self, facts: Facts) -> Sending:
        """Those that are sent, and those that would be, if the household were as poor as they ask for."""
        counts = tuple(map(sum, zip(*map(self.count, facts.persons), strict=True))) if self._groups else ()
        return self.answer(facts.circumstances, counts)

    def answer(self, circumstances: Circumstances, counts: tuple[int, ...]) -> Sending:
        """The same, for who has counted the members."""
        return self._answer(self._pick(circumstances), counts)

    def _counted(self, person: Person) -> tuple[int, ...]:
        facts = person._asdict()
        return tuple(group.count(facts) for group in self._groups)

    def _answered(self, picked: tuple[Value, ...], counts: tuple[int, ...]) -> Sending:
        left, at = iter(counts), dict(zip(self._reads, picked, strict=False))
        certain: list[Service] = []
        asking: list[Service] = []
        for each in self._services:
            known = at | {name: next(left, 0) for name in each.persons}
            if holds((one for one in each.asks if not asked_by(one.reads)), known):
                (asking if any(asked_by(one.reads) for one in each.asks) else certain).append(each)
        return Sending(tuple(certain), tuple(asking))


def holds(asked: Iterable[Expression], facts: Mapping[str, Value]) -> bool:
    """Whether all hold."""
    return all(each.value(facts) for each in asked)


def values(service: Service, facts: Facts) -> dict[str, Value]:
    """All that a service may read, by name."""
    persons = [each._asdict() for each in facts.persons]
    counted = {name: sum(map(group.count, persons)) for name, group in service.persons.items()}
    return {**facts.circumstances._asdict(), **counted}


def concerned(service: Service, persons: tuple[Person, ...]) -> tuple[int, ...]:
    """The positions of the members whom a ministry is told of; none where it serves the household."""
    send = service.document.send
    if send is None or send.persons is None:
        return ()
    group = service.persons[send.persons]
    return tuple(at for at, person in enumerate(persons) if group.count(person._asdict()))


def answer(service: Service, facts: Facts) -> Answer:
    """What comes out for a household that consents to be referred."""
    known = values(service, facts)
    if not holds(service.conditions.values(), known):
        return "nothing"
    return "sent" if service.sent_where is not None and service.sent_where.value(known) else "offered"


class Tried(NamedTuple):
    """A worked example of a file: what it must come out as, and what it comes out as."""

    name: str
    expected: Answer
    found: Answer


def try_examples(service: Service) -> list[Tried]:
    """Answer a service's worked examples."""
    return [
        Tried(
            each.name,
            each.comes_out,
            answer(
                service,
                Facts(each.household._replace(members=len(each.persons)), each.persons),
            )
            if service.in_force(each.as_of)
            else "nothing",
        )
        for each in service.document.examples
    ]


def check_examples(services: Iterable[Service]) -> None:
    """Raises `FileRefused` where a worked example of a file comes out otherwise."""
    wrong = [
        f"{service.id}.yaml: example '{name}' comes out as {found}; correct it or the conditions"
        for service in services
        for name, expected, found in try_examples(service)
        if found != expected
    ]
    if wrong:
        raise FileRefused("\n".join(wrong))
