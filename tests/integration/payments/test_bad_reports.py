"""What partners may say wrongly, by file and over HTTP, on the real stack: each is kept, and nothing moves.

What comes on Kafka stands as a table in test_reports.py.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from nacl.signing import SigningKey

from contracts.household import Account
from services.payments.partners import calls, g2p, intake, rows
from simulators import bank
from simulators.bank import Order, Outcome
from simulators.partner_http import key_of
from tests.conftest import MakeSettings
from tests.integration.payments.conftest import Family, Scene, add_partners, family, jwk
from tests.integration.payments.test_partner_calls import caller_of
from tests.integration.payments.test_partner_files import bank_of
from tests.waiting import until
from tonle.stack.secrets import Secrets

pytestmark = pytest.mark.stack
AMOUNT, NOBODY = 176_000, str(UUID(int=7))
NOW = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)
BOMB = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><d>&b;</d>'
Said = dict[str, object]


@dataclass(frozen=True)
class Ids:
    """The payment of the partner that reports, and the other partner's."""

    own: str
    other: str


Orders = Callable[[Ids], Sequence[Order]]
IN_FILES: dict[str, Orders] = {
    intake.TWICE: lambda ids: [Order(ids.own, str(AMOUNT))] * 2,
    "currency: KHR expected": lambda ids: [Order(ids.own, str(AMOUNT), "USD")],
    "amount: a fraction of a riel": lambda ids: [Order(ids.own, f"{AMOUNT}.50")],
    "report: the amount is not the payment's": lambda ids: [Order(ids.own, str(AMOUNT + 100))],
    rows.UNKNOWN: lambda ids: [Order(NOBODY, str(AMOUNT))],
    rows.OTHERS: lambda ids: [Order(ids.other, str(AMOUNT))],
}
Statuses = Callable[[Ids], Sequence[Said]]
IN_CALLS: dict[str, Statuses] = {
    calls.TWICE: lambda ids: [status(ids.own), status(ids.own, status="rjct")],
    "currency: KHR expected": lambda ids: [status(ids.own, currency_code="USD")],
    "amount: a fraction of a riel": lambda ids: [status(ids.own, amount=f"{AMOUNT}.50")],
    "amount: not as the interface writes it": lambda ids: [status(ids.own, amount=str(AMOUNT))],
    "report: the amount is not the payment's": lambda ids: [status(ids.own, amount="1.00")],
    rows.UNKNOWN: lambda ids: [status(NOBODY)],
    rows.OTHERS: lambda ids: [status(ids.other)],
}
REFUSED_FILES = {
    BOMB: "It declares a document type",
    "no XML": "It is no XML file",
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.008.001.02"/>': "It is no message we read",
}


def status(reference: str, **changes: object) -> Said:
    one = {"reference_id": reference, "timestamp": NOW.isoformat(), "status": "succ"}
    return {**one, "amount": f"{AMOUNT}.00", "currency_code": "KHR", **changes}


async def test_what_cannot_be_true_is_kept_with_its_reason_and_nothing_moves(
    scene: Scene, secrets: Secrets, service_settings: MakeSettings, tmp_path: Path
) -> None:
    others = {"acleda": bank_of(secrets), "truemoney": caller_of(secrets, theirs=9, ours=9)}
    await add_partners(scene, secrets, service_settings, others)
    async with scene.running():
        await scene.open_cycle()
        await scene.officer("Bopha", "partner.load", "read")
        await scene.approve()
        families = [at("h-bank", "acleda"), at("h-http", "truemoney")]
        await scene.send(scene.key(each) for each in families)
        await scene.send(scene.scored(each, AMOUNT) for each in families)
        await until(lambda: scene.db.fetchval("select count(*) = 2 from outgoing"))
        at_bank, by_call = await scene.db.fetch("select payment_id from payment order by partner")
        before = await scene.balances()
        await load_files(scene, tmp_path, Ids(at_bank[0], by_call[0]))
        await call_back(scene, secrets, Ids(by_call[0], at_bank[0]))
        parked = await scene.db.fetch("select partner, why from partner_row order by partner, parked_at, why")
        refused = (await scene.call("GET", "/partners/refused", by="Bopha")).json()
        files = (await scene.call("GET", "/partners/files", by="Bopha")).json()
        assert set((await scene.states()).values()) <= {"issued", "unknown"}
        assert await scene.balances() == before
    assert {why for partner, why in parked if partner == "acleda"} == set(IN_FILES)
    assert {why for partner, why in parked if partner == "truemoney"} == set(IN_CALLS)
    assert {each["reason"] for each in files if each["state"] == "refused"} == set(REFUSED_FILES.values())
    assert sorted((each["action"], each["why"], each["times"]) for each in refused) == REFUSED_CALLS


REFUSED_CALLS = [
    ("on-disburse", "err.request.bad", 1),
    ("on-disburse", "err.request.bad", 2),
    ("on-disburse", "err.signature.invalid", 1),
    ("on-disburse", "err.signature.missing", 1),
    ("on-status", "err.signature.invalid", 1),
    ("on-status", "err.signature.invalid", 1),
]


async def load_files(scene: Scene, folder: Path, ids: Ids) -> None:
    for number, orders in enumerate(IN_FILES.values()):
        path = folder / f"{number}.xml"
        said = [Outcome(each._replace(id=UUID(each.id).hex), "ACSC") for each in orders(ids)]
        bank.write_report(path, f"m-{number}", said, NOW)
        (await send(scene, path.read_bytes())).raise_for_status()
    for text in REFUSED_FILES:
        assert (await send(scene, text.encode())).status_code == 422
    done = "select not exists (select from partner_file where state = 'received')"
    await until(lambda: scene.db.fetchval(done))


async def call_back(scene: Scene, secrets: Secrets, ids: Ids) -> None:
    """Each wrong word in a call back of its own, in both ways; then those that are not the partner's."""
    now = datetime.now(UTC)
    for number, statuses in enumerate(IN_CALLS.values()):
        for action in ("on-disburse", "on-status"):
            body = message(action, f"{number}", statuses(ids))
            assert await post(scene, action, signed(secrets, body, "wing-sign", now)) == 200
    good = message("on-disburse", "good", [status(ids.own)])
    forged = signed(secrets, good, "payments", now)
    assert await post(scene, "on-disburse", forged) == 401
    assert await post(scene, "on-status", {**forged, "another": "body"}) == 401
    expired = signed(secrets, good, "wing-sign", now - timedelta(hours=1))
    assert await post(scene, "on-status", expired) == 401
    assert await post(scene, "on-disburse", good) == 401
    for raw in (b"[" * 100_000, b"no JSON", b"no JSON"):
        assert await post(scene, "on-disburse", raw) == 400
    assert await post(scene, "on-disburse", b"{}", partner="nobody") == 404


async def post(
    scene: Scene, action: str, body: Mapping[str, object] | bytes, partner: str = "truemoney"
) -> int:
    path = {"on-disburse": "on-disburse", "on-status": "txn/on-status"}[action]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient(verify=False, base_url=scene.service.url) as http:
        return (await http.post(f"/partners/{partner}/g2p/{path}", content=content)).status_code


def message(action: str, name: str, statuses: Sequence[Said]) -> dict[str, dict[str, object]]:
    header = {"message_id": name, "message_ts": NOW.isoformat(), "action": action, "status": "succ"}
    said: dict[str, object] = {"transaction_id": name, "disbursements_status": list(statuses)}
    if action == "on-status":
        answer = {"txn_type": "on-disburse", "txn_status": said}
        said = {"transaction_id": name, "correlation_id": "1", "txnstatus_response": answer}
    return {"header": dict(header), "message": said}


def signed(secrets: Secrets, body: dict[str, dict[str, object]], key: str, at: datetime) -> Said:
    private = str(jwk(secrets, key).as_dict(private=True)["d"])
    return g2p.signed(body, SigningKey(key_of(private)), "truemoney|1|ed25519", at)


async def send(scene: Scene, content: bytes) -> httpx.Response:
    headers = {"Authorization": f"Bearer {scene.tokens['Bopha']}"}
    async with httpx.AsyncClient(verify=False, base_url=scene.service.url, headers=headers) as http:
        return await http.post("/partners/acleda/files", content=content)


def at(household_id: str, partner: str) -> Family:
    """A household with an account there."""
    of = family(household_id)
    account = Account(provider=partner, number="0123456789")
    return replace(of, payee=of.payee.model_copy(update={"account": account}))
