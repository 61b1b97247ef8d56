"""SQL of delivery receipts: whose they are, what they changed, which wait, and which never came."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from postbox.message import Connection
from services.notifications.receipts import Known, Receipt, Status
from services.notifications.sms import Finished, Result
from services.notifications.store import SHOWN_STATE

KEPT_DAYS = 30
_FINISHED = ", ".join(f"s.{field}" for field in Finished._fields)


class Overdue(NamedTuple):
    """An SMS whose receipt window has passed, with the gateway's ids of its parts."""

    sms_id: str
    gateway_message_ids: Sequence[str]


async def name(db: Connection, claim: str, results: Sequence[Result]) -> None:
    """Keep the gateway's own ids of a claim's SMS that were handed over, so that their receipts find them."""
    named = sorted((theirs, each.sms_id) for each in results for theirs in each.gateway_message_ids)
    if named:
        await db.execute(
            """
            insert into gateway_message (gateway_message_id, sms_id)
            select t.* from unnest($2::text[], $3::text[]) t(gateway_message_id, sms_id)
                join sms s using (sms_id) where s.claimed_by = $1
            on conflict do nothing
            """,
            claim,
            *(list(column) for column in zip(*named, strict=True)),
        )


async def load(db: Connection, receipts: Iterable[Receipt]) -> tuple[dict[str, Known], dict[str, str]]:
    """The SMS of these receipts, locked, by id; and the SMS of each id of the gateway's."""
    told = list(receipts)
    named = await db.fetch(
        "select gateway_message_id, sms_id from gateway_message where gateway_message_id = any($1)",
        [each.gateway_message_id for each in told if each.gateway_message_id],
    )
    owners = {row[0]: row[1] for row in named}
    wanted = sorted({*owners.values(), *(each.sms_id for each in told if each.sms_id)})
    rows = await db.fetch(
        f"select sms_id, {SHOWN_STATE}, receipt, receipt_code from sms "  # noqa: S608
        "where sms_id = any($1) order by sms_id for update",
        wanted,
    )
    parts: dict[str, dict[str, str | None]] = {}
    if owners:
        of_sms = "select sms_id, gateway_message_id, receipt from gateway_message where sms_id = any($1)"
        for sms_id, part, receipt in await db.fetch(of_sms, wanted):
            parts.setdefault(sms_id, {})[part] = receipt
    return {row[0]: Known(row[0], row[1], row[2], row[3], parts.get(row[0], {})) for row in rows}, owners


async def save(db: Connection, changed: Sequence[Known]) -> list[Finished]:
    """Write what receipts changed; gives those whose own word changed, with the new version.

    A queued SMS that turns out delivered is not sent any more: what became of handing it over stays unknown.
    """
    rows = sorted(changed, key=lambda known: known.sms_id)
    parts = sorted((part, word) for known in rows for part, word in known.parts.items() if word)
    if parts:
        await db.execute(
            "update gateway_message g set receipt = t.receipt from unnest($1::text[], $2::text[]) "
            "t(part, receipt) where g.gateway_message_id = t.part and g.receipt is distinct from t.receipt",
            *(list(column) for column in zip(*parts, strict=True)),
        )
    if waiting := [known.sms_id for known in rows if known.state in ("queued", "waiting")]:
        # Whoever claims the rest of its row waits no longer for this one; who claimed it before us sends it.
        await db.execute(
            "update sms_due set sms_ids = array(select unnest(sms_ids) except select unnest($1::text[])) "
            "where sms_ids && $1::text[]",
            waiting,
        )
    found = await db.fetch(
        f"""
        update sms s set receipt = t.receipt, receipt_code = t.code, version = version + 1,
            finished_at = now(),
            state = case when s.state in ('queued', 'waiting') then 'unknown' else s.state end,
            reason = case when s.state in ('queued', 'waiting') then 'delivered-though-not-taken'
                else s.reason end
        from unnest($1::text[], $2::text[], $3::text[]) as t(sms_id, receipt, code)
        where s.sms_id = t.sms_id and s.receipt is distinct from t.receipt
        returning {_FINISHED}, s.receipt, s.receipt_code
        """,  # noqa: S608
        [known.sms_id for known in rows],
        [known.receipt for known in rows],
        [known.code for known in rows],
    )
    return [Finished(*row[:-2])._replace(state=row[-2], reason=row[-1]) for row in found]


async def park(db: Connection, waiting: Mapping[Receipt, str]) -> None:
    """Keep receipts that nothing can be made of, with the reason; one that comes again is counted."""
    rows = sorted(
        (each.id, each.sms_id is None, each.status.value, each.code, reason)
        for each, reason in {
            (each.id, each.sms_id is None, each.status): (each, reason) for each, reason in waiting.items()
        }.values()
    )
    if rows:
        await db.execute(
            """
            insert into receipt_parked (id, of_gateway, status, code, reason)
            select * from unnest($1::text[], $2::boolean[], $3::text[], $4::text[], $5::text[])
            on conflict (id, of_gateway, status) do update set copies = receipt_parked.copies + 1
            """,
            *(list(column) for column in zip(*rows, strict=True)),
        )


async def take_parked(db: Connection, most: int) -> list[Receipt]:
    """Parked receipts whose SMS is known by now, taken out to be booked."""
    rows = await db.fetch(
        """
        delete from receipt_parked where ctid in (
            select p.ctid from receipt_parked p left join gateway_message g
                on p.of_gateway and g.gateway_message_id = p.id
            join sms s on s.sms_id = case when p.of_gateway then g.sms_id else p.id end
            where s.state <> 'sending' and s.sms_id not in (select unnest(sms_ids) from sms_claim)
            order by p.id limit $1 for update of p skip locked)
        returning id, of_gateway, status, code
        """,
        most,
    )
    return [
        Receipt(None if of else told, told if of else None, Status(word), code)
        for told, of, word, code in rows
    ]


async def forget_parked(db: Connection) -> None:
    """Drop what has been parked for longer than anyone would ask."""
    await db.execute(
        "delete from receipt_parked where received_at < now() - make_interval(days => $1)", KEPT_DAYS
    )


async def overdue(db: Connection, most: int) -> list[Overdue]:
    """SMS whose receipt window has passed in silence, oldest first."""
    rows = await db.fetch(
        """
        select s.sms_id, array(select g.gateway_message_id from gateway_message g
            where g.sms_id = s.sms_id and g.receipt is null)
        from sms s where s.receipt = 'awaited' and s.receipt_until < now() and s.state in ('sent', 'unknown')
        order by s.receipt_until limit $1
        """,
        most,
    )
    return [Overdue(*row) for row in rows]


async def expire(db: Connection, sms_ids: Sequence[str], again: Sequence[str]) -> tuple[list[Finished], int]:
    """End the wait for receipts: `unknown`, and told so unless it was already. Gives those to tell of.

    An SMS whose handing over is unknown is queued once more where `again` names its template; also gives
    how many were.
    """
    found = await db.fetch(
        f"""
        with due as (
            select sms_id, state = 'unknown' as doubted, state = 'unknown' and template = any($2)
                and attempts < 2 as again
            from sms where sms_id = any($1) and receipt = 'awaited' and receipt_until < now()
            order by sms_id for update skip locked
        ), ended as (
            update sms s set receipt = case when due.again then null else 'unknown' end,
                state = case when due.again then 'queued' else s.state end,
                finished_at = case when due.again then null else s.finished_at end,
                not_before = case when due.again then now() else s.not_before end,
                version = version + (not due.doubted)::int
            from due where s.sms_id = due.sms_id
            returning {_FINISHED}, due.doubted, due.again, s.priority, s.not_before
        ), queued as (
            insert into sms_due select priority, not_before, array[sms_id] from ended where again
        )
        select {_FINISHED}, s.doubted, s.again from ended s
        """,  # noqa: S608
        sms_ids,
        again,
    )
    tell = [
        Finished(*row[:-2])._replace(state="unknown", reason="no-receipt") for row in found if not row[-2]
    ]
    return tell, sum(row[-1] for row in found)


async def summary(db: Connection) -> dict[str, int]:
    """SMS by what their receipts said (`receipts_…`), and receipts that are parked."""
    rows = await db.fetch("select receipt, count(*) from sms where receipt is not null group by 1")
    parked = await db.fetchval("select coalesce(sum(copies), 0)::bigint from receipt_parked")
    counted = dict.fromkeys(("awaited", "delivered", "failed", "unknown"), 0)
    counted |= {row[0]: row[1] for row in rows}
    return {f"receipts_{word}": count for word, count in counted.items()} | {"receipts_parked": int(parked)}
