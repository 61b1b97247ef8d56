"""Complaints, from the window and by SMS, on the real stack: opened once, worked on, late ones sent up."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from contracts import topics, wire
from contracts.grievance import GrievanceOpened, GrievanceUpdated
from contracts.message import MessageKind, MessageReceived, MessageText
from contracts.sealed import Sealed
from contracts.wire import Cause
from services.registration.app import rulebook
from services.registration.escalating import Escalator
from tests.broker import as_admin
from tests.integration.registration.conftest import ACTIONS, Window, form
from tests.waiting import until
from vault import keyring
from vault.master import MasterKey

WORKING = [*ACTIONS, "household.grievances"]
TEXT = "the money of May did not come"


async def _registered(window: Window) -> str:
    household_id: str = (await window.register(form())).json()["household_id"]
    return household_id


async def _open(window: Window, household_id: str, request_id: str = "first") -> dict[str, Any]:
    token = await window.registrar(actions=WORKING)
    body = {"household_id": household_id, "category": "payment", "text": TEXT}
    answer = await window.call("POST", "/grievances", token, {"Idempotency-Key": request_id}, json=body)
    assert answer.status_code == 201, answer.text
    opened: dict[str, Any] = answer.json()
    return opened


async def _step(window: Window, number: str, verb: str, note: str | None = None, area: str = "") -> Any:
    token = await window.registrar(area, WORKING)
    return await window.call("POST", f"/grievances/{number}/{verb}", token, json={"note": note})


async def test_a_complaint_at_the_window_is_opened_once_worked_on_and_told_at_each_step(
    open_window: Window,
) -> None:
    household_id = await _registered(open_window)
    opened = await _open(open_window, household_id)
    assert await _open(open_window, household_id) == opened
    number = opened["number"]
    assert (await _step(open_window, number, "resolve", "paid")).status_code == 409
    for verb, note in (("acknowledge", None), ("take", None), ("take", None), ("resolve", "it was paid")):
        assert (await _step(open_window, number, verb, note)).status_code == 200
    shown = (
        await open_window.call("GET", f"/grievances/{number}", await open_window.registrar(actions=WORKING))
    ).json()
    assert [each["step"] for each in shown["steps"]] == ["open", "acknowledge", "take", "resolve"]
    assert shown["text"] == TEXT

    (first,) = await open_window.on(topics.GRIEVANCE_OPENED.name)
    said = wire.decode(GrievanceOpened, topics.GRIEVANCE_OPENED.name, first.key, first.value, first.headers)
    assert (said.key, said.data.number) == (household_id, number)
    steps = await open_window.on(topics.GRIEVANCE_UPDATED.name)
    assert [int(dict(each.headers)["ce_sequence"]) for each in steps] == [2, 3, 4]
    assert not any(TEXT.encode() in each.value or b"payment" in each.value for each in (first, *steps))


async def test_a_step_that_needs_a_reason_and_an_office_elsewhere_are_refused(open_window: Window) -> None:
    number = (await _open(open_window, await _registered(open_window)))["number"]
    await _step(open_window, number, "take")
    assert (await _step(open_window, number, "reject")).json()["title"] == "`reject` needs a note"
    assert (await _step(open_window, number, "take", area="25")).status_code == 404


async def test_a_step_that_was_written_down_is_never_changed(open_window: Window) -> None:
    await _open(open_window, await _registered(open_window))
    with pytest.raises(asyncpg.RestrictViolationError, match="never changed"):
        await open_window.db.execute("update grievance_step set actor = 'somebody else'")


async def test_a_late_complaint_goes_up_once_and_the_commune_works_on_it_no_more(open_window: Window) -> None:
    opened = await _open(open_window, await _registered(open_window))
    commune = opened["commune"]
    await open_window.db.execute("update grievance set due_on = $1", date(2020, 1, 1))
    escalator = Escalator(rulebook())
    for _ in range(2):
        await escalator.run(open_window.service)
    (told,) = await open_window.on(topics.GRIEVANCE_UPDATED.name)
    said = wire.decode(GrievanceUpdated, topics.GRIEVANCE_UPDATED.name, told.key, told.value, told.headers)
    assert (said.data.level, said.data.actor) == (2, "deadline")
    assert said.data.due_on > datetime.now(UTC).date()
    refused = await _step(open_window, opened["number"], "take", area=commune)
    assert (refused.status_code, refused.json()["title"]) == (
        403,
        f"Grievance {opened['number']} is at level 2 of 4 now",
    )


async def test_a_complaint_by_sms_opens_one_grievance_with_what_was_written(
    open_window: Window, secrets: Any
) -> None:
    household_id = await _registered(open_window)
    key_id = await open_window.db.fetchval("select payee_key from household")
    keys = await keyring.load(open_window.db, MasterKey.from_file(secrets.master_key), [key_id])
    topic, message_id = topics.MESSAGE_RECEIVED, wire.uuid5("message/1")
    event_id = wire.event_id(topic, message_id)
    blob = keys.seal(key_id, wire.dump(MessageText(text=TEXT)), event_id=event_id, event_type=topic.name)
    said = MessageReceived(
        message_id=message_id,
        kind=MessageKind.COMPLAINT,
        household_id=household_id,
        text=Sealed(key_id=key_id, blob=blob),
    )
    nobodys = MessageReceived(message_id=wire.uuid5("message/2"), kind=MessageKind.COMPLAINT)
    question = MessageReceived(message_id=wire.uuid5("message/3"), kind=MessageKind.HELP)
    await _send(open_window, (said, said, nobodys, question))

    async def both() -> bool:
        return bool(await open_window.db.fetchval("select count(*) = 2 from grievance"))

    await until(both)
    found = {row["household_id"]: row for row in await open_window.db.fetch("select * from grievance")}
    assert (found[household_id]["text"], found[household_id]["level"]) == (TEXT, 1)
    assert (found[None]["text"], found[None]["level"], found[None]["commune"]) == (None, 4, "")


async def _send(window: Window, said: Sequence[MessageReceived]) -> None:
    topic, cause = topics.MESSAGE_RECEIVED, Cause("c", "c", "")
    async with AIOKafkaProducer(**as_admin(window.settings)) as producer:
        for each in said:
            record = wire.emit(
                topic,
                each,
                id=wire.event_id(topic, each.message_id),
                key=each.household_id or each.message_id,
                sequence=1,
                time=datetime.now(UTC),
                cause=cause,
            )
            name = window.settings.topic_prefix + record.topic
            await producer.send_and_wait(name, record.value, record.key, headers=list(record.headers))
