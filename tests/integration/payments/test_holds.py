"""Households and accounts held by people, on the real stack."""

import pytest

from contracts import topics
from contracts.household import Account
from contracts.payment import ReportStatus
from tests.integration.payments.conftest import PROGRAMME, Scene, events, family
from tests.integration.payments.test_reports import AMOUNT, issue
from tests.waiting import until

pytestmark = pytest.mark.stack
HELD = {"household_id": "h-0001", "reason": "fraud-suspicion"}


async def released(scene: Scene, hold_id: str) -> None:
    """Dara lets go."""
    done = await scene.call("POST", f"/holds/{hold_id}/release", {"reason": "cleared"}, by="Dara")
    done.raise_for_status()


async def test_a_held_household_waits_until_another_person_lets_go(scene: Scene) -> None:
    one, other = family("h-0001"), family("h-0002")
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        placed = await scene.call("POST", "/holds", HELD, by="Sokha")
        assert placed.status_code == 201
        assert (await scene.call("POST", "/holds", HELD, by="Sokha")).status_code == 409
        await scene.send([scene.key(one), scene.key(other)])
        await scene.send([scene.scored(one, AMOUNT), scene.scored(other, AMOUNT)])
        await scene.settled_down(waiting={"h-0001": "held"}, states={"h-0002": "issued"})
        hold_id = placed.json()["hold_id"]
        own = await scene.call("POST", f"/holds/{hold_id}/release", {"reason": "cleared"}, by="Sokha")
        assert (own.status_code, "can't release it" in own.json()["title"]) == (403, True)
        await released(scene, hold_id)
        await scene.settled_down(waiting={}, states={"h-0001": "issued", "h-0002": "issued"})
        assert (await scene.call("GET", "/holds")).json() == []
        (kept,) = (await scene.call("GET", "/holds?released=true&household=h-0001")).json()
    assert (kept["placed_by"], kept["released_by"]) == ("Sokha", "Dara")
    told = events(await scene.on(topics.HOLD_CHANGED.name))
    assert [(each["state"], each["reason"], each["actor"]) for _, each in told] == [
        ("placed", "fraud-suspicion", "Sokha"),
        ("released", "cleared", "Dara"),
    ]


async def test_a_held_account_holds_whoever_collects_by_it_and_is_kept_as_a_digest(scene: Scene) -> None:
    one, other = family("h-0001"), family("h-0002")
    assert one.payee.account is not None
    spaced = Account(provider="Wing", number=" ".join(one.payee.account.number))
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        body = {"account": spaced.model_dump(), "reason": "account-reported"}
        hold = (await scene.call("POST", "/holds", body, by="Sokha")).json()
        await scene.send([scene.key(one), scene.key(other)])
        await scene.send([scene.scored(one, AMOUNT), scene.scored(other, AMOUNT)])
        await scene.settled_down(waiting={"h-0001": "held"}, states={"h-0002": "issued"})
        await released(scene, hold["hold_id"])
        await scene.settled_down(waiting={}, states={"h-0001": "issued", "h-0002": "issued"})
    assert one.payee.account.number not in str(hold)
    ((_, told), _) = events(await scene.on(topics.HOLD_CHANGED.name))
    assert told["account_digest"] == hold["account_digest"]


async def test_what_failed_of_a_held_household_is_sent_again_when_it_is_let_go(scene: Scene) -> None:
    scene.settings.reissue_after_s = 0.1
    async with scene.running():
        told = await issue(scene, "h-0001")
        hold = (await scene.call("POST", "/holds", HELD, by="Sokha")).json()
        await scene.send([scene.report(told["h-0001"], "h-0001", ReportStatus.FAILED)])
        await until(lambda: scene.db.fetchval("select waiting = 'held' from reissue"))
        scene.settings.reissue_after_s = 3600
        await released(scene, hold["hold_id"])
        await scene.confirm(told["h-0001"], "h-0001", ReportStatus.FAILED)
        await until(lambda: scene.db.fetchval("select count(*) = 1 from payment where attempt = 2"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"reason": "x"}, "Name one of both"),
        ({**HELD, "reason": "He hid his car"}, "pattern"),
    ],
)
async def test_a_hold_that_names_nobody_or_gives_free_text_is_refused(
    scene: Scene, body: dict[str, str], says: str
) -> None:
    async with scene.running():
        await scene.officer("Sokha", "cycle.prepare")
        refused = await scene.call("POST", "/holds", body, by="Sokha")
    assert refused.status_code == 422
    assert says in refused.text
    assert PROGRAMME not in refused.text
