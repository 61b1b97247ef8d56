"""Reads an ISO 20022 file as a stream of elements, valid against its official schema; nothing is fetched."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeVar

from lxml import etree

SCHEMAS = Path(__file__).parent / "schemas"
PAIN_001, PAIN_002 = "pain.001.001.09", "pain.002.001.12"
CAMT_053, CAMT_054 = "camt.053.001.08", "camt.054.001.08"
INCOMING = (PAIN_002, CAMT_053, CAMT_054)
Leaves = Mapping[str, etree._Element]
T = TypeVar("T")
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="iso20022")
NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:"
_MOST_IN_A_REASON = 200


class FileRefused(ValueError):
    """A file that is not read at all. `reason` holds no value of the file that could name a person."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


class Event(NamedTuple):
    """An element that began (its children are not there yet) or ended."""

    begins: bool
    tag: str
    element: etree._Element


@lru_cache
def schema_of(message: str) -> etree.XMLSchema:
    """The official schema of a message (`pain.002.001.12`, say), read once."""
    return etree.XMLSchema(file=str(SCHEMAS / f"{message}.xsd"))


def message_of(path: Path) -> str:
    """Which message a file holds, by its root's namespace. Raises `FileRefused` for all but `INCOMING`."""
    try:
        with path.open("rb") as file:
            _, root = next(iter(_parse(file, None, ("start",))))
            _refuse_doctype(root)
    except (etree.XMLSyntaxError, StopIteration):
        raise FileRefused("It is no XML file", "Send a pain.002, camt.053 or camt.054 file.") from None
    message = (etree.QName(root).namespace or "").removeprefix(NAMESPACE)
    if message not in INCOMING:
        known = ", ".join(INCOMING)
        raise FileRefused("It is no message we read", f"Ask the partner for one of: {known}.")
    return message


async def in_its_thread(work: Callable[[], T]) -> T:
    """Run what reads files in the one thread that does: a parser that changes threads aborts the process.

    That was seen with lxml 6.1.3, where a file was read chunk by chunk by whichever thread was free.
    """
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)


def check(path: Path, message: str) -> None:
    """Read a file to its end; raises `FileRefused` where it is not valid against the message's schema."""
    for _ in elements(path, message, begin=(), end=()):
        pass


def elements(
    path: Path, message: str, begin: Collection[str], end: Collection[str], *, checked: bool = False
) -> Iterator[Event]:
    """The elements with these local names, in order, whole ones dropped once they were looked at.

    Memory stays bounded by the largest of `end`. Raises `FileRefused` where the file stops being valid; one
    that was `checked` is not held against the schema again.
    """
    prefix = f"{{{NAMESPACE}{message}}}"
    begins, ends = {prefix + name for name in begin}, {prefix + name for name in end}
    drop = ends or {prefix + name for name in ("TxInfAndSts", "Ntry", "TxDtls")}
    try:
        with path.open("rb") as file:
            tags = [prefix + "Document", *begins, *ends, *drop]
            for number, (kind, element) in enumerate(
                _parse(file, None if checked else schema_of(message), ("start", "end"), tags)
            ):
                if not number:
                    _refuse_doctype(element)
                name = str(element.tag)
                if name in (begins if kind == "start" else ends):
                    yield Event(kind == "start", name[len(prefix) :], element)
                if kind == "end" and name in drop:
                    _drop(element)
    except etree.XMLSyntaxError as error:
        raise FileRefused(_told(error), f"Ask the partner for a file valid against {message}.") from None


def leaves(element: etree._Element) -> dict[str, etree._Element]:
    """What hangs below an element, by local names (`Refs/EndToEndId`); the first where there are several.

    One walk costs a fraction of what looking for each of them does.
    """
    found: dict[str, etree._Element] = {}
    _gather(element, "", len(etree.QName(element).namespace or "") + 2, found)
    return found


def text(of: Leaves, *paths: str) -> str | None:
    """The text of the first of these leaves that has one."""
    for path in paths:
        if (found := of.get(path)) is not None and found.text:
            return found.text
    return None


def _gather(element: etree._Element, above: str, skip: int, found: dict[str, etree._Element]) -> None:
    for child in element:
        path = above + str(child.tag)[skip:]
        found.setdefault(path, child)
        if len(child):
            _gather(child, path + "/", skip, found)


def _parse(
    file: BinaryIO,
    schema: etree.XMLSchema | None,
    events: tuple[Literal["start", "end"], ...],
    tags: Sequence[str] | None = None,
) -> Iterator[tuple[str, etree._Element]]:
    # No entities, no DTD, no network, libxml2's own limits: an XML bomb ends here (`huge_tree` stays off).
    return etree.iterparse(
        file,
        events=events,
        tag=tags,
        schema=schema,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _refuse_doctype(root: etree._Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise FileRefused(
            "It declares a document type", "A message has none; ask the partner for another file."
        )


def _drop(element: etree._Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _told(error: etree.XMLSyntaxError) -> str:
    """Where and what kind of fault; the message itself may quote a person's name."""
    found = error.error_log.last_error if error.error_log else None
    kind = found.type_name if found else "not well-formed"
    return f"line {error.lineno}: {kind}"[:_MOST_IN_A_REASON]
