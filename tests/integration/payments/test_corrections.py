"""What was paid too little or too much, on the real stack: carried into the next cycle, or written off."""

import asyncpg
import pytest

from contracts import topics
from contracts.payment import ReportStatus
from tests.integration.payments.conftest import CYCLE, PROGRAMME, Scene, events, family
from tests.integration.payments.test_reports import AMOUNT, issue
from tests.waiting import until

pytestmark = pytest.mark.stack


async def corrected(scene: Scene, **amounts: int) -> None:
    """Pay these households, and decide afterwards that other amounts were due."""
    told = await issue(scene, *amounts)
    await scene.send(scene.report(told[each], each, ReportStatus.SETTLED) for each in amounts)
    await scene.settled_down(states=dict.fromkeys(amounts, "settled"))
    families = {each: family(each) for each in amounts}
    await scene.send(scene.key(each) for each in families.values())
    await scene.send(
        scene.scored(one, amounts[each], sequence=2, revision=2) for each, one in families.items()
    )
    await until(lambda: scene.db.fetchval("select count(*) = $1 from correction", len(amounts)))


async def pay(scene: Scene, period: str, sequence: int, *ids: str) -> dict[str, tuple[int, int]]:
    """(amount, carried) of each household's payment for another month."""
    families = [family(each) for each in ids]
    await scene.next_cycle(period)
    await scene.send(scene.key(each) for each in families)
    await scene.send(
        scene.scored(each, AMOUNT, sequence=sequence, revision=sequence, period=period) for each in families
    )
    paid = "select household_id, amount, carried from payment where period = $1"
    await until(
        lambda: scene.db.fetchval("select count(*) = $2 from payment where period = $1", period, len(ids))
    )
    return {row[0]: (row[1], row[2]) for row in await scene.db.fetch(paid, period)}


async def test_what_was_too_little_or_too_much_goes_with_the_next_payment(scene: Scene) -> None:
    less, more = "h-1", "h-2"
    async with scene.running():
        await corrected(scene, **{less: AMOUNT - 40_000, more: AMOUNT + 24_000})
        listed = (await scene.call("GET", "/corrections")).json()
        assert {each["household_id"]: each["riel"] for each in listed} == {less: -40_000, more: 24_000}
        assert {each["owner"] for each in listed} == {"nobody"}
        first = await pay(scene, "2023-07", 3, less, more)
        assert first == {less: (AMOUNT - 35_200, -35_200), more: (AMOUNT + 24_000, 24_000)}
        second = await pay(scene, "2023-08", 4, less, more)
        assert second == {less: (AMOUNT - 4_800, -4_800), more: (AMOUNT, 0)}
        assert (await scene.call("GET", "/corrections")).json() == []
        story = (await scene.call("GET", f"/households/{less}/story")).json()
        shown = (await scene.call("GET", f"/corrections/{less}")).json()
    assert [each["detail"]["riel"] for each in story if each["what"] == "withheld for before"] == [
        -35_200,
        -4_800,
    ]
    assert [each["part"] for each in shown["payments"]] == [-40_000, 35_200, 4_800]
    issued = events(await scene.on(topics.PAYMENT_ISSUED.name))
    assert {each["carried"] for _, each in issued} == {-35_200, -4_800, 0, 24_000}


async def test_an_overpayment_written_off_by_two_people_is_not_recovered(scene: Scene) -> None:
    path = f"/corrections/h-1/{PROGRAMME}"
    why = {"reason": "our mistake"}
    async with scene.running():
        await corrected(scene, **{"h-1": AMOUNT - 40_000})
        too_much = await scene.call("POST", f"{path}/write-off", {"riel": 40_100, **why}, by="Sokha")
        assert (too_much.status_code, "overpaid 40000" in too_much.json()["title"]) == (409, True)
        asked = await scene.call("POST", f"{path}/write-off", {"riel": 40_000, **why}, by="Sokha")
        assert asked.status_code == 201
        again = await scene.call("POST", f"{path}/write-off", {"riel": 100, **why}, by="Sokha")
        assert again.status_code == 409
        assert len((await scene.call("GET", "/corrections/write-offs")).json()) == 1
        own = await scene.call("POST", f"{path}/approve", why, by="Sokha")
        assert (own.status_code, "can't decide" in own.json()["title"]) == (403, True)
        (await scene.call("POST", f"{path}/approve", why, by="Dara")).raise_for_status()
        assert (await scene.call("GET", "/corrections")).json() == []
        assert await pay(scene, "2023-07", 3, "h-1") == {"h-1": (AMOUNT, 0)}
    with pytest.raises(asyncpg.RestrictViolationError, match="never changed"):
        await scene.db.execute("update write_off set amount = 100")


async def test_an_overpayment_of_a_programme_that_pays_no_more_names_who_closes_it(scene: Scene) -> None:
    async with scene.running():
        await corrected(scene, **{"h-1": AMOUNT - 40_000})
        (await scene.call("POST", f"/cycles/{CYCLE}/close", by="Dara")).raise_for_status()
        (left,) = (await scene.call("GET", "/corrections")).json()
    assert (left["owner"], "write-off h-1" in left["next_step"]) == ("two officers", True)


async def test_an_overpayment_whose_write_off_was_refused_is_recovered(scene: Scene) -> None:
    path = f"/corrections/h-1/{PROGRAMME}"
    async with scene.running():
        await corrected(scene, **{"h-1": AMOUNT - 16_000})
        asked = {"riel": 16_000, "reason": "please"}
        (await scene.call("POST", f"{path}/write-off", asked, by="Sokha")).raise_for_status()
        (await scene.call("POST", f"{path}/refuse", {"reason": "no"}, by="Dara")).raise_for_status()
        assert (await scene.call("POST", f"{path}/refuse", {"reason": "no"}, by="Dara")).status_code == 404
        assert await pay(scene, "2023-07", 3, "h-1") == {"h-1": (AMOUNT - 16_000, -16_000)}


async def test_a_withholding_that_failed_is_withheld_from_the_attempt_after_it(scene: Scene) -> None:
    scene.settings.reissue_after_s = 0.1
    async with scene.running():
        await corrected(scene, **{"h-1": AMOUNT - 16_000})
        await pay(scene, "2023-07", 3, "h-1")
        failed = (await scene.instructions())[-1][1]
        await scene.send([scene.report(failed, "h-1", ReportStatus.FAILED)])
        await scene.confirm(failed, "h-1", ReportStatus.FAILED)
        await until(lambda: scene.db.fetchval("select count(*) = 1 from payment where attempt = 2"))
    row = await scene.db.fetchrow("select amount, carried from payment where attempt = 2")
    assert row is not None
    assert tuple(row) == (AMOUNT - 16_000, -16_000)
