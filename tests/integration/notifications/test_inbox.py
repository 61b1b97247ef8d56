"""SMS that come in, through the gateway's callback, on the real stack: obeyed, answered once, told sealed."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
from nacl.encoding import HexEncoder
from nacl.public import PrivateKey, SealedBox

from contracts import topics, wire
from contracts.grievance import GrievanceChannel, GrievanceOpened, GrievanceState, GrievanceUpdated
from contracts.household import KeyState
from contracts.message import MessageKind, MessageReceived, MessageText
from contracts.sms import SmsSent
from contracts.wire import Cause
from services.notifications import answers
from tests.integration.notifications.conftest import Gateway, Scene, phone_of
from tests.waiting import until
from tonle.stack.process import free_port
from vault.sealing import Keys

SECRET, HOTLINE, HELPLINE = "let-me-in", "1286", "1289"
STRANGER = "+85598765432"


@asynccontextmanager
async def answering(scene: Scene, gateway: Gateway, folder: Path, **more: object) -> AsyncIterator[None]:
    """Notifications with lines to call and a secret for the gateway."""
    secret = folder / "callback.secret"
    secret.write_text(SECRET)
    await gateway.start()
    lines = {"sms_hotline": HOTLINE, "sms_helpline": HELPLINE, "gateway_callback_secret_file": secret}
    async with scene.running(**{**lines, **more}):
        yield


async def write(
    scene: Scene, sender: str, text: str | bytes, number: int = 1, **query: str
) -> httpx.Response:
    """What Kannel's sms-service calls for an SMS that came in."""
    told = {"secret": SECRET, "from": sender, "to": "1286", "id": f"m-{number}", **query}
    async with httpx.AsyncClient(verify=False, base_url=scene.url, timeout=60) as client:
        return await client.get("/gateway/kannel/inbound", params={**told, "text": text})


async def texts(gateway: Gateway, phone: str, count: int) -> list[str]:
    """What a telephone received, oldest first, once it is so many."""

    async def there() -> bool:
        return len(await gateway.inbox(to=phone)) >= count

    await until(there)
    return [each["text"] for each in reversed(await gateway.inbox(to=phone))]


async def test_stop_ends_sms_and_start_lets_them_come_again(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    async with answering(scene, gateway, tmp_path):
        await scene.household("h-1")
        await scene.issue("h-1", 1)
        assert len(await texts(gateway, phone_of("h-1"), 1)) == 1
        assert (await write(scene, "012 345 678", "STOP")).status_code == 200
        assert HOTLINE in "".join(await texts(gateway, phone_of("h-1"), 2))
        await scene.issue("h-1", 2)
        await until(lambda: scene.db.fetchval("select exists (select from sms where reason = 'opted-out')"))
        await write(scene, phone_of("h-1"), "ចាប់ផ្តើម", 2)
        await texts(gateway, phone_of("h-1"), 3)
        await scene.issue("h-1", 3)
        assert len(await texts(gateway, phone_of("h-1"), 4)) == 4


async def test_a_message_that_is_told_again_is_one_and_machines_are_not_answered_for_ever(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    async with answering(scene, gateway, tmp_path):
        for number in (1, 1, 2, 3):
            assert (await write(scene, STRANGER, "this is an automatic answer", number)).status_code == 200
        await write(scene, "Smart", b"\xff\xfe\x00", 4)
        assert await texts(gateway, STRANGER, 1)
        said = await scene.on(topics.MESSAGE_RECEIVED, MessageReceived)
        assert [each.data.kind for each in said] == [MessageKind.OTHER] * 4
        assert await scene.db.fetchval("select count(*) from sms") == 1


async def test_a_households_complaint_travels_sealed_by_its_key_and_anothers_stays_here(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    async with answering(scene, gateway, tmp_path):
        await scene.household("h-1")
        await scene.register("h-1")
        await until(lambda: scene.db.fetchval("select exists (select from contact)"))
        await write(scene, phone_of("h-1"), "complaint: no money", 1)
        await write(scene, STRANGER, "complaint: not registered", 2)

        async def told() -> bool:
            return len(await scene.on(topics.MESSAGE_RECEIVED, MessageReceived)) == 2

        await until(told)
        mine, strangers = sorted(
            await scene.on(topics.MESSAGE_RECEIVED, MessageReceived), key=lambda each: each.key != "h-1"
        )
        assert mine.data.text is not None
        keys = Keys({})
        keys.add(*scene.keys["h-1"])
        plain = keys.open(mine.data.text.key_id, mine.data.text.blob, event_id=mine.id, event_type=mine.type)
        assert wire.load(MessageText, plain).text == "complaint: no money"
        assert (strangers.data.household_id, strangers.data.text) == (None, None)
        kept = await scene.db.fetchrow("select text from message where household_id is null")
        assert kept is not None
        assert b"registered" not in kept["text"]
        path = f"/messages/{strangers.data.message_id}"
        assert (await scene.get(path)).status_code == 403
        token = await _caller(scene, ["messages.read"])
        assert (await _as(scene, token, path)).json()["text"] == "complaint: not registered"


async def test_who_complained_is_told_the_number_and_what_became_of_it_and_nothing_of_who_works_on_it(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    async with answering(scene, gateway, tmp_path):
        await write(scene, STRANGER, "complaint: not registered")

        async def told() -> bool:
            return len(await scene.on(topics.MESSAGE_RECEIVED, MessageReceived)) == 1

        await until(told)
        (said,) = await scene.on(topics.MESSAGE_RECEIVED, MessageReceived)
        for sequence in (1, 2, 3, 3):
            await _grievance(scene, said.data.message_id, sequence)
        found = await texts(gateway, STRANGER, 2)
        assert all("G-000007" in each for each in found)
        assert len(found) == 2
        sent = await scene.on(topics.SMS_SENT, SmsSent)
        assert {each.data.template for each in sent} == {"answer"}


async def test_a_word_for_violence_gets_the_helpline_and_leaves_no_trace_but_for_the_protection_role(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    private = PrivateKey.generate()
    public = tmp_path / "protection.public"
    public.write_bytes(private.public_key.encode(HexEncoder))
    async with answering(scene, gateway, tmp_path, protection_public_key_file=public):
        await scene.household("h-1")
        await scene.register("h-1")
        await until(lambda: scene.db.fetchval("select exists (select from contact)"))
        await write(scene, phone_of("h-1"), "help violence")
        (text,) = await texts(gateway, phone_of("h-1"), 1)
        assert HELPLINE in text
        assert (await scene.get("/households/h-1/story")).json() == []

        async def sent() -> bool:
            return len(await scene.on(topics.SMS_SENT, SmsSent)) == 1

        await until(sent)
        (announced,) = await scene.on(topics.SMS_SENT, SmsSent)
        assert announced.data.template == "answer"
        assert "h-1" not in (announced.key, announced.data.household_id)

        assert (await scene.get("/protection/requests")).status_code == 403
        token = await _caller(scene, ["protection.read"])
        (request,) = (await _as(scene, token, "/protection/requests")).json()
        opened = json.loads(SealedBox(private).decrypt(_octets(request["sealed"])))
        assert (opened["number"], opened["text"]) == (phone_of("h-1"), "help violence")
        (reading,) = (await _as(scene, token, "/protection/readings")).json()
        assert (reading["reader"], reading["requests"]) == ("somebody", 1)


async def test_nobody_can_tell_a_request_for_protection_from_one_for_the_hotline(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    async with answering(scene, gateway, tmp_path):
        for number in (1, 2):
            await scene.household(f"h-{number}")
            await scene.register(f"h-{number}")
        await until(lambda: scene.db.fetchval("select count(*) = 2 from contact"))
        await write(scene, phone_of("h-1"), "help violence", 1)
        await write(scene, phone_of("h-2"), "help", 2)
        for number in (1, 2):
            await texts(gateway, phone_of(f"h-{number}"), 1)
        await until(lambda: scene.ended(2))
        shown = (
            "select kind, household_id, length(sender), text, language from message",
            (
                "select state, template, language, encoding, segments, length(household_id), payment_id,"
                " answer, priority, attempts, operator from sms"
            ),
            "select answers, unknown from answered",
        )
        for each in shown:
            one, other = await scene.db.fetch(each)
            assert tuple(one) == tuple(other)
        said = await scene.on(topics.MESSAGE_RECEIVED, MessageReceived)
        assert {(each.data.kind, each.data.household_id, each.data.text) for each in said} == {
            (MessageKind.HELP, None, None)
        }
        assert [each.key for each in said] == [each.data.message_id for each in said]
        sent = await scene.on(topics.SMS_SENT, SmsSent)
        told = {each.data.model_copy(update={"sms_id": "", "household_id": ""}) for each in sent}
        assert len(told) == 1


async def test_the_parts_of_a_long_message_are_joined_over_a_restart_and_told_once(
    scene: Scene, gateway: Gateway
) -> None:
    port = free_port()
    await gateway.start(smpp_port=port)
    by_smpp = {"gateway_kind": "smpp", "gateway_url": f"smpp://127.0.0.1:{port}"}
    words = ("complaint: we were prom", "ised money in Ju", "ne and nothing came")
    async with scene.running(**by_smpp):
        await _handset(gateway, words[2], "udh16:298:3:3")
        await _handset(gateway, words[0], "udh16:298:1:3")
        await until(lambda: scene.db.fetchval("select exists (select from long_message)"))
    async with scene.running(**by_smpp):
        await _handset(gateway, words[0], "udh16:298:1:3")
        await _handset(gateway, words[1], "udh16:298:2:3")
        await until(lambda: scene.db.fetchval("select exists (select from message)"))
        await _handset(gateway, words[1], "udh16:298:2:3")
        await _handset(gateway, "complaint: and one", "sar:7:1:2")
        await until(lambda: scene.db.fetchval("select count(*) = 2 from long_message"))
        # The household's words and number are nowhere in the clear.
        kept = [row["kept"] for row in await scene.db.fetch("select kept from long_message")]
        assert not any(b"complaint" in each or b"98765432" in each for each in kept)
        assert await _words(scene) == ["".join(words)]
    async with scene.running(**by_smpp, sms_parts_wait_s=0.0):
        await scene.db.execute("update long_message set due_at = now() where waits")
        await until(lambda: scene.db.fetchval("select count(*) = 2 from message"))
        assert sorted(await _words(scene)) == ["complaint: and one […]", "".join(words)]
        await scene.db.execute("update long_message set due_at = now()")
        await until(lambda: scene.db.fetchval("select not exists (select from long_message)"))


async def _handset(gateway: Gateway, text: str, part: str) -> None:
    """A part, once somebody is bound who hears it."""

    async def told() -> bool:
        return await gateway.handset(STRANGER, HOTLINE, text, part)

    await until(told)


async def _words(scene: Scene) -> list[str]:
    rows = await scene.db.fetch("select message_id, text from message")
    return [answers.unseal(scene.master, row["message_id"], row["text"]) for row in rows]


async def test_what_was_kept_for_a_year_is_deleted_and_nothing_younger(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    public = tmp_path / "protection.public"
    public.write_bytes(PrivateKey.generate().public_key.encode(HexEncoder))
    tables = {"message": "received_at", "message_seen": "on_date", "answered": "on_date"}
    tables["protection_request"] = "on_date"
    async with answering(scene, gateway, tmp_path, protection_public_key_file=public):
        for number in (1, 2):
            await write(scene, phone_of(f"h-{number}"), "help violence", number)
    for table, column in tables.items():
        oldest = f"ctid = (select min(ctid) from {table})"
        days = f"case when {oldest} then 366 else 364 end"
        await scene.db.execute(f"update {table} set {column} = now() - make_interval(days => {days})")

    async def forgotten() -> bool:
        return bool(await scene.db.fetchval("select count(*) = 1 from message"))

    async with scene.running():
        await until(forgotten)
    for table, column in tables.items():
        (age,) = await scene.db.fetch(f"select current_date - {column}::date from {table}")
        assert age[0] == 364, table


async def test_a_key_that_is_destroyed_takes_what_the_household_wrote_with_it(
    scene: Scene, gateway: Gateway, tmp_path: Path
) -> None:
    async with answering(scene, gateway, tmp_path):
        await scene.household("h-1")
        await scene.register("h-1")
        await until(lambda: scene.db.fetchval("select exists (select from contact)"))
        await write(scene, phone_of("h-1"), "complaint: no money")
        assert await scene.db.fetchval("select count(*) from message") == 1
        await scene.household("h-1", KeyState.DESTROYED)
        await until(lambda: scene.db.fetchval("select not exists (select from message)"))


async def _grievance(scene: Scene, message_id: str, sequence: int) -> None:
    usual = {
        "grievance_id": "g-7",
        "number": "G-000007",
        "message_id": message_id,
        "level": 4,
        "due_on": date(2030, 1, 1),
    }
    states = {2: GrievanceState.IN_WORK, 3: GrievanceState.RESOLVED}
    topic = topics.GRIEVANCE_OPENED if sequence == 1 else topics.GRIEVANCE_UPDATED
    data = (
        GrievanceOpened.model_validate({**usual, "channel": GrievanceChannel.SMS, "opened_by": "sms"})
        if sequence == 1
        else GrievanceUpdated.model_validate({**usual, "state": states[sequence], "actor": "office"})
    )
    event_id = wire.event_id(topic, "g-7", sequence)
    cause = Cause("c", "c", "")
    await scene.send(
        wire.emit(topic, data, id=event_id, key="g-7", sequence=sequence, time=datetime.now(UTC), cause=cause)
    )


async def _caller(scene: Scene, actions: list[str]) -> str:
    headers = {"Authorization": f"Bearer {scene.admin_token}"}
    async with httpx.AsyncClient(verify=False, base_url=scene.url, headers=headers, timeout=60) as client:
        new = {"name": "somebody", "actions": actions, "area": ""}
        token: str = (await client.post("/callers", json=new)).json()["token"]
    return token


async def _as(scene: Scene, token: str, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(verify=False, base_url=scene.url, headers=headers, timeout=60) as client:
        return await client.get(path)


def _octets(text: Any) -> bytes:
    return b64decode(text)
