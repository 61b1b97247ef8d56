"""SQL about whom households' SMS go to, and how households stand."""

from collections.abc import Sequence

from postbox.message import Connection
from services.notifications.telling import Contact, Standing


async def contacts(db: Connection, households: Sequence[str]) -> dict[str, Contact]:
    """The revision that is known of each household."""
    rows = await db.fetch(
        "select household_id, revision from contact where household_id = any($1::text[])", households
    )
    return {row[0]: Contact(row[0], row[1]) for row in rows}


async def keep_contacts(db: Connection, contacts: Sequence[Contact]) -> None:
    """Write contacts down, in one statement; an older revision changes nothing."""
    if not contacts:
        return
    rows = [each[:9] for each in contacts]
    await db.execute(
        """
        insert into contact (household_id, revision, commune, reach, event_id, key_id, payee, number_hash,
            fallback_hash)
        select * from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::bytea[], $8::bytea[], $9::bytea[])
        on conflict (household_id) do update set revision = excluded.revision, commune = excluded.commune,
            reach = excluded.reach, event_id = excluded.event_id, key_id = excluded.key_id,
            payee = excluded.payee, number_hash = excluded.number_hash, fallback_hash = excluded.fallback_hash
            where contact.revision < excluded.revision
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def forget(db: Connection, key_ids: Sequence[str]) -> None:
    """Nothing of who had these keys is kept but that there is such a household."""
    await db.execute(
        "update contact set reach = 'forgotten', payee = null, number_hash = null, fallback_hash = null"
        " where key_id = any($1::text[])",
        sorted(key_ids),
    )


async def standings(db: Connection, households: Sequence[str]) -> dict[str, Standing]:
    """How these households stood when they were last scored."""
    rows = await db.fetch(
        "select household_id, sequence, standing from standing where household_id = any($1::text[])",
        households,
    )
    return {row[0]: Standing(*row) for row in rows}


async def keep_standings(db: Connection, standings: Sequence[Standing]) -> None:
    """Write standings down, in one statement; an older scoring changes nothing."""
    if not standings:
        return
    rows = [each[:3] for each in standings]
    await db.execute(
        """
        insert into standing (household_id, sequence, standing)
        select * from unnest($1::text[], $2::int[], $3::text[])
        on conflict (household_id) do update set sequence = excluded.sequence, standing = excluded.standing
            where standing.sequence < excluded.sequence
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )
