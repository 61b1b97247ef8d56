"""A partner that is told over HTTP and calls back, on the real stack."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from nacl.signing import SigningKey

from contracts.household import Account
from services.payments.app import MIGRATIONS, PaymentsSettings
from services.payments.partners import g2p
from simulators import partner_http
from simulators.partner_http import Books, Partner
from tests.conftest import MakeSettings
from tests.integration.payments.conftest import Family, Scene, family, jwk, partner_keys
from tests.waiting import until
from tonle.stack.process import free_port
from tonle.stack.secrets import Secrets
from vault import keyring

pytestmark = pytest.mark.stack
AMOUNT, ENVELOPE = 176_000, 10_000_000


@dataclass
class World:
    """Payments and its partner; `options` of the partner are read when it starts."""

    scene: Scene
    options: partner_http.Settings
    port: int
    runner: web.AppRunner | None = None

    async def start(self, **changes: object) -> None:
        options = self.options.model_copy(update=changes)
        books = Books(options.data_dir / "partner-acleda.sqlite")
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


@pytest_asyncio.fixture
async def world(scene: Scene, secrets: Secrets, service_settings: MakeSettings) -> AsyncIterator[World]:
    """The bank of the stack, now spoken to over HTTP; its signing key is Wing's."""
    ours, theirs = free_port(), free_port()
    keys = dict(partner_keys(secrets))
    keys["partners"] = {
        **keys["partners"],  # type: ignore[dict-item]
        "acleda": {
            "kind": "http",
            "url": f"http://127.0.0.1:{theirs}",
            "open_with": secrets.jwk("acleda-encrypt"),
            "verify_with": secrets.public_jwk("wing-sign"),
            "receiver_id": "acleda",
            "payer": "account:000111222@nbc",
            "callback_url": f"http://127.0.0.1:{ours}/partners/acleda/g2p",
            "timeout_s": 5,
        },
    }
    scene.settings = await service_settings(
        PaymentsSettings,
        "payments",
        [keyring.MIGRATIONS, MIGRATIONS],
        park_retry_s=0.05,
        relay_older_than_s=0.2,
        database=scene.settings.database,
        **{**keys, "port": ours},
    )
    folder = scene.settings.data_dir / "partner"
    folder.mkdir()
    copies = {"acleda-sign.jwk": secrets.jwk("wing-sign"), "payments.pub.jwk": secrets.public_jwk("payments")}
    for name, path in copies.items():
        (folder / name).write_bytes(path.read_bytes())
    options = partner_http.Settings(data_dir=folder, secrets=folder, partner="acleda", partner_fail_share=0.0)
    found = World(scene, options, theirs)
    yield found
    await found.stop()


def banked(household_id: str) -> Family:
    of = family(household_id)
    account = Account(provider="acleda", number="0123456789")
    return replace(of, payee=of.payee.model_copy(update={"account": account}))


async def issue(scene: Scene, *ids: str) -> None:
    families = [banked(each) for each in ids]
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
    await world.start(partner_drop_share=1.0)
    async with scene.running():
        await issue(scene, "h-1")
        await all_in(scene, "settled", 1)
        assert await world.paid() == {"succ": 1}
        told = "select exists (select from partner_message where state = 'told' and tried_at is not null)"
        await until(lambda: scene.db.fetchval(told))
        assert await world.paid() == {"succ": 1}


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


async def test_a_forged_callback_is_refused_and_moves_nothing(world: World, secrets: Secrets) -> None:
    scene = world.scene
    async with scene.running():
        await scene.officer("Dany", "partner.load", "read")
        await scene.call("POST", "/partners/acleda/pause", {"reason": "a test"}, by="Dany")
        await issue(scene, "h-1")
        await until(lambda: scene.db.fetchval("select exists (select from outgoing)"))
        payment_id = await scene.db.fetchval("select payment_id from payment")
        url = f"{scene.service.url}/partners/acleda/g2p/on-disburse"
        for key, status in (("payments", 401), ("wing-sign", 200)):
            private = jwk(secrets, key).as_dict(private=True)["d"]
            body = callback(str(payment_id), str(private))
            async with httpx.AsyncClient(verify=False) as http:
                answer = await http.post(url, content=json.dumps(body))
            assert answer.status_code == status
            states = await scene.states()
            assert states == {"h-1": "issued" if status == 401 else "settled"}


def callback(payment_id: str, private: str) -> dict[str, object]:
    from simulators.partner_http import key_of

    now = datetime.now(UTC)
    one = {
        "reference_id": payment_id,
        "timestamp": now.isoformat(),
        "status": "succ",
        "amount": f"{AMOUNT}.00",
    }
    header = {
        "message_id": "m-1",
        "message_ts": now.isoformat(),
        "action": "on-disburse",
        "status": "succ",
    }
    body = {"header": header, "message": {"transaction_id": "t-1", "disbursements_status": [one]}}
    return g2p.signed(body, SigningKey(key_of(private)), "acleda|1|ed25519", now)
