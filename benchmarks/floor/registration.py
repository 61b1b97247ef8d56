"""The first bare process: reads a file, makes keys, seals, publishes households and their keys."""

import csv
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import time_ns

from aiokafka.partitioner import murmur2
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.floor.hop import Service, run, until_stopped
from benchmarks.floor.wire import Out, Outgoing, seal, uuid5
from contracts import wire
from contracts.household import (
    DataKey,
    HouseholdKeys,
    HouseholdRegistered,
    KeyPurpose,
    KeyState,
    Level,
    Payee,
    Persons,
)
from contracts.sealed import Sealed
from contracts.topics import HOUSEHOLD_KEYS, HOUSEHOLD_REGISTERED
from services.registration.household import household_id_of
from services.registration.places import area_type_of
from tonle.sample import COLUMNS, HOUSEHOLD_COLUMNS, MEMBER_COLUMNS

CHUNK = 4000
"""Rows in a transaction: 1,000 for each of four partitions, so that consumers have whole batches."""
PARTITIONS = 4
SCHEMA = """
create table if not exists household (
    household_id text primary key, revision int not null, persons bytea not null, payee bytea not null
);
alter table household alter column persons set storage external;
"""
_MEMBERS = range(len(HOUSEHOLD_COLUMNS), len(COLUMNS), len(MEMBER_COLUMNS))
_DWELLING = ("roof", "walls", "floor", "toilet", "water")

Kept = tuple[str, int, bytes, bytes]
WrappedKey = tuple[str, str, bytes]


class Registration(Service):
    """Each chunk of rows is one transaction, and moves the file's position."""

    async def read(self, path: str) -> None:
        """Register every household of the file that is not registered yet."""
        done = await self.db.fetchval("select next_offset from position where topic = $1", path) or 0
        with Path(path).open(encoding="utf-8", newline="") as file:  # noqa: ASYNC230 - nothing else waits
            rows = islice(csv.reader(file), done + 1, None)
            while chunk := list(islice(rows, CHUNK)):
                done += len(chunk)
                households, keys, outgoing = self.examine(chunk)
                async with self.db.transaction():
                    await self.db.execute(
                        "insert into position values ($1, 0, $2) on conflict (topic, partition)"
                        " do update set next_offset = excluded.next_offset",
                        path,
                        done,
                    )
                    await self.db.copy_records_to_table("household", records=households)
                    await self.db.copy_records_to_table("household_key", records=keys)
                    kept = await self.keep({"import": outgoing})
                await self.publish(kept)

    def examine(self, rows: Sequence[Sequence[str]]) -> tuple[list[Kept], list[WrappedKey], Outgoing]:
        """Rows to what is kept of them, and what is told."""
        households, keys = [], []
        outgoing: Outgoing = {}
        chance, made_ms = pieces(), time_ns() // 1_000_000
        for row in rows:
            household_id = household_id_of(self.master.keyed_hash, row[0])
            persons, payee = persons_of(row, chance)
            sealed = (wire.dump(persons), wire.dump(payee))
            households.append((household_id, 1, *sealed))
            made = [
                (f"{made_ms:012x}{next(chance)[:10].hex()}", next(chance) + next(chance)) for _ in KeyPurpose
            ]
            trace = f"00-{next(chance).hex()}-{next(chance)[:8].hex()}-00".encode()
            partition = (murmur2(household_id.encode()) & 0x7FFFFFFF) % PARTITIONS
            wrapped = [
                (key_id, household_id, self.master.wrap(key, bound_to=f"{household_id}/{key_id}"))
                for key_id, key in made
            ]
            keys += wrapped
            told = outgoing.setdefault((HOUSEHOLD_KEYS.name, partition), [])
            told.append(self._keys(household_id, wrapped, trace))
            registered = _registered(row, household_id, sealed, made, trace)
            outgoing.setdefault((HOUSEHOLD_REGISTERED.name, partition), []).append(registered)
        return households, keys, outgoing

    def _keys(self, household_id: str, wrapped: Sequence[WrappedKey], trace: bytes) -> Out:
        keys = tuple(
            DataKey(
                key_id=key_id,
                purpose=purpose,
                state=KeyState.ACTIVE,
                master_key_id=self.master.id,
                wrapped=key,
            )
            for (key_id, _, key), purpose in zip(wrapped, KeyPurpose, strict=True)
        )
        data = HouseholdKeys(household_id=household_id, keys=keys)
        event_id = uuid5(f"{HOUSEHOLD_KEYS.name}/{household_id}/1")
        return household_id.encode(), wire.dump(data), event_id.encode(), b"row", b"import", trace


def _registered(
    row: Sequence[str],
    household_id: str,
    plain: Sequence[bytes],
    keys: Sequence[tuple[str, bytes]],
    trace: bytes,
) -> Out:
    event_id = uuid5(f"{HOUSEHOLD_REGISTERED.name}/{household_id}/1")
    persons, payee = (
        Sealed(key_id=key_id, blob=seal(AESGCM(key), part, event_id, HOUSEHOLD_REGISTERED))
        for (key_id, key), part in zip(keys, plain, strict=True)
    )
    _, village, level, *_ = row
    data = HouseholdRegistered(
        household_id=household_id,
        revision=1,
        commune=village[:6],
        area_type=area_type_of(village[:6]),
        level=Level(level),
        registered_by="floor",
        persons=persons,
        payee=payee,
    )
    return household_id.encode(), wire.dump(data), event_id.encode(), b"row", b"import", trace


def persons_of(row: Sequence[str], chance: Iterator[bytes]) -> tuple[Persons, Payee]:
    """Who a row names. Raises pydantic's errors for one that names nobody."""
    cell = dict(zip(HOUSEHOLD_COLUMNS, row, strict=False))
    members = [_member(row[at : at + len(MEMBER_COLUMNS)], next(chance).hex()) for at in _MEMBERS if row[at]]
    card = {"number": cell["card_number"], "expires_on": cell["card_expires_on"] or None}
    persons = {
        "members": members,
        "village": cell["village"],
        "equity_card": card if cell["card_number"] else None,
        "dwelling": {**{name: cell[name] or None for name in _DWELLING}, "electricity": cell["electricity"]},
        "assets": _words(cell["assets"]),
        "consents": _words(cell["consents"]),
    }
    collector = members[int(cell["collector"] or "1") - 1]
    account = {"provider": cell["account_provider"], "number": cell["account_number"]}
    payee = {
        "person_id": collector["person_id"],
        "name_km": collector["name_km"],
        "name_latin": collector["name_latin"],
        "phone": f"+855{cell['phone'].lstrip('0')}" if cell["phone"] else None,
        "account": account if cell["account_number"] else None,
        "language": cell["language"],
        "contact": cell["contact"],
    }
    return Persons.model_validate(persons), Payee.model_validate(payee)


def _member(cells: Sequence[str], person_id: str) -> dict[str, object]:
    name_km, name_latin, sex, birth_date, relation, conditions, school, attendance, national_id = cells
    return {
        "person_id": person_id,
        "name_km": name_km,
        "name_latin": name_latin,
        "sex": sex,
        "birth_date": birth_date,
        "relation": relation,
        "conditions": _words(conditions),
        "school": {"level": school, "attendance_percent": attendance or None} if school else None,
        "national_id": national_id or None,
    }


def _words(cell: str) -> list[str]:
    return cell.split(";") if cell else []


def pieces() -> Iterator[bytes]:
    """Random pieces of 16 bytes, drawn a thousand at once."""
    while True:
        drawn = os.urandom(16 * 1024)
        yield from (drawn[at : at + 16] for at in range(0, len(drawn), 16))


async def main() -> None:
    """Register the files that are named on the port."""
    registration = Registration("registration", SCHEMA)
    await registration.start()
    await until_stopped(registration, registration.read)


if __name__ == "__main__":
    run(main())
