"""A partner that is told over HTTP and calls back, on the real stack."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import cast

import httpx
import pytest
import pytest_asyncio
from aiohttp import web

from contracts.household import Account
from contracts.payment import ReportStatus
from services.payments.handlers import Office
from services.payments.partners import g2p, pausing
from simulators import partner_http
from simulators.partner_behaviour import Behaviour
from simulators.partner_http import Books, Partner
from tests.conftest import MakeSettings
from tests.integration.payments.conftest import Family, Scene, add_partners, family
from tests.waiting import until
from tonle.stack.process import free_port
from tonle.stack.secrets import Secrets

pytestmark = pytest.mark.stack
AMOUNT, ENVELOPE = 176_000, 10_000_000


@dataclass
class World:
    """Payments and its partner; `options` of the partner are read when it starts."""

    scene: Scene
    options: partner_http.Settings
    port: int
    runner: web.AppRunner | None = None

    async def start(self, **behaviour: float) -> None:
        options = self.options.model_copy(
            update={"partner_behaviour": Behaviour(**{"fail": 0.0, **behaviour})}
        )
        books = Books(options.data_dir / "partner-acleda.sqlite", options.partner_behaviour)
        self.runner = web.AppRunner(partner_http.web_app(Partner(options, books)), access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()

    async def paid(self) -> dict[str, int]:
        async with httpx.AsyncClient(verify=False) as http:
            found: dict[str, int] = (await http.get(f"http://127.0.0.1:{self.port}/summary")).json()
            return found

    async def listed(self) -> dict[str, object]:
        partners = (await self.scene.call("GET", "/partners")).json()
        found: dict[str, object] = next(each for each in partners if each["partner"] == "acleda")
        return found


def caller_of(secrets: Secrets, theirs: int, ours: int) -> dict[str, object]:
    """The settings of a partner on HTTP, by the two ports; its signing key is Wing's."""
    return {
        "kind": "http",
        "url": f"http://127.0.0.1:{theirs}",
        "open_with": secrets.jwk("acleda-encrypt"),
        "verify_with": secrets.public_jwk("wing-sign"),
        "receiver_id": "acleda",
        "payer": "account:000111222@nbc",
        "callback_url": f"http://127.0.0.1:{ours}/partners/acleda/g2p",
        "timeout_s": 5,
    }


@pytest_asyncio.fixture
async def world(scene: Scene, secrets: Secrets, service_settings: MakeSettings) -> AsyncIterator[World]:
    """The bank of the stack, now spoken to over HTTP."""
    ours, theirs = free_port(), free_port()
    partner = caller_of(secrets, theirs, ours)
    await add_partners(scene, secrets, service_settings, {"acleda": partner}, ours)
    folder = scene.settings.data_dir / "partner"
    folder.mkdir()
    copies = {"acleda-sign.jwk": secrets.jwk("wing-sign"), "payments.pub.jwk": secrets.public_jwk("payments")}
    for name, path in copies.items():
        (folder / name).write_bytes(path.read_bytes())
    options = partner_http.Settings(data_dir=folder, secrets=folder, partner="acleda")
    found = World(scene, options, theirs)
    yield found
    await found.stop()


def banked(household_id: str, number: str = "0123456789") -> Family:
    of = family(household_id)
    account = Account(provider="acleda", number=number)
    return replace(of, payee=of.payee.model_copy(update={"account": account}))


async def issue(scene: Scene, *ids: str, number: str = "0123456789") -> None:
    families = [banked(each, number) for each in ids]
    await scene.open_cycle(envelope=ENVELOPE)
    await scene.officer("Bopha", "partner.load", "read")
    await scene.approve()
    await scene.send(scene.key(each) for each in families)
    await scene.send(scene.scored(each, AMOUNT) for each in families)
    await until(lambda: scene.db.fetchval("select count(*) = $1 from payment", len(ids)))


async def all_in(scene: Scene, state: str, count: int) -> None:
    await until(lambda: scene.db.fetchval("select count(*) = $2 from payment where state = $1", state, count))


async def test_payments_are_ordered_over_http_and_called_back_settled(world: World) -> None:
    scene = world.scene
    await world.start()
    async with scene.running():
        await issue(scene, "h-1", "h-2")
        await all_in(scene, "settled", 2)
        assert await world.paid() == {"succ": 2}
        assert (await scene.balances())["paid"] == 2 * AMOUNT
        assert await scene.db.fetchval("select count(*) from outgoing where token is not null") == 0


async def test_a_call_that_ended_in_doubt_is_asked_about_and_paid_once(world: World) -> None:
    scene = world.scene
    await world.start(drop=1.0)
    async with scene.running():
        await issue(scene, "h-1")
        await all_in(scene, "settled", 1)
        assert await world.paid() == {"succ": 1}
        told = "select exists (select from partner_message where state = 'told' and tried_at is not null)"
        await until(lambda: scene.db.fetchval(told))
        assert await world.paid() == {"succ": 1}


async def test_an_inquiry_is_answered_by_a_call_back_of_its_own(world: World) -> None:
    scene = world.scene
    scene.settings.report_timeout_s = 0.2
    await world.start(partial=1.0)
    async with scene.running():
        await issue(scene, "h-1")
        await all_in(scene, "settled", 1)
        assert await world.paid() == {"succ": 1}
        asked = "select count(*) > 0 from partner_message where kind = 'ask' and state = 'told'"
        assert await scene.db.fetchval(asked)


async def test_what_failed_is_asked_about_and_sent_again_once_the_answer_confirms_it(world: World) -> None:
    scene = world.scene
    scene.settings.reissue_after_s, scene.settings.attempts_most = 0.1, 2
    await world.start(fail=1.0)
    async with scene.running():
        await issue(scene, "h-1")
        await until(lambda: scene.db.fetchval("select waiting = 'attempts' from reissue"))
        rows = await scene.db.fetch("select state, inquiries from payment order by attempt")
        assert [tuple(row) for row in rows] == [("failed", 1), ("failed", 0)]
        assert await world.paid() == {"rjct": 2}


async def test_what_is_settled_by_the_time_it_is_asked_about_is_never_paid_again(world: World) -> None:
    scene = world.scene
    scene.settings.reissue_after_s = 1.0
    await world.start(fail=1.0, relent=1.0, relent_after_s=0.5, partial=0.0)
    async with scene.running():
        await issue(scene, "h-1")
        await all_in(scene, "settled", 1)
        assert await scene.db.fetchval("select array_agg(late) from payment") == [True]


async def test_a_cancel_that_the_interface_lacks_is_refused_and_the_payment_is_asked_about(
    world: World,
) -> None:
    scene = world.scene
    await world.start(partial=1.0)
    async with scene.running():
        await issue(scene, "h-1")
        told = "select exists (select from partner_message where state = 'told')"
        await until(lambda: scene.db.fetchval(told))
        await scene.send([scene.exited(banked("h-1"))])
        await all_in(scene, "settled", 1)
        story = (await scene.call("GET", "/households/h-1/story", by="Bopha")).json()
    found = {each["what"]: each["detail"].get("note") for each in story}
    assert found["partner can not cancel"] == g2p.NO_CANCELLING


async def test_what_was_never_told_is_cancelled_by_us(world: World) -> None:
    scene = world.scene
    async with scene.running():
        await scene.officer("Dany", "partner.load", "read")
        await scene.call("POST", "/partners/acleda/pause", {"reason": "a test"}, by="Dany")
        await issue(scene, "h-1")
        await until(lambda: scene.db.fetchval("select exists (select from outgoing)"))
        await scene.send([scene.exited(banked("h-1"))])
        await all_in(scene, "cancelled", 1)
        assert (await scene.balances())["envelope"] == ENVELOPE
        assert (await world.listed())["waiting"] == 0


async def test_who_has_no_account_to_write_failed_and_frees_the_money(world: World) -> None:
    scene = world.scene
    async with scene.running():
        await issue(scene, "h-1", number="0123 456")
        await all_in(scene, "failed", 1)
        assert (await scene.balances())["envelope"] == ENVELOPE


async def test_a_partner_that_is_down_is_paused_while_others_proceed_and_goes_on_by_itself(
    world: World,
) -> None:
    scene = world.scene
    async with scene.running():
        await issue(scene, "h-1")
        await until(lambda: scene.db.fetchval("select exists (select from partner_pause)"))
        assert (await world.listed())["paused"] == "ConnectError"
        wing = family("h-2")
        await scene.send([scene.key(wing), scene.scored(wing, AMOUNT)])
        await until(lambda: scene.db.fetchval("select exists (select from payment where partner = 'wing')"))
        await world.start()
        await all_in(scene, "settled", 1)
        await until(lambda: scene.db.fetchval("select not exists (select from partner_pause)"))


async def test_a_person_pauses_a_partner_and_resumes_it(world: World) -> None:
    scene = world.scene
    await world.start()
    async with scene.running():
        await scene.officer("Dany", "partner.load", "read")
        await scene.call("POST", "/partners/acleda/pause", {"reason": "their holiday"}, by="Dany")
        await issue(scene, "h-1")
        await until(lambda: scene.db.fetchval("select exists (select from outgoing)"))
        assert await world.listed() == {
            "partner": "acleda",
            "kind": "http",
            "waiting": 1,
            "paused": "their holiday",
            "paused_by": "Dany",
        }
        assert await world.paid() == {}
        await scene.call("POST", "/partners/acleda/resume", by="Dany")
        await all_in(scene, "settled", 1)


async def test_what_a_paused_partner_on_kafka_would_pay_waits_while_others_proceed(world: World) -> None:
    scene, wing = world.scene, family("h-2")
    await world.start()
    async with scene.running():
        await scene.officer("Dany", "partner.load", "read")
        why = {"reason": "their cluster is down"}
        (await scene.call("POST", "/partners/wing/pause", why, by="Dany")).raise_for_status()
        await until(lambda: _is(cast(Office, scene.service.state).exchange.paused, {"wing"}))
        await issue(scene, "h-1")
        await scene.send([scene.key(wing), scene.scored(wing, AMOUNT)])
        await all_in(scene, "settled", 1)
        await scene.settled_down(waiting={"h-2": "partner-paused"}, states={"h-1": "settled"})
        await scene.call("POST", "/partners/wing/resume", by="Dany")
        await scene.settled_down(waiting={}, states={"h-1": "settled", "h-2": "issued"})


async def test_a_partner_on_kafka_that_answers_nothing_is_paused_until_it_reports(world: World) -> None:
    scene, wing = world.scene, family("h-1")
    scene.settings.report_timeout_s = 0.1
    silent = scene.settings.partners["wing"].model_copy(update={"silent_s": 0.1})
    scene.settings.partners = {**scene.settings.partners, "wing": silent}
    async with scene.running():
        await scene.open_cycle(envelope=ENVELOPE)
        await scene.approve()
        await scene.send([scene.key(wing), scene.scored(wing, AMOUNT)])
        await until(lambda: scene.db.fetchval("select reason from partner_pause where partner = 'wing'"))
        assert await scene.db.fetchval("select reason from partner_pause") == pausing.SILENT
        told = dict(await scene.instructions())["h-1"]
        await scene.send([scene.report(told, "h-1", ReportStatus.SETTLED)])
        await until(lambda: scene.db.fetchval("select not exists (select from partner_pause)"))


async def _is(value: object, wanted: object) -> bool:
    return value == wanted
