"""SQL about decisions: those that wait for nothing stand with their household, the others have rows.

`every_decision` gives both. What a decision is about is kept once, by its digest.
"""

from collections.abc import Iterator, Sequence

from postbox.message import Connection
from services.payments.budget import Waiting
from services.payments.decided import Decision, Matter, Outcome, Part, matter_id
from services.payments.entitlements import Household

_COLUMNS = (
    *("household_id", "programme", "programme_hash", "purpose", "cycle_id", "period", "outcome", "amount"),
    *("decision_id", "revision", "waiting"),
)

_NAME = """
insert into matter (matter_id, programme, programme_hash, purpose, cycle_id, period)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
on conflict do nothing
"""
_UPSERT = """
insert into decision (household_id, programme, programme_hash, purpose, cycle_id, period, outcome, amount,
    decision_id, revision, waiting)
select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::bigint[], $9::text[], $10::bigint[], $11::text[])
on conflict (household_id, programme, period) do update set
    programme_hash = excluded.programme_hash, purpose = excluded.purpose, cycle_id = excluded.cycle_id,
    outcome = excluded.outcome, amount = excluded.amount, decision_id = excluded.decision_id,
    revision = excluded.revision, waiting = excluded.waiting
"""
_DELETE = """
delete from decision d using unnest($1::text[], $2::text[], $3::text[]) as t(household_id, programme, period)
where d.household_id = t.household_id and d.programme = t.programme and d.period = t.period
"""


async def load(db: Connection, household_ids: Sequence[str]) -> dict[str, dict[Part, Decision]]:
    """What stands of these households' decisions."""
    rows = await db.fetch(
        "select household_id, programme, programme_hash, purpose, cycle_id, period, outcome, amount, "
        "decision_id, revision, waiting from every_decision where household_id = any($1)",
        household_ids,
    )
    found: dict[str, dict[Part, Decision]] = {}
    for row in rows:
        decision = Decision(
            programme=row["programme"],
            programme_hash=row["programme_hash"],
            purpose=row["purpose"],
            cycle_id=row["cycle_id"],
            period=row["period"] or None,
            outcome=Outcome(row["outcome"]),
            amount=row["amount"],
            decision_id=row["decision_id"],
            revision=row["revision"],
            waiting=Waiting(row["waiting"]) if row["waiting"] else None,
        )
        found.setdefault(row["household_id"], {})[decision.part] = decision
    return found


class Standing:
    """Decisions of households (sorted) as they are written: in `settled`, by household, riel by matter as
    JSON (None: none), the others as rows."""

    def __init__(self, households: Sequence[Household]) -> None:
        self.settled: list[str | None] = []
        self._matters: dict[Matter, str] = {}
        self._rows: list[tuple[object, ...]] = []
        self._households = households
        for household in households:
            self.settled.append(self._take(household))

    async def insert(self, db: Connection) -> None:
        """Write what is beside households that were just inserted."""
        await self._name_matters(db)
        if self._rows:
            await db.copy_records_to_table("decision", columns=_COLUMNS, records=self._rows)

    async def update(self, db: Connection) -> None:
        """The same of households that were there before; a row goes once its decision waits for nothing."""
        await self._name_matters(db)
        if self._rows:
            await db.execute(_UPSERT, *zip(*self._rows, strict=True))
        gone = [(each.household_id, *part) for each in self._households for part in _without_row(each)]
        if gone:
            await db.execute(_DELETE, *zip(*gone, strict=True))

    def _take(self, household: Household) -> str | None:
        said = []
        for _, each in sorted(household.decisions.items()):
            if _is_settled(household, each):
                matter = each[:5]
                known_as = self._matters.get(matter)
                if known_as is None:
                    known_as = self._matters[matter] = matter_id(matter)
                said.append(f'"{known_as}":{each.amount}')
            else:
                self._rows.append(
                    (
                        *(household.household_id, each.programme, each.programme_hash, each.purpose),
                        *(each.cycle_id, each.period or "", each.outcome, each.amount, each.decision_id),
                        *(each.revision, each.waiting),
                    )
                )
        return f"{{{','.join(said)}}}" if said else None

    async def _name_matters(self, db: Connection) -> None:
        if self._matters:
            named = sorted((known_as, *matter) for matter, known_as in self._matters.items())
            await db.execute(_NAME, *zip(*named, strict=True))


def _is_settled(household: Household, decision: Decision) -> bool:
    """Whether it stands with its household: of its latest event, and neither waiting nor void."""
    if decision.waiting is not None or decision.decision_id != household.decision_id:
        return False
    return decision.outcome is (Outcome.ELIGIBLE if decision.amount else Outcome.REFUSED)


def _without_row(household: Household) -> Iterator[Part]:
    yield from sorted(household.dropped)
    yield from (part for part, each in sorted(household.decisions.items()) if _is_settled(household, each))
