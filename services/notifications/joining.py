"""Parts of a long SMS that came in, joined: in any order, twice, or never all of them. Pure."""

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from contracts.model import Contract
from services.notifications import messages
from services.notifications.gateways.inbound import Inbound, Part

GAP: Final = " […] "
"""Stands where a part never came."""
TOLD_FOR: Final = timedelta(days=1)
"""How long a part is known again: gateways repeat what was not acknowledged."""


class Piece(Contract):
    """One part's octets."""

    number: int
    encoding: str
    octets: bytes


class Told(Contract):
    """A part that was told already."""

    number: int
    digest: bytes


class Gathered(Contract):
    """What came of one long SMS. `waiting` for the others since `begun_at`; `told` has gone on before."""

    sender: str
    recipient: str
    of: int
    begun_at: datetime
    waiting: tuple[Piece, ...] = ()
    told: tuple[Told, ...] = ()


class Joined(NamedTuple):
    """What is kept from now on, and what goes on now."""

    kept: Gathered
    out: tuple[Inbound, ...] = ()


def known_as(inbound: Inbound, part: Part) -> str:
    """What the parts of one SMS have in common."""
    return f"long/{inbound.sender}/{inbound.recipient}/{part.reference}/{part.of}"


def take(known: Gathered | None, inbound: Inbound, part: Part) -> Joined:
    """One more part. A reference that is used anew ends what waited under it, as it is."""
    piece = Piece(number=part.number, encoding=inbound.encoding, octets=inbound.text)
    fresh = Gathered(
        sender=inbound.sender, recipient=inbound.recipient, of=part.of, begun_at=inbound.received_at
    )
    known = known or fresh
    same_place = {each.number: each for each in known.waiting}.get(part.number)
    told = {each.number: each.digest for each in known.told}.get(part.number)
    if same_place == piece or told == _digest(piece):
        return Joined(known)
    out: tuple[Inbound, ...] = ()
    if same_place is not None:
        out, known = (_whole(known, inbound.received_at),), fresh
    elif told is not None:
        known = known.model_copy(update={"told": ()})
    since = known.begun_at if known.waiting else inbound.received_at
    known = known.model_copy(update={"waiting": (*known.waiting, piece), "begun_at": since})
    if len(known.waiting) < part.of:
        return Joined(known, out)
    ended = end(known, inbound.received_at)
    return Joined(ended.kept, (*out, *ended.out))


def end(known: Gathered, now: datetime) -> Joined:
    """What came, as it is: nothing of it waits any more."""
    told = (*known.told, *(Told(number=each.number, digest=_digest(each)) for each in known.waiting))
    return Joined(known.model_copy(update={"waiting": (), "told": told}), (_whole(known, now),))


def _whole(known: Gathered, now: datetime) -> Inbound:
    text = _text(sorted(known.waiting, key=lambda each: each.number), known.of)
    named = f"{known.recipient}/{known.begun_at.isoformat()}"
    return Inbound(known.sender, known.recipient, text.encode(), "utf-8", named, now)


def _text(pieces: Iterable[Piece], of: int) -> str:
    """The words, with a mark where some are missing. Parts that follow each other are read as one."""
    text, expected = "", 1
    numbered = enumerate(pieces)
    for _, run in groupby(numbered, lambda each: (each[1].number - each[0], each[1].encoding)):
        parts = [piece for _, piece in run]
        if parts[0].number != expected:
            text += GAP
        text += messages.read(b"".join(each.octets for each in parts), parts[0].encoding)
        expected = parts[-1].number + 1
    return (text if expected > of else text + GAP).strip()


def _digest(piece: Piece) -> bytes:
    return hashlib.sha256(piece.encoding.encode() + b"/" + piece.octets).digest()
