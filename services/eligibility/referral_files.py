"""Services that households are referred to, as files: fields, expressions, and what is refused. Pure."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from services.eligibility import documents, reading
from services.eligibility.compiling import Compiler, Counted
from services.eligibility.documents import Component, Condition, Name, Strict, Text, Words, wrong
from services.eligibility.expressions import Expression
from services.eligibility.facts import Circumstances, Person
from services.eligibility.reading import FileRefused, Source

Tellable = Literal["village", "level", "card_number", "members", "contact"]
"""What may be told of a household, besides its commune and the persons whom the service is for."""
Answer = Literal["sent", "offered", "nothing"]
"""`offered`: the household is told of it, and nobody else."""
TELLING = frozenset(
    {
        "hiv",
        "disability",
        "pregnancy",
        "returned_migrant",
        "antenatal_visits",
        "deliveries",
        "postnatal_visits",
    }
    | {name for name in Person._fields if name.startswith("visits_")}
)
"""Facts that nobody may learn from the name of a service."""


class Send(Strict):
    """Whom the ministry `to` serves: the household, or the members counted as `persons`; and what it is told.

    Nothing is sent where `holds` (CEL) does not hold, and nothing ever without the consent `referral`.
    """

    to: Name
    holds: str = "true"
    persons: Component | None = None
    tells: tuple[Tellable, ...] = ()


class Example(Strict):
    """A household in facts, with the consent `referral`, and what must come out."""

    name: Text
    as_of: date
    household: Circumstances
    persons: tuple[Person, ...]
    comes_out: Answer

    @model_validator(mode="after")
    def _counted(self) -> Self:
        if self.household.members:
            raise wrong("members are counted from persons", "leave them out")
        return self


class Document(Strict):
    """A file of a service. Of kind `protection`, it is offered to everyone alike."""

    id: Name
    kind: Literal["service", "protection"]
    name: Words
    offer: Words
    sensitive: bool
    valid_from: date
    valid_to: date | None
    evidence: Literal["sourced", "inferred", "memory"]
    source: Annotated[tuple[str, ...], Field(min_length=1)]
    sources: Mapping[str, str]
    persons: Mapping[Component, documents.Counted] = {}
    conditions: tuple[Condition, ...] = ()
    send: Send | None = None
    examples: Annotated[tuple[Example, ...], Field(min_length=1)]

    @field_validator("valid_to")
    @classmethod
    def _in_order(cls, last: date | None, info: ValidationInfo) -> date | None:
        first = info.data.get("valid_from")
        if first and last and last < first:
            raise wrong("ends before it begins", "correct valid_from or valid_to")
        return last

    @field_validator("sources")
    @classmethod
    def _listed(cls, sources: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        for name in info.data.get("source", ()):
            if name not in sources:
                raise wrong(f"source {name} is not listed", "add it under sources with its address")
        return sources

    @field_validator("persons", "conditions", "send")
    @classmethod
    def _alike(cls, value: object, info: ValidationInfo) -> object:
        if value and info.data.get("kind") == "protection":
            raise wrong(
                "protection is offered to everyone alike, so that nobody can be told by it", "remove it"
            )
        return value

    @field_validator("send")
    @classmethod
    def _known(cls, send: Send | None, info: ValidationInfo) -> Send | None:
        if send and send.persons and send.persons not in info.data.get("persons", {}):
            raise wrong(f"it sends {send.persons}, whom nothing counts", "define them under persons")
        return send


@dataclass(frozen=True, eq=False)
class Service:
    """A service as it is applied; `hash` is the SHA-256 of its file's bytes and names it in referrals."""

    document: Document
    content: bytes
    hash: str
    persons: Mapping[str, Counted]
    conditions: Mapping[str, Expression]
    sent_where: Expression | None

    @property
    def id(self) -> str:
        return self.document.id

    def in_force(self, on: date) -> bool:
        """Whether it is offered on a day."""
        document = self.document
        return document.valid_from <= on and (document.valid_to is None or on <= document.valid_to)

    @property
    def asks(self) -> tuple[Expression, ...]:
        """All that must hold before it is sent."""
        return (*self.conditions.values(), *([self.sent_where] if self.sent_where else ()))

    @property
    def reads(self) -> frozenset[str]:
        """The facts that it hangs on, those of persons among them."""
        counted = (rule for group in self.persons.values() for rule in group.rules)
        return frozenset(name for each in (*self.asks, *counted) for name in each.reads)


def parse(file: str, content: bytes) -> Service:
    """A service from its file's name and bytes. Raises `FileRefused`."""
    source = reading.read(file, content, Document)
    document = source.document
    compiler = Compiler(source.at, document.persons)
    send = document.send
    service = Service(
        document,
        content,
        hashlib.sha256(content).hexdigest(),
        compiler.groups(document.persons),
        compiler.conditions(document.conditions),
        compiler.compile(send.holds, compiler.vocabulary, bool, ("send", "holds")) if send else None,
    )
    compiler.finish()
    if problems := list(_telling(source, service)):
        raise FileRefused("\n".join(problems))
    return service


def catalogue(files: Mapping[str, bytes]) -> dict[str, Service]:
    """Services by id, from the bytes of their files by name. Raises `FileRefused`."""
    found: dict[str, Service] = {}
    for file, content in sorted(files.items()):
        service = parse(file, content)
        if f"{service.id}.yaml" != file:
            raise FileRefused(f"{file}: its id is {service.id}; name the file {service.id}.yaml")
        found[service.id] = service
    if problems := list(_alone(found)):
        raise FileRefused("\n".join(problems))
    return found


def _telling(source: Source[Document], service: Service) -> Iterator[str]:
    told = sorted(TELLING & service.reads)
    if told and not service.document.sensitive:
        where = source.at(("sensitive",))
        yield f"{where}: sensitive: it asks for {', '.join(told)}, which its name would tell; write true"


def _alone(services: Mapping[str, Service]) -> Iterator[str]:
    """Sensitive services whose ministry serves nothing else: who is referred to it is told by that."""
    plain = {
        each.document.send.to
        for each in services.values()
        if each.document.send and not each.document.sensitive
    }
    for each in services.values():
        send = each.document.send
        if each.document.sensitive and send and send.to not in plain:
            yield (
                f"{each.id}.yaml: send.to: {send.to} serves this alone, so that a referral to it tells whom; "
                "send it to a ministry that offers something else, too, or do not send it"
            )
