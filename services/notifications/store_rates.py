"""SQL of operators' rates: one row per operator, shared by all processes."""

from collections.abc import Mapping, Sequence

from postbox.message import Connection


async def lock(db: Connection, operators: Sequence[str]) -> dict[str, float]:
    """Seconds until each operator is free again, 0 where it is now; held until the transaction ends."""
    names = sorted(operators)
    await db.execute(
        "insert into operator_rate (operator) select unnest($1::text[]) on conflict do nothing", names
    )
    rows = await db.fetch(
        "select operator, greatest(extract(epoch from next_at - clock_timestamp()), 0)::float "
        "from operator_rate where operator = any($1) order by operator for update",
        names,
    )
    return {row[0]: row[1] for row in rows}


async def take(db: Connection, taken_s: Mapping[str, float]) -> None:
    """Keep each operator busy for so many seconds more."""
    rows = sorted(taken_s.items())
    await db.execute(
        "update operator_rate o set next_at = "
        "greatest(o.next_at, clock_timestamp()) + make_interval(secs => t.s) "
        "from unnest($1::text[], $2::float[]) t(operator, s) where o.operator = t.operator",
        [operator for operator, _ in rows],
        [seconds for _, seconds in rows],
    )
