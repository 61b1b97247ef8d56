"""SQL that counts SMS by operator and province, without persons."""

from asyncpg import Record as Row

from postbox.message import Connection


async def by_operator_and_province(db: Connection) -> list[Row]:
    """What became of SMS; of those handed over (`sent`), receipts told which were `delivered` and `failed`.

    By operator (null where none was handed over) and province (first digits of the commune's code).
    """
    return await db.fetch(
        """
        select s.operator, left(c.commune, 2) as province,
            count(*) filter (where s.state in ('queued', 'sending', 'waiting')) as waiting,
            count(*) filter (where s.state = 'sent') as sent,
            count(*) filter (where s.receipt = 'delivered') as delivered,
            count(*) filter (where s.state = 'failed' or s.receipt = 'failed') as failed,
            count(*) filter (where s.receipt = 'unknown'
                or (s.state = 'unknown' and coalesce(s.receipt, 'awaited') = 'awaited')) as unknown,
            count(*) filter (where s.state = 'none' and s.reason = 'opted-out') as opted_out,
            count(*) filter (where s.state = 'none' and s.reason <> 'opted-out') as not_sent,
            coalesce(sum(s.segments) filter (where s.state in ('sent', 'unknown')), 0)::bigint as segments
        from sms s left join contact c using (household_id)
        group by 1, 2 order by 1 nulls last, 2 nulls last
        """
    )


async def opted_out(db: Connection) -> int:
    """How many numbers ask for silence now."""
    return int(await db.fetchval("select count(*) from opt_out"))
