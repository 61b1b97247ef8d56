"""Inbound SMS that are forged, malformed, too long or in no encoding: refused with the reason, or kept."""

import random
import sys
from urllib.parse import urlencode

import httpx
import pytest

from contracts import topics
from contracts.message import MessageReceived
from services.notifications import answers
from services.notifications.messages import CHARACTERS_MOST
from tests.integration.notifications.conftest import Scene
from tests.waiting import until

WRONG = "another"
pytestmark = pytest.mark.stack

SECRET = "callback-s3cret"  # pragma: allowlist secret
STRANGER, TO = "+85598765432", "1286"
SEED = 20261129
ANY_ENCODING = 60
CHARSETS = (
    "utf-8",
    "UTF-16BE",
    "utf-16",
    "ISO-8859-1",
    "utf-7",
    "hex",
    "idna",
    "no-such",
    "\xff",
    "",
)


@pytest.fixture
def told(scene: Scene) -> dict[str, object]:
    """Settings with which a gateway is let in."""
    file = scene.settings.data_dir / "callback.secret"
    file.write_text(SECRET)
    return {"gateway_callback_secret_file": file}


def query(**fields: str | bytes) -> str:
    usual: dict[str, str | bytes] = {"secret": SECRET, "from": STRANGER, "to": TO, "id": "m-1"}
    return "/gateway/kannel/inbound?" + urlencode({**usual, **fields})


async def counted(scene: Scene, what: str) -> float:
    lines = (await scene.get("/metrics")).text.splitlines()
    name = f'notifications_told_by_gateway_total{{what="{what}"}} '
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


async def test_what_is_forged_malformed_or_too_long_is_refused_counted_and_leaves_nothing(
    scene: Scene, told: dict[str, object]
) -> None:
    long = b"x" * 100_000
    async with scene.running(**told), httpx.AsyncClient(base_url=scene.url, timeout=60) as kannel:
        kept = {"X-Kannel-From": STRANGER, "X-Kannel-To": TO, "X-Kannel-Id": "m-2"}
        refused = [
            await kannel.get(query(secret=WRONG, text="STOP")),
            await kannel.get(query(secret="", text="STOP")),
            await kannel.post(query(secret=WRONG), content=b"STOP", headers=kept),
            await kannel.get(query(**{"from": ""}, text="STOP")),
            await kannel.post(query(), content=b"STOP"),
            await kannel.post(query(), content=long, headers=kept),
            await kannel.get(query(text="x" * 60_000)),
        ]
        assert [each.status_code for each in refused] == [403, 403, 403, 400, 400, 413, 414]
        assert all(each.json()["detail"] for each in refused)
        assert STRANGER not in "".join(each.text for each in refused)
        assert [await counted(scene, what) for what in ("forged", "malformed", "too-long")] == [3, 2, 2]
        assert await scene.db.fetchval("select count(*) from message_seen") == 0
    async with scene.running(), httpx.AsyncClient(base_url=scene.url, timeout=60) as kannel:
        assert (await kannel.get(query(text="STOP"))).status_code == 404


async def test_a_text_in_any_encoding_is_kept_and_told_in_words(
    scene: Scene, told: dict[str, object]
) -> None:
    sys.stdout.write(f"seed {SEED}\n")
    chance = random.Random(SEED)
    async with scene.running(**told), httpx.AsyncClient(base_url=scene.url, timeout=60) as kannel:
        for number in range(ANY_ENCODING):
            coding, charset = str(chance.randrange(5)), chance.choice(CHARSETS)
            octets = chance.randbytes(chance.randrange(400))
            said = query(text=octets, coding=coding, charset=charset, id=f"m-{number}")
            assert (await kannel.get(said)).status_code == 200, (coding, charset, octets)
        rows = await scene.db.fetch("select message_id, text from message where text is not null")
        texts = [answers.unseal(scene.master, row["message_id"], row["text"]) for row in rows]
        assert len(texts) > ANY_ENCODING / 2
        assert all(each.encode() for each in texts)
        assert await scene.db.fetchval("select count(*) from message") == ANY_ENCODING

        async def published() -> bool:
            return len(await scene.on(topics.MESSAGE_RECEIVED, MessageReceived)) == ANY_ENCODING

        await until(published)


async def test_a_long_text_is_cut_and_commands_in_it_are_words(scene: Scene, told: dict[str, object]) -> None:
    text = "complaint'); drop table message; -- " + "ក" * 1_700
    async with scene.running(**told), httpx.AsyncClient(base_url=scene.url, timeout=60) as kannel:
        kept = {"X-Kannel-From": STRANGER, "X-Kannel-To": TO, "X-Kannel-Id": "m-1"}
        answer = await kannel.post(query(), content=text.encode(), headers=kept)
        assert answer.status_code == 200
        row = await scene.db.fetchrow("select message_id, text from message where kind = 'complaint'")
        assert row is not None
        assert answers.unseal(scene.master, row["message_id"], row["text"]) == text[:CHARACTERS_MOST]


async def test_a_message_that_can_not_be_kept_is_told_again_and_is_one(
    scene: Scene, told: dict[str, object]
) -> None:
    async with scene.running(**told), httpx.AsyncClient(base_url=scene.url, timeout=60) as kannel:
        await scene.db.execute("alter table message rename to gone")
        assert (await kannel.get(query(text="complaint"))).status_code == 503
        assert await counted(scene, "not-kept") == 1
        await scene.db.execute("alter table gone rename to message")
        for _ in range(2):
            assert (await kannel.get(query(text="complaint"))).status_code == 200
        assert await scene.db.fetchval("select count(*) from message") == 1
