"""What a service answers to those who run it."""

import asyncpg
import pytest

from tests.integration.postbox.conftest import Scene
from tests.waiting import until
from tonle.stack.process import free_port


async def test_what_no_replay_can_help_is_dismissed_and_what_waits_behind_it_goes_on(scene: Scene) -> None:
    async with scene.running():
        await scene.send(b"{", b"k")
        await scene.add(2)
        await until(scene.all_done)
        first, second = (each["id"] for each in (await scene.call("GET", "/parked")).json()["parked"])
        why = {"why": "cut off by its sender, who sent it again"}
        assert (await scene.call("POST", f"/parked/{second}/dismiss", why)).status_code == 409
        assert (await scene.call("POST", f"/parked/{first}/dismiss", {"why": ""})).status_code == 422
        assert (await scene.call("POST", f"/parked/{first}/dismiss", why)).json()["dismissed_by"] == "admin"
        assert (await scene.call("POST", f"/parked/{first}/dismiss", why)).status_code == 404
        await scene.add(3)
        await until(scene.all_done)
        (kept,) = (await scene.call("GET", "/dismissed")).json()
    assert (kept["id"], kept["why"]) == (first, why["why"])
    assert (await scene.effects(), await scene.parked()) == ([2, 3], [])
    with pytest.raises(asyncpg.RestrictViolationError, match="dismissed is written once"):
        await scene.db.execute("delete from dismissed")


async def test_metrics_are_answered_while_the_database_is_away_and_say_nothing_that_is_read_there(
    scene: Scene,
) -> None:
    async with (
        scene.running() as service,
        asyncpg.create_pool(scene.settings.database, port=free_port(), min_size=0) as away,
    ):
        (known,) = _outbox((await scene.call("GET", "/metrics")).text)
        pool, service.db = service.db, away
        answer = await scene.call("GET", "/metrics")
        service.db = pool
    assert (answer.status_code, known, _outbox(answer.text)) == (200, "0.0", ["NaN"])


def _outbox(metrics: str) -> list[str]:
    return [line.split()[1] for line in metrics.splitlines() if line.startswith("postbox_outbox_messages ")]


async def test_who_is_not_known_may_not_see_what_is_parked(scene: Scene) -> None:
    async with scene.running():
        scene.admin_token = "guess"
        assert (await scene.call("GET", "/parked")).status_code == 401
        assert (await scene.call("GET", "/health/live")).status_code == 200
