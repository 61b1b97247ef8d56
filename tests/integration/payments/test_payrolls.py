"""Payrolls on the real stack: frozen, decided on by content, issued so; what the database refuses."""

import asyncpg
import pytest

from services.payments.approval import Thresholds
from tests.integration.payments.conftest import CYCLE, Scene, family
from tests.integration.payments.payroll_scenes import decided, frozen, issue, payroll_cycle
from tests.waiting import until

pytestmark = pytest.mark.stack


async def test_what_was_approved_is_issued_and_nothing_else(scene: Scene) -> None:
    families = [family(f"h-{number:04}") for number in range(6)]
    *approved, changed, late = families
    async with scene.running():
        await payroll_cycle(scene, families[:-1])
        payroll = await frozen(scene)
        assert (payroll["households"], payroll["riel"], payroll["approvers"]) == (5, 500_000, 1)
        assert payroll["digest"] == payroll["digest_of_lines"]
        await scene.send([scene.key(late), scene.scored(late, 100_000)])
        await scene.send([scene.scored(changed, 120_000, sequence=2, revision=2)])
        heard = "select count(*) = 6 and max(amount) = 120000 from decision where waiting = 'payroll'"
        await until(lambda: scene.db.fetchval(heard))
        early = await scene.call("POST", f"/cycles/{CYCLE}/issue", by="Sokha")
        assert (early.status_code, "is frozen" in early.json()["title"]) == (409, True)
        assert await decided(scene, payroll, "Dara") == [(200, "approved")]
        assert await scene.states() == {}
        progress = await issue(scene)
        paid = [each.household_id for each in approved[:4]]
        await scene.settled_down(states=dict.fromkeys(paid, "issued"))
    assert (progress["payments"], progress["riel"]) == (4, 400_000)
    assert await scene.waiting() == {changed.household_id: "changed", late.household_id: "payroll"}


async def test_late_joiners_are_paid_from_a_list_of_their_own_or_once_two_people_let_them_in(
    scene: Scene,
) -> None:
    families = [family(f"h-{number:04}") for number in range(3)]
    async with scene.running():
        await payroll_cycle(scene, families[:1])
        await decided(scene, await frozen(scene), "Dara")
        await issue(scene)
        await scene.send([scene.key(families[1]), scene.scored(families[1], 90_000)])
        await scene.settled_down(waiting={"h-0001": "payroll"})
        second = await frozen(scene, 2)
        assert (second["households"], second["riel"]) == (1, 90_000)
        await decided(scene, second, "Dara")
        await issue(scene)
        why = {"reason": "few are left"}
        (await scene.call("POST", f"/cycles/{CYCLE}/let-in", why, by="Sokha")).raise_for_status()
        own = await scene.call("POST", f"/cycles/{CYCLE}/approve", by="Sokha")
        await scene.send([scene.key(families[2]), scene.scored(families[2], 80_000)])
        await scene.settled_down(waiting={"h-0002": "payroll"})
        await scene.approve()
        ids = [each.household_id for each in families]
        await scene.settled_down(states=dict.fromkeys(ids, "issued"), waiting={})
    assert own.status_code == 403


async def test_a_large_list_takes_three_people_none_of_whom_prepared_it(scene: Scene) -> None:
    scene.settings = scene.settings.model_copy(update={"approvers": Thresholds(100_000, 200_000)})
    families = [family(f"h-{number:04}") for number in range(2)]
    async with scene.running():
        await payroll_cycle(scene, families)
        payroll = await frozen(scene)
        assert payroll["approvers"] == 3
        assert await decided(scene, payroll, "Sokha", "Dara", "Dara", "Vanna") == [
            (403, "Sokha prepared this and can't decide on it"),
            (200, "frozen"),
            (403, "Dara approved this and can't decide on it"),
            (200, "frozen"),
        ]
        refused = await scene.call("POST", f"/cycles/{CYCLE}/issue", by="Sokha")
        assert refused.json()["detail"] == "It takes 1 more approvals."
        assert await decided(scene, payroll, "Bopha") == [(200, "approved")]
        await issue(scene)
        await scene.settled_down(states={"h-0000": "issued", "h-0001": "issued"})


async def test_a_refused_list_pays_nobody_and_makes_room_for_another(scene: Scene) -> None:
    async with scene.running():
        await payroll_cycle(scene, [family("h-0001")])
        payroll = await frozen(scene)
        again = await scene.call("POST", f"/cycles/{CYCLE}/payrolls", by="Sokha")
        other = {**payroll, "digest": "0" * 64}
        assert await decided(scene, other, "Dara") == [(409, "that is not this list's digest")]
        assert await decided(scene, payroll, "Dara", verdict="refuse", reason="too early") == [
            (200, "refused")
        ]
        assert (await issue(scene))["payments"] == 0
        assert (await frozen(scene, 2))["digest"] == payroll["digest"]
    assert (again.status_code, again.json()["title"]) == (409, f"payroll 1 of {CYCLE} awaits a decision")


async def test_a_list_beyond_the_envelope_is_not_approved(scene: Scene) -> None:
    async with scene.running():
        await payroll_cycle(scene, [family("h-0001")], envelope=90_000)
        ((status, title),) = await decided(scene, await frozen(scene), "Dara")
    assert (status, title) == (
        409,
        f"payroll 1 of {CYCLE} needs 100000 riel, and the envelope has room for 90000",
    )


DECISION = "insert into payroll_decision select cycle_id, number, $1, 'approve', $2, 'x', now() from payroll"


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (DECISION, ("Sokha", None)),
        (DECISION, ("Dara", "another")),
        ("update payroll set state = 'approved'", ()),
        ("update payroll set digest = 'x'", ()),
        ("update payroll set riel = 1", ()),
        ("update payroll set prepared_by = '{nobody}'", ()),
        ("update payroll_line set amount = 1", ()),
        ("delete from payroll_line", ()),
        ("insert into payroll_line select cycle_id, number, 'h-9', 100, 'd', 'p' from payroll", ()),
        ("delete from payroll", ()),
    ],
)
async def test_the_database_itself_refuses(
    scene: Scene, statement: str, arguments: tuple[str | None, ...]
) -> None:
    async with scene.running():
        await payroll_cycle(scene, [family("h-0001")])
        payroll = await frozen(scene)
        given = [payroll["digest"] if each is None else each for each in arguments]
        with pytest.raises(asyncpg.RestrictViolationError):
            await scene.db.execute(statement, *given)
