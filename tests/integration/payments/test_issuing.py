"""From decisions to payments on the real stack: approval, caps, envelope, corrections, exits, holds."""

import asyncio
import json

import asyncpg
import pytest

from contracts import topics, wire
from contracts.household import KeyPurpose, KeyState
from contracts.payment import InstructionKind, PaymentIssued
from tests.broker import unheard
from tests.integration.payments.conftest import CYCLE, PROGRAMME, Scene, events, family
from tests.waiting import until
from vault.sealing import Keys

pytestmark = pytest.mark.stack
TAKEN = "select sum(next_offset) > 0 from position where topic like $1"


async def test_decisions_wait_for_approval_and_are_then_paid_once(scene: Scene) -> None:
    families = [family(f"h-{number:04}") for number in range(30)]
    ids = [each.household_id for each in families]
    async with scene.running():
        await scene.open_cycle()
        await scene.send(scene.key(each) for each in families)
        await scene.send(scene.scored(each, 176_000) for each in families[:20])
        await scene.settled_down(waiting=dict.fromkeys(ids[:20], "approval"), states={})
        await scene.approve()
        await scene.send(scene.scored(each, 176_000) for each in families[20:])
        await scene.settled_down(states=dict.fromkeys(ids, "issued"), waiting={}, parked=[])
        summary = (await scene.call("GET", "/summary")).json()
    assert (summary["eligible"], summary["payments"], summary["riel_issued"]) == (30, 30, 30 * 176_000)
    assert summary["provinces"] == {"12": 30 * 176_000}
    instructed = await scene.instructions()
    assert sorted(household for household, _ in instructed) == ids
    assert {each.kind for _, each in instructed} == {InstructionKind.PAY}
    assert {each.amount for _, each in instructed} == {176_000}
    first = dict(instructed)[ids[0]]
    assert first.pay_to is not None
    assert first.pay_to.account == families[0].payee.account
    assert await scene.balances() == {
        "funding": -10_000_000,
        "envelope": 10_000_000 - 30 * 176_000,
        "in-transit": 30 * 176_000,
    }


async def test_a_decision_has_a_row_while_it_waits_and_then_stands_with_its_household(scene: Scene) -> None:
    one, stands = family("h-0001"), "select outcome, amount, decision_id = $1 from every_decision"
    async with scene.running():
        await scene.open_cycle()
        await scene.send([scene.key(one), scene.scored(one, 176_000)])
        await scene.settled_down(waiting={"h-0001": "approval"})
        assert await scene.db.fetchval("select decided is null from household")
        await scene.approve()
        await scene.settled_down(states={"h-0001": "issued"}, waiting={})
        first = wire.event_id(topics.ELIGIBILITY_SCORED, "h-0001", 1)
        assert [tuple(row) for row in await scene.db.fetch(stands, first)] == [("eligible", 176_000, True)]
        assert await scene.db.fetchval("select count(*) from decision") == 0
        await scene.send([scene.scored(one, 0, sequence=2)])
        await until(lambda: scene.db.fetchval("select amount = -176000 from correction"))
        second = wire.event_id(topics.ELIGIBILITY_SCORED, "h-0001", 2)
        assert [tuple(row) for row in await scene.db.fetch(stands, second)] == [("refused", 0, True)]
    # A process of the version before writes rows, and leaves what stands with the household as it was.
    await scene.db.execute("update household set scored = 3, decision_id = 'of an older process'")
    assert await scene.db.fetch(stands, second) == []


async def test_an_approval_amid_a_stream_of_decisions_leaves_none_behind(scene: Scene) -> None:
    families = [family(f"h-{number:04}") for number in range(300)]
    async with scene.running():
        await scene.open_cycle(envelope=250 * 176_000)
        await scene.send(scene.key(each) for each in families)
        await scene.send(scene.scored(each, 176_000) for each in families[:100])
        await asyncio.gather(
            scene.send(scene.scored(each, 176_000) for each in families[100:]), scene.approve()
        )
        await until(lambda: scene.db.fetchval("select count(*) = 250 from payment"))
        left = "select count(*) = 50 and count(*) = count(*) filter (where waiting = 'envelope')"
        await until(lambda: scene.db.fetchval(f"{left} from decision where waiting is not null"))
        await scene.settled_down(parked=[])
    assert len(await scene.instructions()) == 250
    assert (await scene.balances())["envelope"] == 0


async def test_the_payee_is_sealed_again_for_those_who_tell_it_without_its_account(scene: Scene) -> None:
    one = family("h-0001")
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        await scene.send([scene.key(one), scene.scored(one, 176_000)])
        await scene.settled_down(states={"h-0001": "issued"})
    (record,) = await scene.on(topics.PAYMENT_ISSUED.name)
    issued = wire.decode(PaymentIssued, topics.PAYMENT_ISSUED.name, record.key, record.value, record.headers)
    keys = Keys({})
    keys.add(one.key_id, one.key)
    plain = keys.open(
        one.key_id, issued.data.payee.blob, event_id=issued.id, event_type=topics.PAYMENT_ISSUED.name
    )
    assert json.loads(plain)["phone"] == one.payee.phone
    assert "account" not in json.loads(plain)
    assert b"Sok" not in record.value


async def test_no_key_of_persons_is_kept_and_a_payee_only_while_something_is_due(scene: Scene) -> None:
    one, persons = family("h-0001"), family("h-0001")
    keys, payee = "select array_agg(key_id) from household_key", "select payee_key_id from household"
    async with scene.running():
        await scene.open_cycle()
        await scene.send([scene.key(persons, purpose=KeyPurpose.PERSON), scene.key(one)])
        await scene.send([scene.scored(one, 176_000)])
        await scene.settled_down(waiting={"h-0001": "approval"})
        assert await scene.db.fetchval(payee) == one.key_id
        await scene.approve()
        await scene.settled_down(states={"h-0001": "issued"}, waiting={})
        assert await scene.db.fetchval(payee) == one.key_id
        await scene.send([scene.exited(one)])
        await until(lambda: scene.db.fetchval("select payee is null from household"))
    assert await scene.db.fetchval(keys) == [one.key_id]


AGAIN = (
    "insert into cycle_step (cycle_id, version, step, state, actor, prepared_by, funded, donor, at) "
    "select cycle_id, 9, 'approve', 'approved', 'Dara', prepared_by, 0, donor, now() from cycle"
)
WITHOUT_A_SECOND = (
    "update cycle set state = 'approved', decided_by = 'Dara'",
    "update cycle set approvers = 1",
    AGAIN,
)


async def test_nobody_approves_what_they_prepared(scene: Scene) -> None:
    async with scene.running():
        await scene.open_cycle()
        own = await scene.call("POST", f"/cycles/{CYCLE}/approve", by="Sokha")
        assert (own.status_code, own.json()["detail"]) == (
            403,
            "Ask another person who may approve to decide.",
        )
        prepared = await scene.call("POST", f"/cycles/{CYCLE}/submit", by="Dara")
        assert prepared.status_code == 403
        await scene.approve()
        twice = await scene.call("POST", f"/cycles/{CYCLE}/approve", by="Dara")
        assert (twice.status_code, "awaits a decision" in twice.json()["title"]) == (409, True)
    told = events(await scene.on(topics.CYCLE_CHANGED.name))
    assert [(sequence, each["state"], each["actor"]) for sequence, each in told] == [
        (1, "opened", "Sokha"),
        (2, "submitted", "Sokha"),
        (3, "approved", "Dara"),
    ]
    ((_, envelope),) = events(await scene.on(topics.ENVELOPE_CHANGED.name))
    assert envelope["funded"] == 10_000_000


async def test_a_large_envelope_pays_nobody_before_as_many_approved_as_it_takes(scene: Scene) -> None:
    one = family("h-0001")
    async with scene.running():
        await scene.open_cycle(envelope=1_000_000_000)
        await scene.officer("Vanna", "cycle.approve", "read")
        await scene.send([scene.key(one)])
        await scene.send([scene.scored(one, 176_000)])
        first = (await scene.call("POST", f"/cycles/{CYCLE}/approve", by="Dara")).json()
        assert (first["state"], first["approvals_missing"]) == ("submitted", 1)
        again = await scene.call("POST", f"/cycles/{CYCLE}/approve", by="Dara")
        assert (again.status_code, again.json()["title"][:18]) == (403, "Dara approved this")
        await scene.settled_down(states={}, waiting={"h-0001": "approval"})
        for statement in WITHOUT_A_SECOND:
            with pytest.raises(asyncpg.RestrictViolationError):
                await scene.db.execute(statement)
        last = (await scene.call("POST", f"/cycles/{CYCLE}/approve", by="Vanna")).json()
        assert (last["state"], last["approvals_missing"]) == ("approved", 0)
        await scene.settled_down(states={"h-0001": "issued"}, waiting={})
        with pytest.raises(asyncpg.RestrictViolationError, match="nobody asked for"):
            await scene.db.execute("update cycle set funded = funded + 100")


async def test_what_exceeds_the_envelope_waits_and_is_paid_when_it_is_raised_by_two(scene: Scene) -> None:
    families = [family(f"h-{number:04}") for number in range(6)]
    ids = [each.household_id for each in families]
    async with scene.running():
        await scene.open_cycle(envelope=400_000)
        await scene.send(scene.key(each) for each in families)
        await scene.send(scene.scored(each, 100_000) for each in families)
        await scene.settled_down(waiting=dict.fromkeys(ids, "approval"))
        await scene.approve()
        await scene.settled_down(
            states=dict.fromkeys(ids[:4], "issued"), waiting=dict.fromkeys(ids[4:], "envelope")
        )
        pages = [
            (await scene.call("GET", f"/payments?{query}")).json()
            for query in ("most=5", "state=approved&after_household=h-0004", "state=planned")
        ]
        assert [[each["state"] for each in page] for page in pages] == [
            ["issued"] * 4 + ["approved"],
            ["approved", "approved"],
            [],
        ]
        promised = {each["household_id"]: each["payment_id"] for each in pages[1]}
        asked = await scene.call("POST", f"/cycles/{CYCLE}/fund", {"envelope": 600_000}, by="Sokha")
        assert (asked.json()["funded"], asked.json()["proposed"]) == (400_000, 600_000)
        await scene.approve()
        await scene.settled_down(states=dict.fromkeys(ids, "issued"), waiting={})
        listed = (await scene.call("GET", "/payments?state=issued")).json()
    assert promised.items() <= {each["household_id"]: each["payment_id"] for each in listed}.items()
    assert (await scene.balances())["envelope"] == 0


async def test_who_waits_in_one_cycle_is_paid_from_it_after_the_next_has_opened(scene: Scene) -> None:
    one = family("h-0001")
    money = {"envelope": 1_000_000, "cap_household": 500_000, "cap_payments": 10}
    async with scene.running():
        await scene.open_cycle()
        await scene.send([scene.key(one), scene.scored(one, 100_000)])
        await scene.settled_down(waiting={"h-0001": "approval"})
        (await scene.ask_for("2023-07", **money)).raise_for_status()
        await scene.send([scene.scored(one, 120_000, sequence=2, period="2023-07")])
        await until(lambda: scene.db.fetchval("select count(*) = 2 from decision"))
        await scene.approve()
        await until(lambda: scene.db.fetchval("select amount = 100000 from payment"))
        waiting = (await scene.call("GET", "/waiting")).json()
    assert [(each["cycle_id"], each["riel"]) for each in waiting] == [(f"{PROGRAMME}-2023-07", 120_000)]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"cap_household": 200_000}, "household-cap"),
        ({"cap_payments": 1}, "count-cap"),
        ({"envelope": 300_000}, "envelope"),
    ],
)
async def test_a_decision_beyond_a_cap_waits_visibly(
    scene: Scene, terms: dict[str, int], reason: str
) -> None:
    small, large = family("h-0001"), family("h-0002")
    async with scene.running():
        await scene.open_cycle(**terms)  # type: ignore[arg-type]
        await scene.approve()
        await scene.send([scene.key(small), scene.key(large), scene.scored(small, 100_000)])
        await scene.settled_down(states={"h-0001": "issued"})
        await scene.send([scene.scored(large, 240_000)])
        await scene.settled_down(states={"h-0001": "issued"}, waiting={"h-0002": reason})
        shown = (await scene.call("GET", "/waiting")).json()
    (waits,) = shown
    assert (waits["cycle_id"], waits["reason"]) == (CYCLE, reason)
    assert (waits["households"], waits["riel"]) == (1, 240_000)
    assert waits["state"] == ("approved" if reason == "envelope" else "planned")


async def test_a_decision_under_another_programme_waits(scene: Scene) -> None:
    one = family("h-0001")
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        await scene.send([scene.key(one), scene.scored(one, 176_000, programme_hash="hash-2")])
        await scene.settled_down(waiting={"h-0001": "programme-hash"}, states={})


async def test_a_newer_decision_after_issue_becomes_a_correction(scene: Scene) -> None:
    one = family("h-0001")
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        await scene.send([scene.key(one), scene.scored(one, 176_000)])
        await scene.settled_down(states={"h-0001": "issued"})
        await scene.send(
            [
                scene.scored(one, 176_000, sequence=2, revision=2),
                scene.scored(one, 160_000, sequence=3, revision=3),
                scene.scored(one, 160_000, sequence=3, revision=3),
                scene.scored(one, 0, sequence=4, revision=4),
            ]
        )
        await until(lambda: scene.db.fetchval("select count(*) = 2 from correction"))
        await scene.settled_down(states={"h-0001": "issued"})
    told = events(await scene.on(topics.PAYMENT_UPDATED.name))
    assert [(sequence, each["state"], each["correction"]) for sequence, each in told] == [
        (2, "corrected", -16_000),
        (3, "corrected", -160_000),
    ]
    assert len(await scene.instructions()) == 1
    assert await scene.db.fetchval("select entitled from payment") == 0


@pytest.mark.parametrize("exit_first", [True, False])
async def test_a_household_that_left_is_not_paid_whichever_came_first(scene: Scene, exit_first: bool) -> None:
    one = family("h-0001")
    async with scene.running():
        await scene.open_cycle()
        await scene.send([scene.key(one)])
        said = [scene.exited(one, 2), scene.scored(one, 176_000, revision=2)]
        for record in said if exit_first else reversed(said):
            await scene.send([record])

            async def taken(topic: str = record.topic) -> bool:
                done = await scene.db.fetchval(
                    "select sum(next_offset) from position where topic like '%' || $1", topic
                )
                return bool(done)

            await until(taken)
        await scene.approve()
        await scene.settled_down(states={}, waiting={}, parked=[])
    row = await scene.db.fetchrow(
        "select outcome, exit_revision from decision join household using (household_id)"
    )
    assert row is not None
    assert tuple(row) == ("void", 2)


async def test_a_decision_whose_key_has_not_arrived_waits_for_it(scene: Scene) -> None:
    one = family("h-0001")
    scene.settings.park_retry_s = 600.0
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        await scene.send([scene.scored(one, 176_000)])
        await scene.settled_down(parked=[("h-0001", "wait", "key-missing")], states={})
        await scene.send([scene.key(one)])
        await scene.settled_down(parked=[], states={"h-0001": "issued"})


@pytest.mark.parametrize("before_decision", [True, False])
async def test_a_forgotten_household_is_not_paid_and_says_why(scene: Scene, before_decision: bool) -> None:
    one = family("h-0001")
    destroyed = scene.key(one, KeyState.DESTROYED)
    async with scene.running():
        await scene.open_cycle()
        await scene.send([destroyed] if before_decision else [scene.key(one)])
        await scene.send([scene.scored(one, 176_000)])
        await scene.settled_down(waiting={"h-0001": "forgotten" if before_decision else "approval"})
        await scene.send([destroyed])
        await scene.settled_down(waiting={"h-0001": "forgotten"})
        await scene.approve()
        await scene.settled_down(waiting={"h-0001": "forgotten"}, states={}, parked=[])


async def test_a_held_household_is_not_paid_by_the_approval_until_its_hold_is_lifted(scene: Scene) -> None:
    one, other = family("h-0001"), family("h-0002")
    broken = scene.scored(one, 176_000, sequence=2)._replace(value=b'{"household_id": "h-0001"}')
    async with scene.running():
        await scene.open_cycle()
        await scene.send([scene.key(one), scene.key(other)])
        await scene.send([scene.scored(one, 176_000), scene.scored(other, 176_000), broken])
        await scene.settled_down(
            waiting={"h-0001": "approval", "h-0002": "approval"},
            parked=[("h-0001", "park", "revision: missing")],
        )
        await scene.approve()
        await scene.settled_down(waiting={"h-0001": "hold"}, states={"h-0002": "issued"})
        await scene.db.execute("delete from parked")
        await scene.db.execute("delete from hold")
        await scene.settled_down(waiting={}, states={"h-0001": "issued", "h-0002": "issued"})


async def test_money_rows_are_never_edited(scene: Scene) -> None:
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
    for table in ("transfer", "cycle_step", "split", "fund"):
        for change in (
            f"update {table} set cycle_id = 'x'",
            f"delete from {table}",
            f"truncate {table} cascade",
        ):
            with pytest.raises(asyncpg.RestrictViolationError, match="never changed"):
                await scene.db.execute(change)
    added = "insert into sub_envelope (cycle_id, fund"
    for column, value, rule in (
        ("committed", "100", "within_envelope"),
        ("allotted", "amount + 100", "within_fund"),
        ("payments", "1", "within_payments"),
        ("allotted_payments", "1001", "within_count_cap"),
    ):
        with pytest.raises(asyncpg.CheckViolationError, match=rule):
            await scene.db.execute(f"{added}, {column}) select cycle_id, number, {value} from fund")
    with pytest.raises(asyncpg.RestrictViolationError, match="sum of its funds"):
        await scene.db.execute("update cycle set funded = funded - 100")
    with pytest.raises(asyncpg.CheckViolationError, match="preparer_does_not_decide"):
        await scene.db.execute("update cycle set decided_by = 'Sokha'")


async def test_an_approver_is_answered_while_the_broker_is_away_and_all_hear_of_it_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene.running():
        await scene.open_cycle()
        with monkeypatch.context() as away:
            away.setattr(scene.service.publisher, "publish", unheard)
            await scene.approve()
        told = events(await scene.on(topics.CYCLE_CHANGED.name))
    assert [data["state"] for _, data in told][-1] == "approved"
