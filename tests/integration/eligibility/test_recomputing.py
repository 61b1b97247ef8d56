"""`tonle recompute`: decisions of the log made again, and what it says of those that come out otherwise."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio
import typer
from typer.testing import CliRunner, Result

from contracts import topics, wire
from contracts.eligibility import EligibilityScored
from contracts.wire import Cause, Received
from tests.broker import admin
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import PROGRAMME, cycle_changed
from tests.waiting import until
from tonle import recompute, terminal

pytestmark = pytest.mark.stack
Run = Callable[..., Awaitable[Result]]


@pytest_asyncio.fixture
async def run(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Runs `tonle recompute ...` against the service and the log of this test, in which h-1 was decided."""
    application = typer.Typer()
    recompute.mount(application)
    stack = SimpleNamespace(
        kafka=SimpleNamespace(broker=lambda _: admin(scene.settings)),
        topic_prefix=scene.settings.topic_prefix,
    )

    def client(_: str, timeout_s: float) -> httpx.Client:
        headers = {"Authorization": f"Bearer {scene.admin_token}"}
        return httpx.Client(verify=False, base_url=scene.service.url, headers=headers, timeout=timeout_s)

    async def invoke(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, application, list(words))

    monkeypatch.setattr(terminal, "client", client)
    monkeypatch.setattr(terminal, "running_stack", lambda: stack)
    async with scene.running():
        await scene.tell(cycle_changed())
        await scene.register("h-1")
        await until(lambda: scene.counts(eligible=1))
        yield invoke


async def forge(scene: Scene, told: Received[EligibilityScored], said: EligibilityScored) -> None:
    """Put another version of an event into the log, under the same key."""
    record = wire.emit(
        topics.ELIGIBILITY_SCORED,
        said,
        id=wire.event_id(topics.ELIGIBILITY_SCORED, "forged", said.model_dump_json()),
        key=said.household_id,
        sequence=told.sequence,
        time=told.time,
        cause=Cause(told.id, told.correlation_id, told.traceparent),
    )
    await scene.send(record)


async def test_what_comes_out_as_it_was_told_is_equal_and_the_command_succeeds(run: Run) -> None:
    found = await run("--json")
    assert (found.exit_code, json.loads(found.stdout)["equal"]) == (0, 1), found.output


async def test_an_amount_that_was_never_decided_is_found_and_the_command_fails(
    run: Run, scene: Scene
) -> None:
    (told,) = await scene.scored()
    first, *others = told.data.decisions
    richer = first.model_copy(update={"amount": first.amount + 100})
    await forge(scene, told, told.data.model_copy(update={"decisions": (richer, *others)}))
    found = await run()
    assert found.exit_code == 1
    assert f"h-1\t{told.sequence}\tdiffers\t{first.programme}" in found.stdout
    said = json.loads((await run("--json", "--household", "h-1")).stdout)
    assert (said["events"], said["equal"], said["differs"]) == (2, 1, 1)
    assert json.loads((await run("--json", "--household", "h-2")).stdout)["events"] == 0


@pytest.mark.parametrize(
    ("without", "why"),
    [
        ({"revision": 7}, "the registration of that revision"),
        ({"reports": 3}, "a condition report or an appeal that it rests on"),
        ({"catalogue": "0" * 64}, "the programme files of that time"),
    ],
    ids=["registration", "report", "files"],
)
async def test_what_a_decision_rests_on_and_is_not_there_is_named(
    run: Run, scene: Scene, without: dict[str, object], why: str
) -> None:
    (told,) = await scene.scored()
    await forge(scene, told, told.data.model_copy(update=without))
    found = await run("--json")
    assert found.exit_code == 1
    (missing,) = json.loads(found.stdout)["found"]
    assert (missing["verdict"], missing["why"]) == ("missing", why)
    assert PROGRAMME.id not in missing["programmes"]
