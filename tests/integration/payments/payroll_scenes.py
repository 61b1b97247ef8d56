"""What the tests of payrolls share: a cycle that pays from lists, and lists approved by their digest."""

from collections.abc import Sequence
from typing import Any

from tests.integration.payments.conftest import CYCLE, Family, Scene
from tests.integration.payments.test_preview import completed
from tests.waiting import until


async def payroll_cycle(scene: Scene, families: Sequence[Family], **terms: int) -> None:
    """Approved and answered, with families that wait with 100,000 riel each; Vanna and Bopha may approve."""
    await scene.open_cycle(approval="payroll", **terms)
    await scene.approve()
    for name in ("Vanna", "Bopha"):
        await scene.officer(name, "cycle.approve")
    await scene.send(scene.key(each) for each in families)
    await scene.send(scene.scored(each, 100_000) for each in families)
    await scene.send(completed([0, 0]))
    waiting = "select count(*) = $1 from decision where waiting = 'payroll'"
    await until(lambda: scene.db.fetchval(waiting, len(families)))
    await until(lambda: scene.db.fetchval("select count(*) = 2 from answer"))


async def frozen(scene: Scene, number: int = 1) -> dict[str, Any]:
    """A list of what waits now, frozen by Sokha."""
    (await scene.call("POST", f"/cycles/{CYCLE}/payrolls", by="Sokha")).raise_for_status()
    states = "select state = 'frozen' from payroll where number = $1"
    await until(lambda: scene.db.fetchval(states, number))
    found: dict[str, Any] = (await scene.call("GET", f"/cycles/{CYCLE}/payrolls/{number}")).json()
    return found


async def decided(
    scene: Scene, payroll: dict[str, Any], *by: str, verdict: str = "approve", **said: str
) -> list[tuple[int, str]]:
    """(status, state or title) of each person's decision."""
    answers = []
    for name in by:
        answer = await scene.call(
            "POST",
            f"/cycles/{CYCLE}/payrolls/{payroll['number']}/{verdict}",
            {"digest": payroll["digest"], "reason": "as previewed", **said},
            by=name,
        )
        body = answer.json()
        answers.append((answer.status_code, body.get("state") or body["title"]))
    return answers


async def issue(scene: Scene) -> dict[str, Any]:
    """Asked for by Sokha, and waited for."""
    (await scene.call("POST", f"/cycles/{CYCLE}/issue", by="Sokha")).raise_for_status()
    await until(lambda: scene.db.fetchval("select issue_after is null from cycle"))
    found: dict[str, Any] = (await scene.call("GET", f"/cycles/{CYCLE}/progress")).json()
    return found
