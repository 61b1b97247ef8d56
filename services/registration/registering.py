"""Registering, revising and exiting households: each in the caller's transaction, with its events."""

import os
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from contracts import wire
from contracts.household import Channel, ExitReason, Payee, Persons
from postbox import outbox
from postbox.message import Connection
from services.registration import events, store
from services.registration.events import Registration
from services.registration.household import Content, Household, carry_person_ids, claims_of
from services.registration.store import Change, Kept, Origin
from vault import keyring
from vault.keyring import WrappedKey
from vault.master import MasterKey
from vault.sealing import Keys

LANE_API = "api"
LANE_IMPORT = "import"


class Arrival(NamedTuple):
    """A household that is admitted under an id; `row_number` where a file brought it."""

    household_id: str
    household: Household
    content: Content
    cause: wire.Cause
    row_number: int | None = None


class Act(NamedTuple):
    """Who acts, when, and in which lane of the outbox it is told."""

    by: str
    at: datetime
    lane: str
    import_id: str | None = None

    @property
    def channel(self) -> Channel:
        """Where those registered came from."""
        return Channel.DESK if self.import_id is None else Channel.FILE


async def register(
    db: Connection, master: MasterKey, arrivals: Sequence[Arrival], act: Act
) -> outbox.Written:
    """Write new households with their keys, and put their events in the outbox: keys before registrations."""
    if not arrivals:
        return {}
    made, told = [], []
    wrapped: list[WrappedKey] = []
    claims: dict[str, str] = {}
    keys = Keys({})
    arrivals = sorted(arrivals, key=attrgetter("household_id"))
    fresh = events.fresh_keys([each.household_id for each in arrivals], master, keys)
    person_ids = iter(fresh_person_ids(sum(len(each.household.members) for each in arrivals)))
    for arrival, own in zip(arrivals, fresh, strict=True):
        household_id = arrival.household_id
        registration = _registration(arrival, list(islice(person_ids, len(arrival.household.members))), own)
        wrapped += own
        made.append((registration, _origin(arrival, act)))
        told.append(events.keys_record(household_id, own, act.at, arrival.cause))
        told.append(
            events.registered(
                registration, keys, by=act.by, channel=act.channel, at=act.at, cause=arrival.cause
            )
        )
        claims |= dict.fromkeys(arrival.household.claims, household_id)
    await store.add(db, made)
    await store.claim(db, claims)
    await keyring.add(db, wrapped)
    return await outbox.write(db, act.lane, told)


async def revise(db: Connection, master: MasterKey, before: Kept, arrival: Arrival, act: Act) -> Registration:
    """Replace the content of a household, locked before; persons keep their ids, it keeps its keys."""
    kept, household = before.registration, arrival.household
    persons = wire.load(Persons, kept.persons)
    ids = carry_person_ids(persons, household.members, _fresh_person_id)
    revised = kept._replace(
        revision=kept.revision + 1,
        commune=household.commune,
        area_type=household.area_type,
        level=household.level,
        content_hash=arrival.content.hash,
        persons=arrival.content.persons_of(ids),
        payee=arrival.content.payee_of(ids[household.collector - 1]),
    )
    keys = await keyring.load(db, master, (kept.person_key, kept.payee_key))
    told = events.registered(revised, keys, by=act.by, channel=act.channel, at=act.at, cause=arrival.cause)
    await store.replace(db, revised)
    await store.give_back(db, kept.household_id, _claims(kept))
    await store.claim(db, dict.fromkeys(household.claims, kept.household_id))
    await store.record(db, _change(revised, "revised", arrival.cause, act))
    await outbox.write(db, act.lane, [told])
    return revised


async def leave(db: Connection, before: Kept, reason: ExitReason, cause: wire.Cause, act: Act) -> int:
    """Let a household exit, locked before; gives the revision of its exit."""
    kept = before.registration
    household_id, revision = kept.household_id, kept.revision + 1
    await store.mark_exited(db, household_id, revision)
    await store.give_back(db, household_id, _claims(kept))
    await store.record(db, _change(kept._replace(revision=revision), "exited", cause, act, reason))
    told = events.exited(household_id, revision, reason, by=act.by, at=act.at, cause=cause)
    await outbox.write(db, act.lane, [told])
    return revision


def fresh_person_ids(count: int) -> list[str]:
    """New opaque ids, each 12 random bytes as 16 characters that any URL may hold."""
    text = urlsafe_b64encode(os.urandom(12 * count)).decode()
    return [text[at : at + 16] for at in range(0, len(text), 16)]


def _fresh_person_id() -> str:
    return fresh_person_ids(1)[0]


def _claims(kept: Registration) -> tuple[str, ...]:
    persons, payee = wire.load(Persons, kept.persons), wire.load(Payee, kept.payee)
    return claims_of(persons.members, persons.equity_card, payee.account)


def _registration(
    arrival: Arrival, person_ids: Sequence[str], keys: tuple[WrappedKey, WrappedKey]
) -> Registration:
    household = arrival.household
    return Registration(
        household_id=arrival.household_id,
        reference=household.reference,
        revision=1,
        commune=household.commune,
        area_type=household.area_type,
        level=household.level,
        content_hash=arrival.content.hash,
        persons=arrival.content.persons_of(person_ids),
        payee=arrival.content.payee_of(person_ids[household.collector - 1]),
        person_key=keys[0].key_id,
        payee_key=keys[1].key_id,
    )


def _origin(arrival: Arrival, act: Act) -> Origin:
    by = act.by if act.import_id is None else None
    return Origin(act.at, by, act.import_id, arrival.row_number, arrival.cause.traceparent)


def _change(of: Registration, kind: str, cause: wire.Cause, act: Act, reason: str | None = None) -> Change:
    return Change(of.household_id, of.revision, kind, act.at, act.by, reason, None, None, cause.traceparent)
