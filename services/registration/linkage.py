"""Which households look like one: Fellegi-Sunter record linkage of their members, by Splink on DuckDB.

It runs in a process of its own (`python -m services.registration.linkage`, one task a process), so that
searching neither keeps memory nor stops the service, and what does not search loads no DuckDB.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import duckdb
import pyarrow
from pyarrow import parquet
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink.blocking_rule_library import And, CustomRule
from splink.comparison_level_library import CustomLevel, ElseLevel, NullLevel
from splink.comparison_library import CustomComparison
from splink.internals.blocking_rule_creator import BlockingRuleCreator
from splink.internals.comparison_level_creator import ComparisonLevelCreator

from services.registration.likeness import (
    COMPARISONS,
    MAY_BE_UNKNOWN,
    OF_HOUSEHOLDS,
    OF_PERSONS,
    PASSES,
    RARE,
    Answer,
    Compared,
    Level,
    Pair,
    Task,
    likeness,
)

SAMPLE_PAIRS = 1_000_000
SEED = 1
LEARNT_FROM_LEAST = 10_000
"""Persons of whom how often strangers agree can be learnt."""

FIRST_LOOK_BITS = 14.0
"""What two members must weigh together before all members of their households are compared."""

_READ = ("household_id_", "member_", "gamma_", "mw_")


def learn(task: Task) -> str:
    """How often strangers agree, from a seeded sample of everybody; gives the model as JSON.

    Of few people nothing is learnt: the model is then the one of `likeness.py`, and no value is rare.
    """
    enough = _persons(task) >= LEARNT_FROM_LEAST
    with _database(task) as database:
        people = DuckDBAPI(database).register(database.read_parquet(task.people))
        linker = Linker(people, _settings(learnt=enough), log_level="ERROR", validate_settings=False)
        if enough:
            linker.training.estimate_u_using_random_sampling(SAMPLE_PAIRS, seed=SEED, num_chunks=1)
        return json.dumps(linker.misc.save_model_to_json())


def look(task: Task) -> list[Pair]:
    """The pairs of households that look like one, among those who agree on the key in this chunk.

    Members are compared twice: those of the chunk, to find pairs of households; then all members of those
    households, wherever they fell, to weigh each pair as a whole.
    """
    with _database(task) as database:
        backend = DuckDBAPI(database)
        everybody = database.read_parquet(task.people)
        here = everybody.filter(f"{task.key} is not null and hash({task.key}) % {task.chunks} = {task.chunk}")
        some = backend.register(here)
        linker = Linker(some, json.loads(task.model), log_level="ERROR", validate_settings=False)
        for column in RARE:
            share = f"{column}, count(*) / {_persons(task)} as tf_{column}"
            frequencies = backend.register(everybody.aggregate(share, column))
            linker.table_management.register_term_frequency_lookup(frequencies, column)
        alike = linker.inference.predict_within(
            some,
            blocking_rules_to_generate_predictions=[_agreeing(columns) for columns in PASSES[task.key]],
            threshold_match_weight=FIRST_LOOK_BITS,
            warning_mode="never",
        )
        pairs = _pairs(alike.as_duckdbpyrelation())
        compared = linker.inference.predict_between(
            backend.register(_side(everybody, pairs, "first")),
            backend.register(_side(everybody, pairs, "later")),
            blocking_rules_to_generate_predictions=[block_on("pair")],
            warning_mode="never",
        )
        promising = _promising(compared.as_duckdbpyrelation(), task.least_bits).to_arrow_table()
        return [pair for pair in _weighed(promising) if pair.likeness.bits >= task.least_bits]


def _persons(task: Task) -> int:
    return parquet.read_metadata(task.people).num_rows


def _database(task: Task) -> duckdb.DuckDBPyConnection:
    """A database in memory. It never writes persons to a disk: past its memory it fails."""
    return duckdb.connect(
        config={"memory_limit": f"{task.memory_mb}MB", "threads": task.threads, "temp_directory": ""}
    )


def _settings(*, learnt: bool) -> SettingsCreator:
    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=[_comparison(name, levels, learnt) for name, levels in COMPARISONS.items()],
        # The weights alone are used, without the odds that Splink would begin with.
        probability_two_random_records_match=0.5,
        retain_intermediate_calculation_columns=True,
        additional_columns_to_retain=["household_id", "member"],
    )


def _comparison(name: str, levels: Sequence[Level], learnt: bool) -> CustomComparison:
    fixed = name in MAY_BE_UNKNOWN
    unknown = [NullLevel(name)] if fixed else []
    return CustomComparison([*unknown, *(_level(level, learnt, fixed) for level in levels)], name)


def _level(level: Level, learnt: bool, fixed: bool) -> ComparisonLevelCreator:
    made = CustomLevel(level.condition) if level.condition else ElseLevel()
    made.configure(m_probability=level.of_one, fix_m_probability=True)
    made.configure(u_probability=level.of_strangers, fix_u_probability=fixed)
    if learnt and level.rare is not None:
        made.configure(tf_adjustment_column=level.rare, disable_tf_exact_match_detection=True)
    return made


def _agreeing(columns: Sequence[str]) -> BlockingRuleCreator:
    return And(block_on(*columns), CustomRule("l.household_id <> r.household_id"))


def _pairs(alike: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The households of two members each, without repetition."""
    households = (
        "least(household_id_l, household_id_r) as first, greatest(household_id_l, household_id_r) as later"
    )
    return alike.project(households).distinct().project("first || ' ' || later as pair, first, later")


def _side(
    everybody: duckdb.DuckDBPyRelation, pairs: duckdb.DuckDBPyRelation, household: str
) -> duckdb.DuckDBPyRelation:
    """All members of one household of each pair, beside the pair they are compared for."""
    columns = [name for name in everybody.columns if name != "unique_id"]
    return (
        everybody.set_alias("member")
        .join(pairs.set_alias("pairs"), f"member.household_id = pairs.{household}")
        .project(f"pair || ' ' || unique_id as unique_id, pair, {', '.join(columns)}")
    )


def _promising(compared: duckdb.DuckDBPyRelation, least_bits: float) -> duckdb.DuckDBPyRelation:
    """The comparisons of those pairs that could weigh enough, were each member's likest the right one."""
    households = "household_id_l, household_id_r"
    own, whole = (_sum(of, compared.columns) for of in (OF_PERSONS, OF_HOUSEHOLDS))
    each = compared.project(f"*, {own} as own, {whole} as whole")
    best = each.aggregate(f"{households}, member_l, greatest(max(own), 0) as best, max(whole) as whole")
    most = best.aggregate(f"{households}, sum(best) + max(whole) as most")
    enough = most.filter(f"most >= {least_bits}").project(households)
    return compared.set_alias("compared").join(enough.set_alias("enough"), households)


def _sum(of: Iterable[str], columns: Sequence[str]) -> str:
    weights = (f"{kind}{name}" for name in of for kind in ("mw_", "mw_tf_adj_"))
    return " + ".join(weight for weight in weights if weight in columns)


def _weighed(compared: pyarrow.Table) -> Iterator[Pair]:
    def households(row: Mapping[str, str]) -> tuple[str, str]:
        return row["household_id_l"], row["household_id_r"]

    read = compared.select([name for name in compared.column_names if name.startswith(_READ)])
    for pair, rows in groupby(sorted(read.to_pylist(), key=households), households):
        members = list(rows)
        smaller = min(len({row[f"member_{side}"] for row in members}) for side in "lr")
        yield Pair(*pair, likeness(map(_compared, members), smaller))


def _compared(row: Mapping[str, Any]) -> Compared:
    return Compared(
        row["member_l"],
        row["member_r"],
        {name: row[f"gamma_{name}"] for name in COMPARISONS},
        {name: row[f"mw_{name}"] + row.get(f"mw_tf_adj_{name}", 0.0) for name in COMPARISONS},
    )


def main() -> None:
    """Do the `Task` on standard input; write the `Answer` to standard output."""
    os.nice(10)
    task = Task.model_validate_json(sys.stdin.buffer.read())
    try:
        answer = Answer(pairs=look(task)) if task.model else Answer(model=learn(task))
    except Exception as error:
        # The class alone: the text of a database's error may quote a person.
        answer = Answer(error=type(error).__name__)
    sys.stdout.write(answer.model_dump_json())


if __name__ == "__main__":
    main()
