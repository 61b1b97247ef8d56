"""Registering, revising, reading and exiting households over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from aiokafka import ConsumerRecord

from contracts import wire
from contracts.household import HouseholdExited, HouseholdKeys, HouseholdRegistered, Payee, Persons
from contracts.topics import HOUSEHOLD_EXITED, HOUSEHOLD_KEYS, HOUSEHOLD_REGISTERED
from postbox.packing import unpack
from services.registration import store
from services.registration.office import Office
from tests.broker import published
from tests.integration.registration.conftest import Window, form, numbered
from tests.unit.registration.samples import PHNOM_PENH, RURAL, URBAN, csv_bytes, household, row
from vault import keyring
from vault.master import MasterKey
from vault.sealing import Keys

pytestmark = pytest.mark.stack
FIRST = numbered(1)
Look = Callable[..., Awaitable[object]]


async def test_a_registered_household_can_be_read_back_as_it_was_sent(open_window: Window) -> None:
    answer = await open_window.register(form())
    assert (answer.status_code, answer.json()) == (
        201,
        {"household_id": FIRST, "revision": 1, "state": "registered"},
    )
    found = (await open_window.get(f"/households/{FIRST}")).json()
    assert found["household"] == form().model_dump()
    assert (found["revision"], found["commune"], found["area_type"]) == (1, RURAL[:6], "rural")


async def test_the_same_request_gets_its_first_answer_and_other_content_a_conflict(
    open_window: Window,
) -> None:
    first = await open_window.register(form())
    await open_window.revise(FIRST, 1, form(level="poor_2"))
    again = await open_window.register(form())
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    other = await open_window.register(form(2))
    assert other.status_code == 409
    assert "request id" in other.json()["title"]
    assert (await open_window.get("/summary")).json()["registered"] == 1


async def test_what_was_kept_under_a_longer_hash_is_known_as_the_same_content(open_window: Window) -> None:
    first = await open_window.register(form())
    longer = household().longer_hash()
    await open_window.db.execute("update household set content_hash = $1", longer)
    await open_window.db.execute(
        "update request set content_hash = sha256(convert_to($2, 'UTF8') || $1)",
        longer,
        wire.uuid5("household/R-1"),
    )
    again = await open_window.register(form())
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert (await open_window.register(form(), "another")).status_code == 201
    assert (await open_window.revise(FIRST, 1, form())).json()["revision"] == 1


async def test_ten_equal_requests_at_once_register_one_household(open_window: Window) -> None:
    await open_window.registrar()
    answers = await asyncio.gather(*(open_window.register(form()) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len(await open_window.on(HOUSEHOLD_REGISTERED.name)) == 1


@pytest.mark.parametrize("way", ["desk", "file"])
async def test_a_household_that_is_registered_between_two_looks_is_no_duplicate_of_itself(
    open_window: Window, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    await open_window.registrar()
    between = asyncio.Event()

    def then_another(look: Look) -> Look:
        async def looked(*asked: object) -> object:
            found = await look(*asked)
            if not between.is_set():
                between.set()
                assert (await open_window.register(form())).status_code == 201
            return found

        return looked

    for look in ("known", "holders"):
        monkeypatch.setattr(store, look, then_another(getattr(store, look)))
    if way == "desk":
        assert (await open_window.register(form())).status_code == 201
    else:
        assert (await open_window.imported(csv_bytes([row(1)])))["duplicates"] == 0
    assert between.is_set()
    assert len(await open_window.on(HOUSEHOLD_REGISTERED.name)) == 1


async def test_two_households_with_one_card_at_once_register_one_of_them(open_window: Window) -> None:
    await open_window.registrar()
    answers = await asyncio.gather(
        open_window.register(form(1), "a"), open_window.register(form(2, card_number="CARD-000001"), "b")
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_a_request_without_an_id_is_refused(open_window: Window) -> None:
    token = await open_window.registrar()
    answer = await open_window.call("POST", "/households", token, json=form().model_dump())
    assert answer.status_code == 422


async def test_a_flawed_household_is_answered_field_by_field_and_sent_again(
    open_window: Window,
) -> None:
    flawed = form().model_copy(update={"phone": "12", "village": "99999999"})
    answer = await open_window.register(flawed)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == ["village", "phone"]
    assert all(error["remedy"] for error in answer.json()["errors"])
    assert (await open_window.register(form())).status_code == 201


async def test_a_reference_with_other_content_tells_the_revision_to_replace(
    open_window: Window,
) -> None:
    await open_window.register(form(), "a")
    answer = await open_window.register(form(level="poor_2"), "b")
    assert (answer.status_code, answer.json()["current_revision"]) == (409, 1)
    assert f"tonle household revise {FIRST}" in answer.json()["detail"]


async def test_a_household_is_found_by_its_reference_within_the_area(open_window: Window) -> None:
    await open_window.register(form())
    await open_window.leave(FIRST, "moved")
    path = "/households?reference=R-1"
    assert (await open_window.get(path, area=RURAL[:4])).json() == {"household_id": FIRST}
    assert (await open_window.get(path, area=PHNOM_PENH[:2])).status_code == 404
    assert (await open_window.get("/households?reference=R-2")).status_code == 404


async def test_a_household_keeps_an_id_from_before_ids_were_keyed(
    open_window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = wire.uuid5("household/R-1")
    with monkeypatch.context() as before:
        before.setattr(Office, "household_id", lambda *_: older)
        await open_window.register(form())
    assert (await open_window.register(form(), "another")).json()["household_id"] == older
    assert (await open_window.revise(older, 1, form(level="poor_2"))).json()["revision"] == 2


async def test_a_revision_names_the_one_it_replaces(open_window: Window) -> None:
    await open_window.register(form())
    second = form(level="poor_2")
    assert (await open_window.revise(FIRST, 1, second)).json()["revision"] == 2
    stale = await open_window.revise(FIRST, 1, form(level="at_risk"))
    assert (stale.status_code, stale.json()["current_revision"]) == (409, 2)
    again = await open_window.revise(FIRST, 1, second)
    assert (again.status_code, again.json()["revision"]) == (200, 2)
    assert (await open_window.get(f"/households/{FIRST}")).json()["household"]["level"] == "poor_2"
    assert (await open_window.get("/summary")).json()["revised"] == 1


async def test_a_revision_frees_the_identities_it_gives_up(open_window: Window) -> None:
    await open_window.register(form(), "a")
    await open_window.revise(FIRST, 1, form(card_number="OTHER-1"))
    assert (await open_window.register(form(2, card_number="CARD-000001"), "b")).status_code == 201


async def test_a_revision_cannot_take_what_another_household_holds(open_window: Window) -> None:
    await open_window.register(form(1), "a")
    await open_window.register(form(2), "b")
    answer = await open_window.revise(numbered(2), 1, form(2, card_number="CARD-000001"))
    assert (answer.status_code, answer.json()["first_household_id"]) == (409, FIRST)


async def test_a_revision_cannot_change_the_reference(open_window: Window) -> None:
    await open_window.register(form())
    assert (await open_window.revise(FIRST, 1, form(2))).status_code == 422


async def test_an_exited_household_frees_its_identities_and_may_come_back(
    open_window: Window,
) -> None:
    await open_window.register(form(), "a")
    left = await open_window.leave(FIRST, "graduated")
    assert left.json() == {"household_id": FIRST, "revision": 2, "state": "exited"}
    assert (await open_window.leave(FIRST, "graduated")).json() == left.json()
    assert (await open_window.leave(FIRST, "moved")).status_code == 409
    assert (await open_window.leave(FIRST, "bored")).status_code == 422
    assert (await open_window.register(form(2, card_number="CARD-000001"), "b")).status_code == 201
    assert (await open_window.register(form(), "c")).status_code == 409
    back = await open_window.revise(FIRST, 2, form(card_number="OTHER-1"))
    assert back.json() == {"household_id": FIRST, "revision": 3, "state": "registered"}


async def test_a_duplicate_points_to_the_first_or_outside_the_area_to_a_case(
    open_window: Window,
) -> None:
    await open_window.register(form(), "a")
    double = form(2, card_number="CARD-000001", village=URBAN)
    inside = await open_window.register(double, "b", area="01")
    assert (inside.status_code, inside.json().get("first_household_id")) == (409, FIRST), inside.text
    outside = await open_window.register(double, "c", area=URBAN[:4])
    assert outside.status_code == 409
    assert "first_household_id" not in outside.json()
    assert FIRST not in outside.text
    again = await open_window.register(double, "d", area=URBAN[:4])
    assert again.json()["case_number"] == outside.json()["case_number"]


async def test_a_registrar_sees_and_changes_only_the_own_area(open_window: Window) -> None:
    await open_window.register(form(), "a")
    elsewhere = PHNOM_PENH[:2]
    assert (await open_window.register(form(2), "b", area=elsewhere)).status_code == 403
    assert (await open_window.get(f"/households/{FIRST}", area=elsewhere)).status_code == 404
    assert (await open_window.get(f"/households/{FIRST}/story", area=elsewhere)).status_code == 404
    assert (await open_window.revise(FIRST, 1, form(level="poor_2"), area=elsewhere)).status_code == 404
    assert (await open_window.leave(FIRST, "moved", area=elsewhere)).status_code == 404
    moved = form(village=PHNOM_PENH)
    assert (await open_window.revise(FIRST, 1, moved, area=RURAL[:2])).status_code == 403


GUARDED = [
    ("POST", "/households"),
    ("PUT", f"/households/{FIRST}"),
    ("GET", f"/households/{FIRST}"),
    ("POST", f"/households/{FIRST}/exit"),
    ("GET", f"/households/{FIRST}/story"),
    ("GET", "/summary"),
    ("POST", "/imports"),
    ("GET", "/imports"),
    ("GET", "/imports/x"),
    ("GET", "/quarantine"),
    ("GET", "/quarantine/export"),
    ("POST", "/quarantine/resubmit"),
]


async def test_nothing_is_answered_without_a_token_or_without_the_action(open_window: Window) -> None:
    nobody = await open_window.registrar(actions=["nothing"])
    for method, path in GUARDED:
        assert (await open_window.call(method, path, "no token")).status_code == 401, path
        assert (await open_window.call(method, path, nobody)).status_code == 403, path


def registration(record: ConsumerRecord) -> wire.Received[HouseholdRegistered]:
    topic = HOUSEHOLD_REGISTERED.name
    return wire.decode(HouseholdRegistered, topic, record.key, record.value, record.headers)


async def keys_of(window: Window, event: wire.Received[HouseholdRegistered]) -> Keys:
    master = MasterKey.from_file(window.settings.master_key_file)
    return await keyring.load(window.db, master, [event.data.persons.key_id, event.data.payee.key_id])


async def persons_of(window: Window, event: wire.Received[HouseholdRegistered]) -> Persons:
    keys, sealed = await keys_of(window, event), event.data.persons
    plain = keys.open(sealed.key_id, sealed.blob, event_id=event.id, event_type=event.type)
    return wire.load(Persons, plain)


async def test_the_keys_told_open_what_a_registration_seals(open_window: Window) -> None:
    await open_window.register(form(collector="2"))
    (record,) = await open_window.on(HOUSEHOLD_REGISTERED.name)
    event = registration(record)
    (record,) = await open_window.on(HOUSEHOLD_KEYS.name)
    told = wire.decode(HouseholdKeys, HOUSEHOLD_KEYS.name, record.key, record.value, record.headers)
    assert (told.key, told.sequence) == (FIRST, 1)
    assert [key.purpose for key in told.data.keys] == ["person", "payee"]
    assert [event.data.persons.key_id, event.data.payee.key_id] == [key.key_id for key in told.data.keys]
    assert (event.key, event.sequence, event.data.registered_by) == (FIRST, 1, "office  6")
    persons = await persons_of(open_window, event)
    keys, sealed = await keys_of(open_window, event), event.data.payee
    payee = wire.load(Payee, keys.open(sealed.key_id, sealed.blob, event_id=event.id, event_type=event.type))
    assert persons.village == RURAL
    assert payee.person_id == persons.members[1].person_id
    assert payee.name_latin == "Sok Bopha"


async def test_keys_stand_before_the_registration_in_the_outbox(open_window: Window) -> None:
    await open_window.register(form())
    packed = await open_window.db.fetchval("select outbox_messages(id) from outbox")
    topics = [parcel.topic for parcel in unpack(packed)]
    assert topics == [HOUSEHOLD_KEYS.name, HOUSEHOLD_REGISTERED.name]


async def test_keys_are_on_the_partition_of_their_household(open_window: Window) -> None:
    for number in range(1, 9):
        await open_window.register(form(number), str(number))
    where = {r.key.decode(): r.partition for r in await open_window.on(HOUSEHOLD_REGISTERED.name)}
    for record in await open_window.on(HOUSEHOLD_KEYS.name):
        assert record.partition == where[record.key.decode()]
    assert set(where.values()) == {0, 1}


async def test_a_revision_keeps_keys_and_person_ids_and_an_exit_follows(
    open_window: Window,
) -> None:
    await open_window.register(form())
    await open_window.revise(FIRST, 1, form(level="poor_2"))
    await open_window.leave(FIRST, "card_revoked")
    first, second = map(registration, await open_window.on(HOUSEHOLD_REGISTERED.name))
    (record,) = await open_window.on(HOUSEHOLD_EXITED.name)
    exited = wire.decode(HouseholdExited, HOUSEHOLD_EXITED.name, record.key, record.value, record.headers)
    assert [first.sequence, second.sequence, exited.sequence] == [1, 2, 3]
    assert (first.data.replaces, second.data.replaces, exited.data.revision) == (None, 1, 3)
    assert first.data.persons.key_id == second.data.persons.key_id
    assert len(await open_window.on(HOUSEHOLD_KEYS.name)) == 1
    before, after = await persons_of(open_window, first), await persons_of(open_window, second)
    assert [each.person_id for each in before.members] == [each.person_id for each in after.members]


async def test_hostile_ids_and_texts_are_refused_without_an_error(open_window: Window) -> None:
    assert (await open_window.get("/households/%00")).status_code == 422
    assert (await open_window.get("/imports/%00")).status_code == 422
    assert (await open_window.get("/quarantine?import_id=%00")).status_code == 422
    for text in ("\0", "\ud800", "\ufffd"):
        token = await open_window.registrar()
        body = json.dumps(form().model_dump() | {"roof": text})
        answer = await open_window.call(
            "POST",
            "/households",
            token,
            {"Idempotency-Key": "x", "Content-Type": "application/json"},
            content=body,
        )
        assert answer.status_code == 422


async def test_a_story_tells_who_did_what_in_order_with_its_trace(open_window: Window) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    token = await open_window.registrar()
    headers = {"Idempotency-Key": "a", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    await open_window.call("POST", "/households", token, headers, json=form().model_dump())
    await open_window.leave(FIRST, "moved")
    told = (await open_window.get(f"/households/{FIRST}/story")).json()
    assert [step["what"] for step in told] == ["registered", "exited"]
    assert told[0]["trace_id"] == trace
    assert [step["detail"]["revision"] for step in told] == [1, 2]
    assert (told[1]["detail"]["reason"], told[1]["detail"]["by"]) == ("moved", "office  6")
    assert told[0]["at"] < told[1]["at"]


async def test_nothing_is_accepted_while_the_outbox_is_full(window: Window) -> None:
    async with window.running(outbox_messages_most=0):
        await window.fill_outbox(1)
        answer = await window.register(form())
        assert (answer.status_code, answer.json()["waiting"]) == (503, 1)
        assert (await window.upload(b"reference")).status_code == 503
        await window.db.execute("delete from outbox")
        assert (await window.register(form())).status_code == 201


async def test_no_log_names_a_person(open_window: Window, caplog: pytest.LogCaptureFixture) -> None:
    await open_window.register(form(), "a")
    await open_window.register(form(2, card_number="CARD-000001"), "b")
    await open_window.register(form().model_copy(update={"phone": "012999"}), "c")
    for said in ("Sok", "012", "CARD-000001", "សុខ"):
        assert said not in caplog.text


async def test_a_household_survives_a_restart(window: Window) -> None:
    async with window.running():
        await window.register(form())
    async with window.running():
        assert (await window.register(form())).json()["revision"] == 1
        assert (await window.get(f"/households/{FIRST}")).status_code == 200


async def test_what_was_committed_before_a_crash_is_published_afterwards(window: Window) -> None:
    async with window.running():
        await window.register(form())
        await published(window.db)
    await window.db.execute("update outbox set published_at = null")
    async with window.running():
        assert len(await window.on(HOUSEHOLD_REGISTERED.name)) == 2
