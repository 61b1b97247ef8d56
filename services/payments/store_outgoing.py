"""SQL about what partners that read no topic are to be told, and about the files and calls that told them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from postbox.message import Connection

PAY, ASK = "pay", "ask"
_WAITING = "household_id, instruction_id, partner, payment_id, kind, amount, null::bytea, flaw"


class Waiting(NamedTuple):
    """An instruction that waits to be told; `token` is sealed to us, `flaw` why it can't be told."""

    household_id: str
    instruction_id: str
    partner: str
    payment_id: str
    kind: str
    amount: int
    token: bytes | None
    flaw: str | None = None


class Message(NamedTuple):
    """A file or call to a partner: how many instructions, and riel to pay."""

    message_id: str
    partner: str
    kind: str
    payments: int
    riel: int
    state: str
    created_at: datetime
    told_at: datetime | None
    tried_at: datetime | None = None


class Pause(NamedTuple):
    """A partner that waits: why, by whom (None: it was down), and since when."""

    partner: str
    reason: str
    by: str | None
    since: datetime


class Paid(NamedTuple):
    """Which payment an id of a partner's file is; `amount` in riel."""

    household_id: str
    partner: str
    amount: int


async def add(db: Connection, waiting: Sequence[Waiting], now: datetime) -> None:
    """Keep instructions until they are told; one that is known already is left as it is."""
    rows = {(each.household_id, each.instruction_id): each for each in waiting}
    if rows:
        await db.execute(
            "insert into outgoing (household_id, instruction_id, partner, payment_id, kind, "
            "amount, token, flaw, "
            "queued_at) "
            "select *, $9 from unnest($1::text[], $2::text[], $3::text[], $4::text[], "
            "$5::text[], $6::bigint[], "
            "$7::bytea[], $8::text[]) on conflict (household_id, instruction_id) do nothing",
            *zip(*(rows[key] for key in sorted(rows)), strict=True),
            now,
        )


async def claim(db: Connection, partner: str, kind: str, most: int) -> list[tuple[str, int]]:
    """(instruction, riel) of what waits for this partner, locked, in the order of a file."""
    rows = await db.fetch(
        "select instruction_id, amount from outgoing where partner = $1 and message_id is null "
        "and flaw is null and (kind = 'pay') = ($2 = 'pay') order by instruction_id limit $3 for "
        "update skip locked",
        partner,
        kind,
        most,
    )
    return [(row["instruction_id"], row["amount"]) for row in rows]


async def put_in(db: Connection, message: Message, instruction_ids: Sequence[str]) -> None:
    """Write down what a message holds, before it is made."""
    await db.execute(
        "insert into partner_message (message_id, partner, kind, payments, riel, state, created_at) "
        "values ($1, $2, $3, $4, $5, $6, $7)",
        *message[:7],
    )
    await db.execute(
        "update outgoing set message_id = $1 where partner = $2 and message_id is null and "
        "instruction_id = any($3)",
        message.message_id,
        message.partner,
        instruction_ids,
    )


async def next_message(db: Connection, partner: str) -> Message | None:
    """The oldest message that was written down and perhaps not made yet."""
    row = await db.fetchrow(
        "select * from partner_message where partner = $1 and state = 'claimed' order by created_at limit 1",
        partner,
    )
    return Message(*row) if row else None


async def held_in(db: Connection, message_id: str) -> list[Waiting]:
    """What a message holds, in order."""
    rows = await db.fetch(
        "select household_id, instruction_id, partner, payment_id, kind, amount, token from outgoing "
        "where message_id = $1 order by instruction_id",
        message_id,
    )
    return [Waiting(*row) for row in rows]


async def trying(db: Connection, message_id: str, now: datetime) -> None:
    """A call is about to be made: from here on its outcome may be in doubt."""
    await db.execute("update partner_message set tried_at = $2 where message_id = $1", message_id, now)


async def not_taken(db: Connection, message_id: str) -> None:
    """The partner said that it took nothing: there is no doubt any more."""
    await db.execute("update partner_message set tried_at = null where message_id = $1", message_id)


async def pauses(db: Connection) -> dict[str, Pause]:
    """Partners that wait, by name."""
    rows = await db.fetch("select partner, reason, by, since from partner_pause order by partner")
    return {row["partner"]: Pause(*row) for row in rows}


async def pause(db: Connection, partner: str, reason: str, by: str | None, now: datetime) -> None:
    """Note that a partner waits; what a person said stands until a person resumes it."""
    await db.execute(
        "insert into partner_pause values ($1, $2, $3, $4) on conflict (partner) do update "
        "set reason = excluded.reason, by = excluded.by where partner_pause.by is null or "
        "excluded.by is not null",
        partner,
        reason,
        by,
        now,
    )


async def resume(db: Connection, partner: str, *, of_person: bool) -> None:
    """A partner works again; what a person paused only a person resumes."""
    await db.execute(
        "delete from partner_pause where partner = $1 and (by is null or $2)", partner, of_person
    )


async def heard_at(db: Connection, topic: str) -> datetime | None:
    """When something of this topic (its name without a prefix) was last booked or parked."""
    found: datetime | None = await db.fetchval(
        "select max(updated_at) from position where topic like '%' || $1 and next_offset > 0", topic
    )
    return found


async def told(db: Connection, message_id: str, now: datetime) -> None:
    """A message was made: what it said of persons is forgotten here."""
    await db.execute(
        "update partner_message set state = 'told', told_at = $2 where message_id = $1 and state = 'claimed'",
        message_id,
        now,
    )
    await db.execute(
        "update outgoing set token = null where message_id = $1 and token is not null", message_id
    )


async def unsent(db: Connection, partner: str, most: int) -> list[Waiting]:
    """What can't be told at all, and requests to cancel that wait, locked."""
    rows = await db.fetch(
        f"select {_WAITING} from outgoing "  # noqa: S608 - a constant
        "where partner = $1 and message_id is null and (flaw is not null or kind = 'cancel') "
        "order by household_id, instruction_id limit $2 for update skip locked",
        partner,
        most,
    )
    return [Waiting(*row) for row in rows]


async def untold(db: Connection, *, partner: str, payment_ids: Sequence[str]) -> list[Waiting]:
    """Orders to pay these that are in no message yet, locked."""
    rows = await db.fetch(
        f"select {_WAITING} from outgoing "  # noqa: S608 - a constant
        "where payment_id = any($2) and partner = $1 and kind = 'pay' and message_id is null "
        "order by household_id, instruction_id for update",
        partner,
        payment_ids,
    )
    return [Waiting(*row) for row in rows]


async def say_no_more(db: Connection, payment_ids: Sequence[str]) -> None:
    """Whatever waits to be told of these payments is told no more: they have ended."""
    await db.execute(
        "update outgoing set message_id = '', token = null where payment_id = any($1) and message_id is null",
        payment_ids,
    )


async def refuse_to_cancel(db: Connection, cancels: Sequence[Waiting], now: datetime) -> None:
    """These can't be told, for their `flaw`; the partner is asked about the payments instead."""
    await db.execute(
        "update outgoing o set message_id = '', token = null from unnest($1::text[], $2::text[]) "
        "as t(household_id, instruction_id) where o.household_id = t.household_id "
        "and o.instruction_id = t.instruction_id",
        [each.household_id for each in cancels],
        [each.instruction_id for each in cancels],
    )
    inquiries = [
        each._replace(instruction_id=f"{each.instruction_id}/asked", kind="inquire", flaw=None)
        for each in cancels
    ]
    await add(db, inquiries, now)


async def told_since(db: Connection, partner: str, since: datetime) -> int:
    """How many payments a partner was told, or is about to be, since then."""
    return int(
        await db.fetchval(
            "select coalesce(sum(payments), 0)::bigint from partner_message "
            "where partner = $1 and kind = 'pay' and created_at >= $2",
            partner,
            since,
        )
    )


async def waits_more(db: Connection, partner: str, than: int) -> bool:
    """Whether at least so many instructions wait for a partner."""
    waits = await db.fetchval(
        "select count(*) from (select from outgoing where partner = $1 and message_id is null limit $2) w",
        partner,
        than,
    )
    return int(waits) >= than


async def find(db: Connection, payment_ids: Iterable[str]) -> dict[str, Paid]:
    """Payments that partners were told of through us, by id."""
    rows = await db.fetch(
        "select payment_id, household_id, partner, amount from outgoing where payment_id = "
        "any($1) and kind = 'pay'",
        sorted(set(payment_ids)),
    )
    return {row["payment_id"]: Paid(row["household_id"], row["partner"], row["amount"]) for row in rows}


async def ordered_in(db: Connection, partner: str, message_id: str) -> list[str]:
    """The payments that a message ordered from this partner, in its order; none where it is not ours."""
    rows = await db.fetch(
        "select payment_id from outgoing where message_id = $1 and partner = $2 and kind = 'pay' "
        "order by instruction_id",
        message_id,
        partner,
    )
    return [row["payment_id"] for row in rows]


async def asked_in(db: Connection, partner: str, message_id: str) -> dict[str, str]:
    """The questions that a message asked this partner, by payment."""
    rows = await db.fetch(
        "select payment_id, instruction_id from outgoing "
        "where message_id = $1 and partner = $2 and kind = 'inquire'",
        message_id,
        partner,
    )
    return {row[0]: row[1] for row in rows}


async def asked_before(
    db: Connection, partner: str, payment_ids: Sequence[str], at: datetime
) -> dict[str, str]:
    """The latest question about each of these payments that this partner was told before a time."""
    rows = await db.fetch(
        "select o.payment_id, o.instruction_id from outgoing o join partner_message m using (message_id) "
        "where o.payment_id = any($1) and o.partner = $2 and o.kind = 'inquire' and m.told_at < $3 "
        "order by m.told_at",
        payment_ids,
        partner,
        at,
    )
    return {row[0]: row[1] for row in rows}


async def messages(db: Connection, partner: str, most: int) -> list[Message]:
    """The latest messages to a partner, the newest first."""
    rows = await db.fetch(
        "select * from partner_message where partner = $1 order by created_at desc limit $2", partner, most
    )
    return [Message(*row) for row in rows]


async def waiting(db: Connection) -> dict[str, int]:
    """How many instructions wait to be told, by partner."""
    rows = await db.fetch(
        "select partner, count(*) from outgoing where message_id is null group by 1 order by 1"
    )
    return {row[0]: row[1] for row in rows}
