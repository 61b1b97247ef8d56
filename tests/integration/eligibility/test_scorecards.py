"""`tonle scorecards`, on the running service: a registered household, an interview, and both."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence

import httpx
import pytest
import pytest_asyncio
import typer
from typer.testing import CliRunner, Result

from contracts.household import Dwelling, KeyPurpose, KeyState, Relation
from services.eligibility import cli_scorecards
from tests.integration.eligibility.conftest import Scene
from tests.unit.eligibility.samples import PRESS_CASE
from tests.waiting import until
from tonle import terminal

pytestmark = pytest.mark.stack

HEAD = PRESS_CASE.members[0].model_copy(update={"relation": Relation.HEAD})
HOME = PRESS_CASE.model_copy(
    update={
        "members": (HEAD, *PRESS_CASE.members[1:]),
        "dwelling": Dwelling(walls="Bamboo", roof="thatch"),
        "assets": ("bicycle", "motorbike"),
    }
)
Tonle = Callable[..., "asyncio.Future[Result]"]


@pytest_asyncio.fixture
async def tonle(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tonle]:
    """Runs `tonle` on the scene's service, where household h-1 is registered."""
    application = typer.Typer()
    cli_scorecards.mount(application)

    def client(_: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {scene.admin_token}"}
        return httpx.Client(verify=False, base_url=scene.service.url, headers=headers)

    def run(*words: str) -> "asyncio.Future[Result]":
        invoke: Callable[[typer.Typer, Sequence[str]], Result] = CliRunner().invoke
        return asyncio.ensure_future(asyncio.to_thread(invoke, application, ["scorecards", *words]))

    monkeypatch.setattr(terminal, "client", client)
    async with scene.running():
        await scene.tell_keys("h-1")
        await scene.tell(scene.sealer.registered("h-1", of=HOME))
        await until(lambda: scene.counts(households=1))
        yield run


async def test_scorecards_are_listed_and_shown_as_published(tonle: Tonle) -> None:
    listed = json.loads((await tonle("list", "--json")).stdout)
    shown = (await tonle("show", "ppi-2011")).stdout
    assert [each["id"] for each in listed] == ["ppi-2011", "ppi-2020"]
    assert "1=7\tOne or two\t40\tmembers: up to 2" in shown
    assert (await tonle("show", "ppi-2012")).exit_code == 1


async def test_a_registered_household_has_a_range_and_an_interview_narrows_it(tonle: Tonle) -> None:
    registered = json.loads((await tonle("score", "ppi-2011", "--household", "h-1", "--json")).stdout)
    asked = ("2=1", "3=3", "4=1", "7=1", "8=1", "9=2", "10=2")
    whole = (await tonle("score", "ppi-2011", *asked, "--household", "h-1")).stdout
    line = registered["lines"][0]
    # Five members 17, a female head 0 or 2, bamboo 0, thatch 0, a motorcycle or more 6 or 10.
    assert (line["line"], line["score_lowest"], line["score_highest"]) == ("nl100", 23, 69)
    assert [each["number"] for each in registered["open_questions"]] == [2, 3, 4, 7, 8, 9, 10]
    assert "national poverty line\t29\t46.6\n" in whole
    assert "still_open" not in whole


async def test_what_can_not_be_scored_says_what_to_do(tonle: Tonle, scene: Scene) -> None:
    unknown = await tonle("score", "ppi-2011", "--household", "h-9")
    wrong = await tonle("score", "ppi-2011", "4=9")
    nothing = await tonle("score", "ppi-2011", "four=nine")
    await scene.tell_keys("h-1", KeyState.DESTROYED, [KeyPurpose.PERSON])
    await until(lambda: _is_forgotten(scene))
    forgotten = await tonle("score", "ppi-2011", "--household", "h-1")
    assert "no such household" in unknown.stderr
    assert "Question 4 has responses 1 to 3" in wrong.stderr
    assert (nothing.exit_code, "for instance 4=2" in nothing.stderr) == (2, True)
    assert "It was forgotten: give the answers instead." in forgotten.stderr


async def _is_forgotten(scene: Scene) -> bool:
    return bool(await scene.db.fetchval("select true from household_key where state = 'destroyed'"))
