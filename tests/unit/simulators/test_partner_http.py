"""The simulated partner on HTTP: what it answers and calls back, as it behaves."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from joserfc.jwk import OKPKey
from nacl.signing import SigningKey

from contracts.household import Account
from contracts.payment import PayTo
from services.payments.partners import g2p
from services.payments.partners.g2p import Order, Sides, Statuses, StatusMessage
from simulators import partner_http
from simulators.partner_behaviour import Behaviour
from simulators.partner_http import Books, Partner, key_of
from tests.unit.payments.test_g2p import check, published
from tests.waiting import until

__all__ = ["published"]

PAY_TO = PayTo(name_km="-", name_latin="Sok", account=Account(provider="truemoney", number="1"))
Http = TestClient[web.Request, web.Application]


@dataclass
class World:
    """A partner, and what it called back: (path, raw body)."""

    http: Http
    key: SigningKey
    us: str
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    async def order(self, *references: str) -> tuple[int, str]:
        """(status, word) of the answer to an order of these."""
        orders = [Order(each, 176_000, PAY_TO) for each in references]
        return await self.send("/disburse", g2p.disburse("t-1", orders, self.sides, datetime.now(UTC)))

    async def ask(self, *references: str) -> tuple[int, str]:
        body = g2p.ask("q-1", references, self.sides, datetime.now(UTC))
        return await self.send("/disburse/txn/status", body)

    async def send(self, path: str, body: dict[str, dict[str, object]]) -> tuple[int, str]:
        signed = g2p.signed(body, self.key, "tonle|1|ed25519", datetime.now(UTC))
        answer = await self.http.post(path, json=signed)
        said = (await answer.json())["message"] if answer.content_type == "application/json" else {}
        return answer.status, said.get("error", {}).get("code") or said.get("ack_status", "")

    @property
    def sides(self) -> Sides:
        return Sides("tonle", "truemoney", "account:1@nbc", self.us)

    async def told(self, calls: int = 1) -> list[tuple[str, str, str | None]]:
        """(reference, status, amount) of so many calls back."""
        await until(lambda: _true(len(self.heard) >= calls))
        found = []
        for _, raw in self.heard:
            message = json.loads(raw)["message"]
            message = message.get("txnstatus_response", {}).get("txn_status", message)
            for each in message["disbursements_status"]:
                found.append((each["reference_id"], each["status"], each.get("amount")))
        return found


async def _true(value: bool) -> bool:
    return value


@asynccontextmanager
async def partner(folder: Path, **behaviour: float) -> AsyncIterator[World]:
    ours, theirs = OKPKey.generate_key("Ed25519"), OKPKey.generate_key("Ed25519")
    (folder / "payments.pub.jwk").write_text(json.dumps(ours.as_dict(private=False)))
    (folder / "truemoney-sign.jwk").write_text(json.dumps(theirs.as_dict(private=True)))
    seeded = Behaviour.model_validate({"seed": 7, "fail": 0.0, **behaviour})
    settings = partner_http.Settings(data_dir=folder, secrets=folder, partner_behaviour=seeded)
    heard: list[tuple[str, bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.path, await request.read()))
        return web.json_response({})

    listening = web.Application()
    listening.add_routes([web.post("/{path:.*}", hear)])
    books = Books(folder / "books.sqlite", seeded)
    app = partner_http.web_app(Partner(settings, books))
    async with TestServer(listening) as us, TestClient(TestServer(app)) as http:
        key = SigningKey(key_of(str(ours.as_dict(private=True)["d"])))
        yield World(http, key, str(us.make_url("")).rstrip("/"), heard)
    books.close()


PAID = ("p-1", "succ", "176000.00")


@pytest.mark.parametrize(
    ("behaviour", "calls", "said"),
    [
        ({}, 1, [PAID]),
        ({"fail": 1.0}, 1, [("p-1", "rjct", "176000.00")]),
        ({"expire": 1.0}, 1, [("p-1", "rjct", "176000.00")]),
        ({"fail": 1.0, "relent": 1.0, "relent_after_s": 0.5}, 2, [("p-1", "rjct", "176000.00"), PAID]),
        ({"settle_after_s": 0.5}, 2, [("p-1", "pdng", "176000.00"), PAID]),
        ({"twice": 1.0}, 1, [PAID, PAID]),
        ({"partial": 1.0}, 1, []),
        ({"wrong_amount": 1.0}, 1, [("p-1", "succ", "176100.00"), PAID]),
        ({"unknown": 1.0}, 1, [("1-p", "succ", "176000.00"), PAID]),
    ],
)
async def test_each_behaviour_shows_in_what_it_calls_back(
    tmp_path: Path, behaviour: dict[str, float], calls: int, said: list[tuple[str, str, str]]
) -> None:
    async with partner(tmp_path, **behaviour) as world:
        assert await world.order("p-1") == (200, "ACK")
        assert await world.told(calls) == said
        assert world.heard[0][0] == "/on-disburse"


@pytest.mark.parametrize(
    ("behaviour", "answer"),
    [
        ({"drop": 1.0}, (504, "")),
        ({"refuse": 1.0}, (200, "err.request.bad")),
        ({"down_s": 30.0}, (503, "")),
    ],
)
async def test_a_call_is_dropped_refused_or_finds_it_down(
    tmp_path: Path, behaviour: dict[str, float], answer: tuple[int, str]
) -> None:
    async with partner(tmp_path, **behaviour) as world:
        assert await world.order("p-1") == answer
        assert world.heard == []


@pytest.mark.parametrize(("forget", "status"), [(0.0, "succ"), (1.0, "rjct")])
async def test_a_question_is_answered_under_its_own_address_and_may_be_forgotten(
    tmp_path: Path, forget: float, status: str
) -> None:
    async with partner(tmp_path, forget=forget) as world:
        await world.order("p-1")
        await world.told()
        world.heard.clear()
        assert await world.ask("p-1") == (200, "ACK")
        ((_, found, _),) = await world.told()
        assert (found, world.heard[0][0]) == (status, "/txn/on-status")


async def test_what_it_says_is_valid_against_the_published_file_and_we_read_it(
    tmp_path: Path, published: Mapping[str, object]
) -> None:
    async with partner(tmp_path, fail=0.5) as world:
        await world.order("p-1", "p-2", "p-3", "p-4")
        await world.ask("p-1", "p-9")
        assert {status for _, status, _ in await world.told(2)} == {"succ", "rjct"}
        bodies = {path: json.loads(raw) for path, raw in world.heard}
    for path, schema, contract in (
        ("/on-disburse", "DisburseResponse", Statuses),
        ("/txn/on-status", "TxnStatusResponse", StatusMessage),
    ):
        check(published, "MsgCallbackHeader_V1.0.0", bodies[path]["header"])
        check(published, schema, bodies[path]["message"])
        contract.model_validate(bodies[path]["message"])


async def test_what_it_calls_back_breaks_off(tmp_path: Path) -> None:
    async with partner(tmp_path, cut=1.0) as world:
        await world.order("p-1")
        await until(lambda: _true(bool(world.heard)))
        with pytest.raises(json.JSONDecodeError):
            json.loads(world.heard[0][1])
