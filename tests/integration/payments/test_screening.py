"""Payees on the operator's list, on the real stack: held until a person has looked, and not asked twice."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.payments.conftest import Scene, family
from tests.integration.payments.payroll_scenes import decided, frozen, payroll_cycle
from tests.integration.payments.test_holds import released
from tests.integration.payments.test_reports import AMOUNT
from tests.waiting import until

pytestmark = pytest.mark.stack


def listed(scene: Scene, folder: Path, *lines: str) -> None:
    """Payments starts with this list."""
    scene.settings.screening_list = folder / "list.csv"
    scene.settings.screening_list.write_text("\n".join(("id,name", *lines)), encoding="utf-8")


async def test_a_payee_like_one_on_the_list_waits_for_a_person_once(scene: Scene, tmp_path: Path) -> None:
    listed(scene, tmp_path, "X-1,Dara Sok")
    alike, other = family("h-0001"), family("h-0002")
    other = replace(
        other, payee=other.payee.model_copy(update={"name_latin": "Chan Sophea", "name_km": "ចាន់ សុភា"})
    )
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        await scene.send([scene.key(alike), scene.key(other)])
        await scene.send([scene.scored(alike, AMOUNT), scene.scored(other, AMOUNT)])
        await scene.settled_down(waiting={"h-0001": "held"}, states={"h-0002": "issued"}, parked=[])
        (hit,) = (await scene.call("GET", "/holds/screening")).json()
        assert (hit["household_id"], hit["entry"], hit["score"]) == ("h-0001", "X-1", 100)
        await released(scene, hit["hold_id"])
        await scene.settled_down(states={"h-0001": "issued", "h-0002": "issued"}, waiting={})
        await scene.next_cycle("2023-07")
        again = [scene.scored(each, AMOUNT, sequence=2, period="2023-07") for each in (alike, other)]
        await scene.send(again)
        await until(lambda: scene.db.fetchval("select count(*) = 4 from payment"))
        assert (await scene.call("GET", "/holds/screening")).json() == []
    kept = "select string_agg(t::text, '') from (select * from screening_hit, screened) t"
    assert "Sok" not in await scene.db.fetchval(kept)


async def test_a_list_is_frozen_without_likenesses_and_a_wrong_screening_list_lets_go_of_its_own_alone(
    scene: Scene, tmp_path: Path
) -> None:
    one, two = family("h-0001"), family("h-0002")
    two = replace(two, payee=two.payee.model_copy(update={"name_latin": "Chan Sophea", "name_km": "ចាន់"}))
    async with scene.running():
        await payroll_cycle(scene, [one, two])
        tokens = dict(scene.tokens)
    for number, entries in ((1, ["X-1,Dara Sok"]), (3, ["X-1,Dara Sok", "X-2,Nobody Here"])):
        listed(scene, tmp_path, *entries)
        async with scene.running():
            scene.tokens = tokens
            without = await frozen(scene, number)
            await scene.settled_down(waiting={"h-0001": "held", "h-0002": "payroll"})
            (hit,) = (await scene.call("GET", "/holds/screening")).json()
            wrong, why = f"/holds/lists/{hit['list']}/release", {"reason": "wrong-list"}
            done = await scene.call("POST", wrong, why, by="Dara")
            again = await scene.call("POST", wrong, why, by="Dara")
            await scene.settled_down(waiting={"h-0001": "payroll", "h-0002": "payroll"})
            await decided(scene, without, "Dara", verdict="refuse")
            whole = await frozen(scene, number + 1)
            await decided(scene, whole, "Dara", verdict="refuse")
        assert (without["households"], whole["households"]) == (1, 2)
        assert (done.json()["released"], again.json()["released"]) == (1, 0)


async def test_another_list_screens_who_waits_anew_but_not_what_was_released(
    scene: Scene, tmp_path: Path
) -> None:
    listed(scene, tmp_path, "X-1,Dara Sok")
    one, two = family("h-0001"), family("h-0002")
    two = replace(two, payee=two.payee.model_copy(update={"name_latin": "Chan Sophea", "name_km": "ចាន់"}))
    async with scene.running():
        await scene.open_cycle()
        await scene.send(
            [scene.key(one), scene.key(two), scene.scored(one, AMOUNT), scene.scored(two, AMOUNT)]
        )
        await scene.settled_down(waiting={"h-0001": "held", "h-0002": "approval"})
        (hit,) = (await scene.call("GET", "/holds/screening")).json()
        await released(scene, hit["hold_id"])
        await scene.settled_down(waiting={"h-0001": "approval", "h-0002": "approval"})
        tokens = dict(scene.tokens)
    listed(scene, tmp_path, "X-1,Dara Sok", "X-2,Sophea Chan")
    async with scene.running():
        scene.tokens = tokens
        await scene.approve()
        await scene.settled_down(states={"h-0001": "issued"}, waiting={"h-0002": "held"})
        (hit,) = (await scene.call("GET", "/holds/screening")).json()
    assert (hit["household_id"], hit["entry"]) == ("h-0002", "X-2")
