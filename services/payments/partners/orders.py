"""The job that writes files for banks: what is in one is written down first, so that a crash repeats it."""

import asyncio
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, time
from pathlib import Path
from typing import BinaryIO

from postbox.message import Connection
from postbox.service import Service
from services.payments import store_outgoing
from services.payments.events import PHNOM_PENH
from services.payments.handlers import Office
from services.payments.partners import unsent
from services.payments.partners.iso20022 import pain001
from services.payments.partners.iso20022.amounts import compact
from services.payments.partners.iso20022.pain001 import Bulk, Credit
from services.payments.partners.options import FilePartner
from services.payments.partners.pausing import Watch
from services.payments.partners.served import ServedPartner
from services.payments.store_outgoing import ASK, PAY, Message, Waiting

ORDERS = "orders"
"""The job's name; wake it to write files now."""


class Orders:
    """The job `orders`: private files under `<folder>/<bank>/out`, for whoever carries them there."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._exchange = office.exchange
        self._watch = Watch(office.exchange)
        self._last: dict[str, datetime] = {}

    async def run(self, service: Service) -> bool:
        """Write what was put into a message, and put what waits into one where it is time."""
        async with service.db.acquire() as db:
            await self._watch.look(db, datetime.now(UTC))
        for name in (*self._exchange.banks, *self._exchange.lines):
            await unsent.end(self._office, service, name, datetime.now(UTC))
        for name, options in self._exchange.banks.items():
            now = datetime.now(UTC)
            async with service.db.acquire() as db:
                if name in await store_outgoing.pauses(db):
                    continue
                if (now - self._last.setdefault(name, now)).total_seconds() >= options.every_s:
                    await claim_all(db, name, options.payments_most, now, options.payments_a_day)
                    self._last[name] = now
                while message := await store_outgoing.next_message(db, name):
                    await self._write(db, message, options)
        return False

    async def _write(self, db: Connection, message: Message, options: FilePartner) -> None:
        """Write a file and say so; a crash in between writes the same bytes again."""
        waiting = await store_outgoing.held_in(db, message.message_id)
        path = path_of(self._exchange.folder, message)
        partner = self._office.partners[message.partner]
        assert isinstance(partner, ServedPartner)
        await asyncio.to_thread(_write_file, path, message, waiting, partner, options)
        async with db.transaction():
            await store_outgoing.told(db, message.message_id, datetime.now(UTC))


def path_of(folder: Path, message: Message) -> Path:
    """Where a message's file lies: its name says nothing of what is in it."""
    name = f"pain001-{message.message_id}.xml" if message.kind == PAY else f"ask-{message.message_id}.csv"
    return folder / message.partner / "out" / name


async def claim_all(db: Connection, partner: str, most: int, now: datetime, a_day: int | None = None) -> None:
    """Put what waits for a partner into messages of at most so many, payments and questions apart.

    `a_day`: how many payments it may be told in a day of Phnom Penh; the rest waits for the next.
    """
    for kind in (PAY, ASK):
        more = True
        while more:
            async with db.transaction():
                left = most
                if kind == PAY and a_day is not None:
                    midnight = datetime.combine(now.astimezone(PHNOM_PENH).date(), time(), PHNOM_PENH)
                    left = min(most, a_day - await store_outgoing.told_since(db, partner, midnight))
                found = await store_outgoing.claim(db, partner, kind, left) if left > 0 else []
                if found:
                    ids = [instruction_id for instruction_id, _ in found]
                    riel = sum(amount for _, amount in found)
                    message = Message(_message_id(ids), partner, kind, len(ids), riel, "claimed", now, None)
                    await store_outgoing.put_in(db, message, ids)
                more = 0 < len(found) == left


def _message_id(instruction_ids: Sequence[str]) -> str:
    """The same instructions make the same id: 32 characters, where a bank allows 35."""
    return hashlib.sha256("\n".join(instruction_ids).encode()).hexdigest()[:32]


def _bulk(message: Message, options: FilePartner) -> Bulk:
    day = message.created_at.astimezone(PHNOM_PENH).date()
    return Bulk(message.message_id, message.created_at, day, options.debtor, message.payments, message.riel)


def _write_file(
    path: Path, message: Message, waiting: Sequence[Waiting], partner: ServedPartner, options: FilePartner
) -> None:
    with _whole(path) as file:
        if message.kind == PAY:
            pain001.write(file, _bulk(message, options), _credits(partner, waiting))
        else:
            _write_questions(file, waiting)


def _credits(partner: ServedPartner, waiting: Sequence[Waiting]) -> Iterator[Credit]:
    for each in waiting:
        pay_to = partner.read(each.token).pay_to if each.token else None
        if pay_to is None:
            raise ValueError(f"{each.instruction_id} orders to pay nobody: its file is not written")
        yield Credit(each.instruction_id, each.payment_id, each.amount, pay_to)


def _write_questions(file: BinaryIO, waiting: Sequence[Waiting]) -> None:
    """What a bank is asked, or asked to stop: no ISO message of theirs asks about one credit by its id."""
    lines = [("kind", "end_to_end_id", "payment_id", "amount_khr")]
    lines += [(each.kind, compact(each.payment_id), each.payment_id, str(each.amount)) for each in waiting]
    file.writelines((",".join(line) + "\n").encode() for line in lines)


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    """A private file that appears whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
