"""What partners say, on the real stack: booked, ignored, asked about, or parked with nothing moved."""

from datetime import UTC, datetime

import pytest
from aiokafka import ConsumerRecord
from joserfc import jws

from contracts import bundle, topics
from contracts.payment import InstructionKind, PaymentInstruction, ReportStatus
from contracts.wire import Record
from postbox.errors import BEHIND
from tests.broker import unheard
from tests.integration.payments.conftest import SIGNATURES, Scene, events, family, jwk
from tests.waiting import until

pytestmark = pytest.mark.stack
S = ReportStatus
AMOUNT, ENVELOPE = 176_000, 10_000_000


async def issue(scene: Scene, *ids: str) -> dict[str, PaymentInstruction]:
    """Pay these households; returns what their partner was told."""
    families = [family(each) for each in ids]
    await scene.open_cycle(envelope=ENVELOPE)
    await scene.approve()
    await scene.send(scene.key(each) for each in families)
    await scene.send(scene.scored(each, AMOUNT) for each in families)
    await scene.settled_down(states=dict.fromkeys(sorted(ids), "issued"))
    return dict(await scene.instructions())


async def test_reports_move_a_payment_and_its_money_once_each(scene: Scene) -> None:
    async with scene.running():
        told = await issue(scene, "h-1", "h-2", "h-3")
        said = [
            scene.report(told["h-1"], "h-1", S.ACCEPTED),
            scene.report(told["h-1"], "h-1", S.SETTLED),
            scene.report(told["h-1"], "h-1", S.SETTLED),
            scene.report(told["h-2"], "h-2", S.SETTLED),
            scene.report(told["h-2"], "h-2", S.ACCEPTED),
            scene.report(told["h-3"], "h-3", S.ACCEPTED),
            scene.report(told["h-3"], "h-3", S.FAILED, reason_code="account-closed"),
        ]
        await scene.send([*said, *said])
        await scene.settled_down(states={"h-1": "settled", "h-2": "settled", "h-3": "failed"}, parked=[])
        summary = (await scene.call("GET", "/summary")).json()
        story = (await scene.call("GET", "/households/h-3/story")).json()
    assert await scene.balances() == {
        "funding": -ENVELOPE,
        "envelope": ENVELOPE - 2 * AMOUNT,
        "in-transit": 0,
        "paid": 2 * AMOUNT,
    }
    assert (summary["settled"], summary["failed"], summary["riel_settled"]) == (2, 1, 2 * AMOUNT)
    assert [each["what"] for each in story] == [
        "payment issued",
        "partner reported accepted",
        "partner reported failed",
        "waits to be sent again",
    ]
    assert story[2]["detail"]["note"] == "account-closed"
    updates = events(await scene.on(topics.PAYMENT_UPDATED.name))
    assert sorted((each["household_id"], sequence, each["state"]) for sequence, each in updates) == [
        ("h-1", 2, "accepted"),
        ("h-1", 3, "settled"),
        ("h-2", 2, "settled"),
        ("h-3", 2, "accepted"),
        ("h-3", 3, "failed"),
    ]


async def test_what_failed_makes_room_for_who_waits_and_is_sent_again_only_when_there_is_room(
    scene: Scene,
) -> None:
    families = [family(f"h-{number}") for number in range(3)]
    async with scene.running():
        await scene.open_cycle(envelope=2 * AMOUNT)
        await scene.send(scene.key(each) for each in families)
        await scene.send(scene.scored(each, AMOUNT) for each in families)
        await scene.settled_down(waiting=dict.fromkeys(["h-0", "h-1", "h-2"], "approval"))
        await scene.approve()
        await scene.settled_down(waiting={"h-2": "envelope"}, states={"h-0": "issued", "h-1": "issued"})
        told = dict(await scene.instructions())
        await scene.send([scene.report(told["h-0"], "h-0", S.FAILED)])
        await scene.settled_down(waiting={}, states={"h-0": "failed", "h-1": "issued", "h-2": "issued"})
        await scene.send([scene.scored(families[0], AMOUNT, sequence=2, revision=2)])
        await scene.confirm(told["h-0"], "h-0", S.FAILED)
        await until(lambda: scene.db.fetchval("select waiting = 'envelope' from reissue"))
        await scene.settled_down(waiting={}, parked=[])
    row = await scene.db.fetchrow("select committed, released, payments from spent")
    assert row is not None
    assert tuple(row) == (3 * AMOUNT, AMOUNT, 2)
    assert len(await scene.instructions()) == 4


async def test_a_silent_partner_is_asked_though_the_broker_is_away_and_hears_it_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene.settings.report_timeout_s = 5.0
    async with scene.running():
        await issue(scene, "h-1")
        with monkeypatch.context() as away:
            away.setattr(scene.service.publisher, "publish", unheard)
            await until(lambda: scene.db.fetchval("select state = 'unknown' from payment"))
            await until(lambda: _true("publishing failed" in caplog.text or "job inquire" in caplog.text))
        assert "job inquire failed" not in caplog.text
        told = [each.kind for _, each in await scene.instructions()]
    assert told == [InstructionKind.PAY, InstructionKind.INQUIRE]


async def _true(value: bool) -> bool:
    return value


SETTLED_OF_CANCELLED = "report: settled, but the payment is cancelled already"
BAD: dict[str, dict[str, object]] = {
    "report: the signature is not the partner's": {"signed_by": "payments"},
    "report: its signature has expired, or says no time": {"expires_in_s": -1},
    "report: it names another partner than the topic's": {"partner": "acleda"},
    "report: the amount is not the payment's": {"amount": AMOUNT + 100},
    "report: no such payment of this household with this partner": {"payment_id": "nobody's"},
    "currency: literal_error": {"currency": "USD"},
    "amount: int_type": {"amount": AMOUNT + 0.5},
    SETTLED_OF_CANCELLED: {},
}


async def test_a_report_that_cannot_be_true_parks_and_nothing_moves(scene: Scene) -> None:
    reasons = {f"h-{number}": reason for number, reason in enumerate(BAD)}
    ended = next(household for household, reason in reasons.items() if reason == SETTLED_OF_CANCELLED)
    async with scene.running():
        told = await issue(scene, *reasons, "h-good")
        await scene.send([scene.report(told[ended], ended, S.CANCELLED)])
        states = dict.fromkeys([*reasons, "h-good"], "issued") | {ended: "cancelled"}
        await scene.settled_down(states=states)
        before = await scene.balances()
        for household, reason in reasons.items():
            await scene.send([scene.report(told[household], household, S.SETTLED, **BAD[reason])])
        parked = [(household, "park", reason) for household, reason in reasons.items()]
        await until(lambda: scene.db.fetchval("select count(*) = $1 from parked", len(parked)))
        assert sorted(await scene.parked()) == sorted(parked)
        assert (await scene.states(), await scene.balances()) == (states, before)
        await scene.send([scene.report(told["h-good"], "h-good", S.SETTLED)])
        await scene.settled_down(states=states | {"h-good": "settled"})


IN_BUNDLE = {
    reason: changes
    for reason, changes in BAD.items()
    if changes and not changes.keys() & {"signed_by", "expires_in_s"}
}


def bundled(scene: Scene, *reports: Record) -> Record:
    """Reports as one record, under one signature of the partner."""
    key = jwk(scene.secrets, "wing-sign")
    plain = [
        each._replace(value=jws.deserialize_compact(each.value, key, registry=SIGNATURES).payload)
        for each in reports
    ]
    header = {"alg": "Ed25519", "exp": int(datetime.now(UTC).timestamp()) + 600, "cty": bundle.CTY}
    (whole,) = bundle.bundles(plain, len(plain))
    token = jws.serialize_compact(header, whole.batch, key, registry=SIGNATURES)
    return reports[0]._replace(value=token.encode())


async def test_of_reports_in_one_token_those_that_cannot_be_true_park_alone(scene: Scene) -> None:
    bad = {f"h-{number}": reason for number, reason in enumerate(IN_BUNDLE)}
    good = [f"h-good-{number}" for number in range(3)]
    async with scene.running():
        told = await issue(scene, *bad, *good)
        wrong = [scene.report(told[each], each, S.SETTLED, **BAD[reason]) for each, reason in bad.items()]
        right = [scene.report(told[each], each, S.SETTLED) for each in good]
        await scene.send([bundled(scene, right[0], *wrong, *right[1:])] * 2)
        await scene.settled_down(states=dict.fromkeys(bad, "issued") | dict.fromkeys(good, "settled"))
        await until(lambda: scene.db.fetchval("select count(*) = $1 from parked", 2 * len(bad)))
        parked = [(each, "park", reason) for each, reason in bad.items()]
        assert sorted(await scene.parked()) == sorted(parked + [(each, "behind", BEHIND) for each in bad])
    assert (await scene.balances())["paid"] == len(good) * AMOUNT


async def test_an_id_that_was_another_payment_s_report_parks_alone(scene: Scene) -> None:
    async with scene.running():
        first = await issue(scene, "h-1", "h-2")
        await scene.send([scene.report(first["h-1"], "h-1", S.SETTLED, report_id="r-1")])
        await scene.settled_down(states={"h-1": "settled", "h-2": "issued"})
        await scene.next_cycle("2023-07")
        again = family("h-1")
        decided = scene.scored(again, AMOUNT, sequence=2, revision=2, period="2023-07")
        await scene.send([scene.key(again), decided])
        count = (
            "select count(*) = 2 from payment where household_id = 'h-1' and state in ('settled', 'issued')"
        )
        await until(lambda: scene.db.fetchval(count))
        (july,) = [said for key, said in await scene.instructions() if said not in first.values()]
        await scene.send(
            [
                scene.report(july, "h-1", S.SETTLED, report_id="r-1"),
                scene.report(first["h-2"], "h-2", S.SETTLED),
            ]
        )
        await until(lambda: scene.db.fetchval("select count(*) = 1 from parked"))
        await until(
            lambda: scene.db.fetchval("select state = 'settled' from payment where household_id = 'h-2'")
        )
    assert [each[:2] for each in await scene.parked()] == [("h-1", "park")]
    states = await scene.db.fetch("select period, state from payment where household_id = 'h-1' order by 1")
    assert [tuple(each) for each in states] == [("2023-06", "settled"), ("2023-07", "issued")]
    assert await scene.db.fetchval("select payment_id from report where report_id = 'r-1'") == (
        first["h-1"].payment_id
    )


async def test_a_report_under_another_household_s_key_moves_nothing(scene: Scene) -> None:
    async with scene.running():
        told = await issue(scene, "h-1", "h-2")
        await scene.send([scene.report(told["h-1"], "h-2", S.SETTLED)])
        reason = "report: no such payment of this household with this partner"
        await scene.settled_down(parked=[("h-2", "park", reason)], states={"h-1": "issued", "h-2": "issued"})


async def test_a_silent_partner_is_asked_and_a_late_report_settles_the_question(scene: Scene) -> None:
    scene.settings.report_timeout_s = 0.3
    async with scene.running():
        told = await issue_silently(scene, "h-1")
        await scene.settled_down(states={"h-1": "unknown"})
        asked = [each for _, each in await scene.instructions() if each.kind is InstructionKind.INQUIRE]
        assert {each.payment_id for each in asked} == {told.payment_id}
        assert [each.pay_to for each in asked] == [None] * len(asked)
        await scene.send([scene.report(asked[0], "h-1", S.NOT_FOUND)])
        await scene.settled_down(states={"h-1": "unknown"}, parked=[])
        await scene.send([scene.report(asked[0], "h-1", S.SETTLED)])
        await scene.settled_down(states={"h-1": "settled"}, parked=[])
    pays = [each for _, each in await scene.instructions() if each.kind is InstructionKind.PAY]
    assert len(pays) == 1
    updates = [each["state"] for _, each in events(await scene.on(topics.PAYMENT_UPDATED.name))]
    assert updates[0] == "unknown"
    assert updates[-1] == "settled"
    assert sequences(await scene.on("partner.wing.instruction.v1")) == sorted(
        set(sequences(await scene.on("partner.wing.instruction.v1")))
    )


async def test_who_reported_in_time_is_not_asked_about_when_the_reminder_comes(scene: Scene) -> None:
    scene.settings.report_timeout_s = 3
    async with scene.running():
        told = await issue(scene, "h-1", "h-2")
        await scene.send([scene.report(told["h-1"], "h-1", S.SETTLED)])
        await scene.settled_down(states={"h-1": "settled", "h-2": "unknown"})
        asked = [each for _, each in await scene.instructions() if each.kind is InstructionKind.INQUIRE]
    assert {each.payment_id for each in asked} == {told["h-2"].payment_id}
    assert await scene.db.fetchval("select count(*) from reminder where due_at <= now()") == 0


async def test_who_reported_in_time_is_not_even_locked_when_the_reminder_comes(scene: Scene) -> None:
    scene.settings.report_timeout_s = 3
    async with scene.running():
        told = await issue(scene, "h-1", "h-2")
        await scene.send([scene.report(told["h-1"], "h-1", S.SETTLED)])
        await scene.settled_down(states={"h-1": "settled", "h-2": "issued"})
        async with scene.db.transaction():
            await scene.db.execute("select from household where household_id = 'h-1' for update")
            await scene.settled_down(states={"h-1": "settled", "h-2": "unknown"})


async def test_no_index_of_payments_holds_what_reports_change(scene: Scene) -> None:
    async with scene.running():
        indexes = await scene.db.fetchval(
            "select string_agg(indexdef, E'\n') from pg_indexes where tablename = 'payment'"
        )
    assert "payment_one_live_attempt" in indexes
    assert not [each for each in ("state", "reason", "due_at", "updated_at") if each in indexes]


async def issue_silently(scene: Scene, household_id: str) -> PaymentInstruction:
    """Pay a household whose partner says nothing."""
    one = family(household_id)
    await scene.open_cycle()
    await scene.approve()
    await scene.send([scene.key(one), scene.scored(one, AMOUNT)])
    await scene.settled_down(states={household_id: "unknown"})
    return dict(await scene.instructions())[household_id]


def sequences(records: list[ConsumerRecord]) -> list[int]:
    return [int(dict(each.headers)["ce_sequence"]) for each in records]
