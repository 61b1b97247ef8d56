"""All SQL of the lab, in words that DuckDB and Trino share: who is judged, as what, and what it sums to."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType

import duckdb
import pyarrow

from services.eligibility.conditions import Visits
from services.eligibility.facts import Person
from services.eligibility.lab.columns import (
    DUE,
    KEPT_OF_PERSON,
    KINDS,
    OBSERVED_HOUSEHOLDS,
    OBSERVED_PERSONS,
    SHAKEN,
    VISITS,
    batch,
)
from services.eligibility.lab.observing import Heard, observe
from services.eligibility.lab.shapes import Due, Shape

MEMORY = "1GB"
TABLES = ("revision", "person", "exit", "shock", "report")
OBSERVED = MappingProxyType({"observed_household": OBSERVED_HOUSEHOLDS, "observed_person": OBSERVED_PERSONS})
ROWS_AT_ONCE = 10_000

# A household is as it was registered last by that day; who was registered later is taken as first registered.
_HISTORY = """
create table history as
select r.*,
    case when row_number() over (partition by household_id order by revision) = 1
        then date '0001-01-01' else registered_on end as seen_from,
    coalesce(lead(registered_on) over (partition by household_id order by revision), date '9999-12-31')
        as seen_to
from (select *, row_number() over (partition by household_id, revision order by revision_id) as copy
      from revision) r
where copy = 1
"""
# All reports of those households of whom one may say something on the day; what it says is no query's matter.
_HEARD = """
select r.* from report r
where household_id in (select household_id from report
    where kind = 'attendance' and seen_on <= {on} or kind <> 'attendance'
        and date_trunc('month', greatest(seen_on, reported_on)) = date_trunc('month', {on}))
order by household_id, number
"""
_JUDGED = """
create table judged as
select h.*, {visits}, coalesce(expires_on < {on}, false) as card_expired,
    case when registered_on > {on} then least({most}, date_diff('day', {on}, registered_on)) else 0 end
        as days_late,
    {shaken}
from history h left join observed_household o on o.household_id = h.household_id
where seen_from <= {on} and {on} < seen_to
    and not exists (select 1 from exit e
        where e.household_id = h.household_id and e.revision >= h.revision and e.exited_on <= {on})
"""
_SHAKEN = (
    "exists (select 1 from shock s where s.commune = h.commune and s.kind = '{kind}' "
    "and {on} between s.first_day and s.last_day) as {kind}"
)
_PRESENT = """
create table present as
select p.revision_id, {person}, {visits_of},
    case when attendance_registered is null then 0
        else coalesce(o.attendance_percent, attendance_registered) end as attendance_percent,
    year({on}) - year(birth_date)
        - case when month({on}) * 100 + day({on}) < month(birth_date) * 100 + day(birth_date)
            then 1 else 0 end as age
from person p join judged j on p.revision_id = j.revision_id
left join observed_person o on o.household_id = j.household_id and o.person_id = p.person_id
where birth_date <= {on} and readable = 'read'
"""
_KINDS = "select distinct {facts} from present"
_SEEN = """
create table seen as
select j.revision_id, {asked}, days_late, coalesce(c.classes, {nobody}) as classes,
    coalesce(c.members, 0) as members
from judged j left join (
    select p.revision_id, array_agg(k.class order by k.class) as classes, count(*) as members
    from present p join kind k on {same_kind}
    group by p.revision_id
) c on c.revision_id = j.revision_id
where readable = 'read'
"""
_SHAPES = """
create table shape as
select row_number() over () as shape, s.* from (select distinct {asked}, days_late, classes from seen) s
"""
_FOUND = """
create table found as
select j.revision_id, h.shape, j.province, j.area, j.level, s.members,
    case when s.members >= 7 then '7+' else cast(s.members as varchar) end as size,
    case when poor_lowest >= 50 then 'likely' when poor_highest < 50 then 'unlikely' else 'unsure' end
        as poor,
    poor_lowest / 100 as poor_lowest, poor_highest / 100 as poor_highest,
    coalesce(d.current_riel, 0) as current_riel, coalesce(d.proposed_riel, 0) as proposed_riel
from seen s
join shape h on {same_shape}
join judged j on j.revision_id = s.revision_id
left join (
    select shape, sum(case when side = 'current' then riel else 0 end) as current_riel,
        sum(case when side = 'proposed' then riel else 0 end) as proposed_riel
    from due group by shape
) d on d.shape = h.shape
"""
_SUMS = """
select {by} as name, count(*) as households, sum(members) as people,
    count(*) filter (where current_riel > 0) as current_households,
    coalesce(sum(members) filter (where current_riel > 0), 0) as current_people,
    sum(current_riel) as current_riel,
    count(*) filter (where proposed_riel > 0) as proposed_households,
    coalesce(sum(members) filter (where proposed_riel > 0), 0) as proposed_people,
    sum(proposed_riel) as proposed_riel,
    count(*) filter (where proposed_riel > current_riel) as gaining,
    coalesce(sum(proposed_riel - current_riel) filter (where proposed_riel > current_riel), 0) as gained_riel,
    count(*) filter (where proposed_riel < current_riel) as losing,
    coalesce(sum(current_riel - proposed_riel) filter (where proposed_riel < current_riel), 0) as lost_riel,
    sum(poor_lowest) as poor_lowest, sum(poor_highest) as poor_highest,
    coalesce(sum(poor_lowest) filter (where current_riel > 0), 0) as current_poor_lowest,
    coalesce(sum(poor_highest) filter (where current_riel > 0), 0) as current_poor_highest,
    coalesce(sum(poor_lowest) filter (where proposed_riel > 0), 0) as proposed_poor_lowest,
    coalesce(sum(poor_highest) filter (where proposed_riel > 0), 0) as proposed_poor_highest
from found group by 1 order by 1
"""
_PROGRAMMES = """
select d.side, d.programme, count(*) as households, sum(f.members) as people, sum(d.riel) as riel
from found f join due d on d.shape = f.shape group by 1, 2 order by 1, 2
"""
_COUNTED = "select readable, count(*) from judged group by 1"
DIMENSIONS = ("everyone", "province", "area", "size", "level", "poor")
Row = dict[str, object]


class Lab:
    """The facts of one run, asked day by day."""

    def __init__(self, facts: Path, threads: int) -> None:
        """`facts` holds a folder of Parquet files for each of `TABLES`, and takes what memory can't."""
        scratch = str(facts / "scratch")
        self._db = duckdb.connect(
            config={"memory_limit": MEMORY, "threads": threads, "temp_directory": scratch}
        )
        self._db.execute("set preserve_insertion_order = false")
        for table in TABLES:
            pattern = str(facts / table / "*.parquet").replace("'", "''")
            self._db.execute(f"create view {table} as select * from read_parquet('{pattern}')")  # noqa: S608
        self._db.execute(_HISTORY)

    def kinds(self, on: date, days_late_most: int) -> list[Person]:
        """Persons on a day, each kind once, of all who are judged."""
        for table in (*OBSERVED, "judged", "present", "kind", "seen", "shape", "due", "found"):
            self._db.execute(f"drop table if exists {table}")
        words = _words(on, days_late_most)
        self._observe(on, words)
        self._db.execute(_JUDGED.format(**words))
        self._db.execute(_PRESENT.format(**words))
        return list(map(Person._make, self._db.execute(_KINDS.format(**words)).fetchall()))

    def shapes(
        self, kinds: Sequence[Person], classes: Sequence[int], asked: Sequence[str]
    ) -> Iterator[tuple[int, Shape]]:
        """Every shape of a household with its number, where `classes` says what class each kind is of."""
        self._keep("kind", KINDS, [(*kind, each) for kind, each in zip(kinds, classes, strict=True)])
        words = _asked(asked)
        self._db.execute(_SEEN.format(**words, nobody="[]", same_kind=_same("p", "k", Person._fields)))
        self._db.execute(_SHAPES.format(**words))
        names = ", ".join(asked)
        for number, days_late, members, *circumstances in self._db.execute(
            f"select shape, days_late, classes, {names} from shape"  # noqa: S608 - our own names
        ).fetchall():
            yield number, Shape(dict(zip(asked, circumstances, strict=True)), days_late, members)

    def settle(self, due: Sequence[Due], asked: Sequence[str]) -> None:
        """Give every household what its shape is due."""
        self._keep("due", DUE, due)
        self._db.execute(_FOUND.format(same_shape=_same("s", "h", (*asked, "days_late", "classes"))))

    def sums(self, dimension: str) -> list[Row]:
        """Households, people, riel, gains and losses by a dimension; one row for `everyone`."""
        by = "'everyone'" if dimension == "everyone" else dimension
        return self._rows(_SUMS.format(by=by))

    def programmes(self) -> list[Row]:
        """Households, people and riel by side and programme."""
        return self._rows(_PROGRAMMES)

    def counted(self) -> dict[str, int]:
        """How many households are judged, by whether they could be read."""
        return dict(self._db.execute(_COUNTED).fetchall())

    def riel(self) -> dict[str, tuple[int, int]]:
        """Riel now and proposed of every household, by id."""
        rows = self._db.execute(
            "select household_id, current_riel, proposed_riel from found join judged using (revision_id)"
        ).fetchall()
        return {household: (int(now), int(then)) for household, now, then in rows}

    def _observe(self, on: date, words: Mapping[str, str]) -> None:
        """What reports say on a day, household by household as they are read: memory holds a few thousand."""
        for table, schema in OBSERVED.items():
            self._keep(table, schema, [])
        heard = self._db.cursor().execute(_HEARD.format(**words))
        rows = chain.from_iterable(iter(lambda: heard.fetchmany(ROWS_AT_ONCE), []))
        seen = observe(map(Heard._make, rows), on)
        while some := list(islice(seen, ROWS_AT_ONCE)):
            households = [each.household for each in some]
            persons = [row for each in some for row in each.persons]
            for (table, schema), found in zip(OBSERVED.items(), (households, persons), strict=True):
                self._add(table, schema, found)

    def _rows(self, query: str) -> list[Row]:
        found = self._db.execute(query)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _keep(self, table: str, schema: pyarrow.Schema, rows: Sequence[tuple[object, ...]]) -> None:
        self._give(f"create table {table} as", schema, rows)

    def _add(self, table: str, schema: pyarrow.Schema, rows: Sequence[tuple[object, ...]]) -> None:
        self._give(f"insert into {table}", schema, rows)

    def _give(self, to: str, schema: pyarrow.Schema, rows: Sequence[tuple[object, ...]]) -> None:
        self._db.register("given", batch(schema, rows))
        self._db.execute(f"{to} select * from given")  # noqa: S608
        self._db.unregister("given")


def plan(on: date, days_late_most: int, asked: Sequence[str]) -> list[str]:
    """The statements of one day, as Trino reads them over the same Parquet files.

    What the first gives is `observe`d into the tables `OBSERVED`, which the others read.
    """
    words = {**_words(on, days_late_most), **_asked(asked)}
    return [
        _HEARD.format(**words).strip(),
        _HISTORY.strip(),
        _JUDGED.format(**words).strip(),
        _PRESENT.format(**words).strip(),
        _KINDS.format(**words),
        _SEEN.format(**words, nobody="array[]", same_kind=_same("p", "k", Person._fields)).strip(),
        _SHAPES.format(**words).strip(),
        _FOUND.format(same_shape=_same("s", "h", (*asked, "days_late", "classes"))).strip(),
        *(_SUMS.format(by=each).strip() for each in DIMENSIONS[1:]),
        _PROGRAMMES.strip(),
    ]


def _words(on: date, days_late_most: int) -> dict[str, str]:
    day = f"date '{on}'"
    shaken = (_SHAKEN.format(kind=kind, on=day) for kind in SHAKEN)
    return {
        "on": day,
        "most": str(days_late_most),
        "person": ", ".join(KEPT_OF_PERSON),
        "shaken": ",\n    ".join(shaken),
        "facts": ", ".join(Person._fields),
        "visits": _none_as_0(VISITS),
        "visits_of": _none_as_0(Visits._fields),
    }


def _none_as_0(names: Sequence[str]) -> str:
    return ", ".join(f"coalesce(o.{name}, 0) as {name}" for name in names)


def _asked(asked: Sequence[str]) -> dict[str, str]:
    return {"asked": ", ".join(asked)}


def _same(left: str, right: str, names: Sequence[str]) -> str:
    return " and ".join(f"{left}.{name} = {right}.{name}" for name in names)
