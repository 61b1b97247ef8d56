"""SQL about whom households' SMS go to, and how households stand."""

from collections.abc import Mapping, Sequence

from postbox.message import Connection
from services.notifications.telling import Contact, Standing


async def contacts(db: Connection, households: Sequence[str]) -> dict[str, Contact]:
    """The revision that is known of each household."""
    rows = await db.fetch(
        "select household_id, revision from contact where household_id = any($1::text[])", households
    )
    return {row[0]: Contact(row[0], row[1], is_new=False) for row in rows}


async def keep_contacts(db: Connection, contacts: Sequence[Contact]) -> None:
    """Write contacts down: new ones are copied, which is cheaper; an older revision changes nothing."""
    new = [each[:9] for each in contacts if each.is_new]
    if new:
        await db.copy_records_to_table("contact", columns=Contact._fields[:9], records=new)
    rows = [each[:9] for each in contacts if not each.is_new]
    if not rows:
        return
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


async def forget(db: Connection, keys: Mapping[str, str]) -> None:
    """Nothing of who had these keys (by household) is kept but that there is such a household."""
    await db.execute(
        "update contact set reach = 'forgotten', payee = null, number_hash = null, fallback_hash = null"
        " where household_id = any($1::text[]) and key_id = any($2::text[])",
        sorted(keys),
        sorted(keys.values()),
    )


async def standings(db: Connection, households: Sequence[str]) -> dict[str, Standing]:
    """How these households stood when they were last scored."""
    rows = await db.fetch(
        "select household_id, sequence, standing from standing where household_id = any($1::text[])",
        households,
    )
    return {row[0]: Standing(row[0], row[1], row[2], is_new=False) for row in rows}


async def keep_standings(db: Connection, standings: Sequence[Standing]) -> None:
    """Write standings down: new ones are copied, which is cheaper; an older scoring changes nothing."""
    new = [each[:3] for each in standings if each.is_new]
    if new:
        await db.copy_records_to_table("standing", columns=Standing._fields[:3], records=new)
    rows = [each[:3] for each in standings if not each.is_new]
    if not rows:
        return
    await db.execute(
        """
        insert into standing (household_id, sequence, standing)
        select * from unnest($1::text[], $2::int[], $3::text[])
        on conflict (household_id) do update set sequence = excluded.sequence, standing = excluded.standing
            where standing.sequence < excluded.sequence
        """,
        *(list(column) for column in zip(*rows, strict=True)),
    )
