"""From a registered household to a decision: told, kept, waited for, forgotten."""

import json

import asyncpg
import pytest

from contracts import topics, wire
from contracts.household import KeyPurpose, KeyState, Level, Payee
from services.eligibility.store_scorings import LAST
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import CYCLE, PROGRAMME, TRACE, cycle_changed, exited
from tests.waiting import until

pytestmark = pytest.mark.stack


async def test_a_registered_household_is_scored_for_the_open_cycle_and_told_in_the_same_trace(
    scene: Scene,
) -> None:
    async with scene.running():
        await scene.tell(cycle_changed())
        await until(lambda: scene.db.fetchval("select count(*) from cycle"))
        await scene.register("h-1")
        await until(lambda: scene.counts(eligible=1))
        (scored,) = await scene.scored()
        story = (await scene.get("/households/h-1/story")).json()
        decisions = (await scene.get("/households/h-1/decisions")).json()
        summary = (await scene.get("/summary")).json()
    (decision,) = scored.data.decisions
    assert (decision.programme_hash, decision.cycle_id) == (PROGRAMME.hash, CYCLE)
    assert (decision.period, decision.amount) == ("2023-06", 176_000)
    assert (scored.data.revision, scored.sequence, scored.key) == (1, 1, "h-1")
    assert (scored.correlation_id, scored.traceparent[:35]) == ("request-h-1", TRACE[:35])
    assert scored.id == wire.event_id(topics.ELIGIBILITY_SCORED, "h-1", 1)
    assert (summary["riel"], summary["in_cycle"], summary["households"]) == (176_000, 1, 1)
    (step,) = story
    assert (step["what"], step["trace_id"], step["detail"]["riel"]) == ("scored: eligible", "1" * 32, 176_000)
    assert step["detail"]["lines"] == "household 1 × 80000 + member 5 × 16000 + vulnerable member 1 × 16000"
    assert [line["amount"] for line in decisions[0]["lines"]] == [80_000, 80_000, 16_000]


async def test_the_payee_is_passed_on_sealed_for_the_event_that_carries_it(scene: Scene) -> None:
    async with scene.running():
        await scene.register("h-1")
        await until(lambda: scene.counts(households=1))
        (scored,) = await scene.scored()
    sealed = scored.data.payee
    event = {"event_id": scored.id, "event_type": topics.ELIGIBILITY_SCORED.name}
    payee = wire.load(Payee, scene.sealer.keys.open(sealed.key_id, sealed.blob, **event))
    assert payee.phone == "+85512345678"


async def test_nothing_kept_or_told_names_a_person_or_a_condition(scene: Scene) -> None:
    async with scene.running():
        await scene.register("h-1")
        await until(lambda: scene.counts(households=1))
        tables = await scene.db.fetch(
            "select table_name from information_schema.tables where table_schema = 'public'"
            " and table_name <> 'programme_file'"  # Policy, which speaks of conditions and is public.
        )
        kept = [
            (await scene.db.fetchval(f"select coalesce(string_agg(t::text, e'\\n'), '') from \"{name}\" t"))
            for (name,) in tables
        ]
    text = "\n".join(kept)
    assert "h-1" in text
    for secret in ("Sok", "សុខ", "85512345678", "CARD-1", "01020101", "1985-04-15", "disability"):
        hexed = secret.encode().hex()
        assert secret not in text
        assert hexed not in text


async def test_a_revision_is_scored_again_and_an_older_one_ignored(scene: Scene) -> None:
    async with scene.running():
        await scene.tell(cycle_changed())
        await until(lambda: scene.db.fetchval("select count(*) from cycle"))
        await scene.register("h-1")
        await scene.tell(scene.sealer.registered(revision=3, level=Level.NONE))
        await scene.tell(scene.sealer.registered(revision=2), scene.sealer.registered("h-2"))
        await scene.tell_keys("h-2")
        await until(lambda: scene.db.fetchval("select sum(sequence) = 3 from household"))
        await until(lambda: scene.counts(households=2))
        told = [(each.key, each.sequence, each.data.revision) for each in await scene.scored()]
    assert told == [("h-1", 1, 1), ("h-1", 2, 3), ("h-2", 1, 1)]
    assert await scene.db.fetchval("select count(*) from every_decision where household_id = 'h-1'") == 2
    assert await scene.db.fetchval("select revision from decision where household_id = 'h-1'") == 3


async def test_a_household_that_left_is_scored_no_more_until_it_registers_again(scene: Scene) -> None:
    async with scene.running():
        await scene.tell_keys("h-1")
        await scene.tell(exited("h-1", 2))
        await until(lambda: scene.db.fetchval("select count(*) from household"))
        await scene.tell(scene.sealer.registered(revision=1), scene.sealer.registered(revision=2))
        await until(lambda: scene.counts(exited=1))
        await scene.tell(scene.sealer.registered(revision=3))
        await until(lambda: scene.counts(exited=0, households=1))
        assert [each.data.revision for each in await scene.scored()] == [3]


async def test_a_household_waits_for_its_key_while_its_neighbours_go_on(scene: Scene) -> None:
    async with scene.running(park_retry_s=600):  # only the key's arrival releases it
        await scene.tell_keys("h-1", purposes=[KeyPurpose.PERSON])
        await scene.tell(scene.sealer.registered("h-1"))
        await scene.register("h-2")
        await until(lambda: scene.counts(households=1))
        assert await scene.db.fetchval("select reason from parked") == "key-missing"
        await scene.tell_keys("h-1", purposes=[KeyPurpose.PAYEE])
        await until(lambda: scene.counts(households=2))
        assert await scene.db.fetchval("select count(*) from parked") == 0


@pytest.mark.parametrize("purpose", list(KeyPurpose))
async def test_a_household_whose_key_was_destroyed_is_forgotten_and_nothing_is_told(
    scene: Scene, purpose: KeyPurpose
) -> None:
    async with scene.running():
        await scene.tell_keys("h-1")
        await scene.tell_keys("h-1", KeyState.DESTROYED, [purpose])
        await until(lambda: scene.db.fetchval("select 1 from household_key where state = 'destroyed'"))
        await scene.tell(scene.sealer.registered("h-1"))
        await until(lambda: scene.counts(forgotten=1, households=0))
        assert await scene.scored() == []
        assert await scene.db.fetchval("select count(*) from parked") == 0


async def test_what_was_decided_can_not_be_changed(scene: Scene) -> None:
    async with scene.running():
        await scene.register("h-1")
        await until(lambda: scene.counts(households=1))
        await scene.tell(scene.sealer.registered("h-1", 2))
        await until(lambda: scene.db.fetchval("select count(*) = 1 from scoring"))
    for change in (
        "update household set finding = finding + 1",
        "update household set cause_id = 'another', scored_sequence = 1",
        f"update household set {', '.join(f'{name} = null' for name in LAST)}",
        "delete from household",
        "truncate household",
        "update scoring set decisions = '[]'",
        "delete from scoring",
        "truncate scoring",
        "update finding set decisions = '[]'",
        "delete from finding",
        "truncate finding",
        "update decision_made set amount = 1",
        "delete from decision_made",
        "truncate decision_made",
    ):
        with pytest.raises(asyncpg.RestrictViolationError, match="never changed"):
            await scene.db.execute(change)


async def test_households_that_come_to_the_same_share_what_is_kept_of_it(scene: Scene) -> None:
    async with scene.running():
        await scene.tell(cycle_changed())
        await until(lambda: scene.db.fetchval("select count(*) from cycle"))
        for household_id in ("h-1", "h-2"):
            await scene.register(household_id)
        await until(lambda: scene.counts(households=2))
    assert await scene.db.fetchval("select count(*) from finding") == 1
    kept = await scene.db.fetch("select household_id, amount from every_decision order by 1")
    assert [tuple(each) for each in kept] == [("h-1", 176_000), ("h-2", 176_000)]


async def test_a_households_last_scoring_stands_with_it_and_those_before_beside(scene: Scene) -> None:
    async with scene.running():
        await scene.tell(cycle_changed())
        await until(lambda: scene.db.fetchval("select count(*) from cycle"))
        await scene.register("h-1")
        await until(lambda: scene.counts(households=1))
        assert await scene.db.fetchval("select count(*) from scoring") == 0
        await scene.tell(*(scene.sealer.registered("h-1", revision) for revision in (2, 3)))
        await until(lambda: scene.db.fetchval("select sequence = 3 from household"))
        await scene.tell(exited("h-1", 3))
        await until(lambda: scene.counts(exited=1))
    scorings = "select sequence, revision from scoring order by 1"
    assert [tuple(each) for each in await scene.db.fetch(scorings)] == [(1, 1), (2, 2)]
    every = "select sequence, revision from every_decision group by 1, 2 order by 1"
    assert [tuple(each) for each in await scene.db.fetch(every)] == [(1, 1), (2, 2), (3, 3)]
    assert await scene.db.fetchval("select count(*) = sum((sequence = 3)::int) from decision")


async def test_a_scoring_of_the_version_before_stays_where_it_is(scene: Scene) -> None:
    async with scene.running():
        await scene.tell(cycle_changed())
        await until(lambda: scene.db.fetchval("select count(*) from cycle"))
        await scene.register("h-1")
        await until(lambda: scene.counts(households=1))
        await until(lambda: scene.db.fetchval("select count(*) = count(finished_at) from caseload"))
        # That version leaves a scoring that stands with its household there, and writes the next one beside.
        await scene.db.execute(
            "insert into scoring (household_id, sequence, revision, cause_id, traceparent, decided_at,"
            " finding) select household_id, 2, 2, 'c', '', now(), finding from household"
        )
        await scene.db.execute("update household set sequence = 2, revision = 2")
        await scene.tell(scene.sealer.registered("h-1", 3))
        await until(lambda: scene.db.fetchval("select sequence = 3 from household"))
    every = "select sequence, revision from every_decision group by 1, 2 order by 1"
    assert [tuple(each) for each in await scene.db.fetch(every)] == [(1, 1), (2, 2), (3, 3)]
    assert await scene.db.fetchval("select count(*) = sum((sequence = 3)::int) from decision")


async def test_a_scoring_from_before_says_its_decisions_itself(scene: Scene) -> None:
    await scene.db.execute(
        "insert into scoring (household_id, sequence, revision, cause_id, traceparent, decided_at, decisions)"
        """ values ('h-0', 1, 1, 'c', '', now(), '[{"programme": "p", "amount": 8000}]')"""
    )
    assert await scene.db.fetchval("select amount from every_decision where household_id = 'h-0'") == 8000


async def test_an_event_that_can_not_be_read_parks_and_its_neighbours_go_on(scene: Scene) -> None:
    broken = scene.sealer.registered("h-1")
    blob = broken.data.persons.blob[:-1] + bytes([broken.data.persons.blob[-1] ^ 1])
    broken.data = broken.data.model_copy(
        update={"persons": broken.data.persons.model_copy(update={"blob": blob})}
    )
    async with scene.running():
        for household_id in ("h-1", "h-2"):
            await scene.tell_keys(household_id)
        await scene.tell(broken, scene.sealer.registered("h-2"))
        await until(lambda: scene.counts(households=1))
        assert await scene.db.fetchval("select reason from parked") == "seal-broken"
        shown = json.dumps((await scene.get("/parked")).json())
    assert "Sok" not in shown
