"""Payments on real topics and a real database, with the neighbours it listens to played by the test."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import asyncpg
import httpx
import pytest_asyncio
from aiokafka import AIOKafkaProducer, ConsumerRecord
from joserfc import jwe, jws
from joserfc.jwe import JWERegistry
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from contracts import bundle, topics, wire
from contracts.bundle import Item
from contracts.eligibility import EligibilityScored, Outcome, ProgrammeDecision
from contracts.household import (
    Account,
    AreaType,
    ExitReason,
    HouseholdExited,
    HouseholdKey,
    KeyPurpose,
    KeyState,
    Level,
    Payee,
)
from contracts.model import Contract
from contracts.payment import PaymentInstruction, ReportStatus
from contracts.sealed import Sealed
from contracts.wire import Cause, Record
from postbox.service import Service
from services.payments.app import MIGRATIONS, PaymentsSettings, service_of
from tests.broker import all_published, as_admin, everything
from tests.conftest import MakeSettings
from tests.processes import service_process
from tests.waiting import until
from tonle.stack.secrets import Secrets
from vault import keyring
from vault.master import MasterKey
from vault.sealing import Keys, new_key

PROGRAMME, PERIOD, PURPOSE, HASH = "covid-19-cash-transfer", "2023-06", "social-transfer", "hash-1"
CYCLE = f"{PROGRAMME}-{PERIOD}"
SIGNATURES = JWSRegistry({"exp": HeaderParameter("Expiration Time", "int")}, algorithms=["Ed25519"])
ENCRYPTION = JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"])
_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@dataclass(frozen=True)
class Family:
    """A household of a test: its key, and the payee that is sealed with it."""

    household_id: str
    key_id: str
    key: bytes
    payee: Payee


def family(household_id: str) -> Family:
    """A household with a new key."""
    account = Account(provider="wing", number=f"01{household_id[-4:]}")
    payee = Payee(
        person_id=f"p-{household_id}",
        name_km="សុខ ដារ៉ា",
        name_latin="Sok Dara",
        phone="+85512345678",
        account=account,
    )
    key_id, key = new_key()
    return Family(household_id, key_id, key, payee)


@dataclass
class Scene:
    """What a test tells payments, and what it sees of it."""

    settings: PaymentsSettings
    secrets: Secrets
    producer: AIOKafkaProducer
    db: asyncpg.Connection
    master: MasterKey
    tokens: dict[str, str] = field(default_factory=dict)
    service: Service = field(init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        self.service = service_of(self.settings)
        async with self.service.running():
            yield

    def process(self) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        """The service as a process of its own, killed in the end."""
        return service_process("services.payments.app", self.settings)

    # -- what others say ------------------------------------------------------------------------------

    async def send(self, records: Iterable[Record]) -> None:
        futures = [
            await self.producer.send(
                self.settings.topic_prefix + each.topic,
                value=each.value,
                key=each.key,
                headers=list(each.headers),
            )
            for each in records
        ]
        await asyncio.gather(*futures)

    def key(
        self, of: Family, state: KeyState = KeyState.ACTIVE, purpose: KeyPurpose = KeyPurpose.PAYEE
    ) -> Record:
        """As registration told keys once: payments reads them still."""
        active = state is KeyState.ACTIVE
        bound_to = f"{of.household_id}/{of.key_id}"
        data = HouseholdKey(
            household_id=of.household_id,
            key_id=of.key_id,
            purpose=purpose,
            state=state,
            master_key_id=self.master.id if active else None,
            wrapped=self.master.wrap(of.key, bound_to=bound_to) if active else None,
        )
        return event(topics.HOUSEHOLD_KEY, data, f"{of.household_id}/{of.key_id}", 1 if active else 2)

    def scored(
        self,
        of: Family,
        amount: int,
        *,
        sequence: int = 1,
        revision: int = 1,
        cycle: bool = True,
        programme_hash: str = HASH,
        period: str = PERIOD,
    ) -> Record:
        keys = Keys({})
        keys.add(of.key_id, of.key)
        event_id = wire.event_id(topics.ELIGIBILITY_SCORED, of.household_id, sequence)
        blob = keys.seal(
            of.key_id, wire.dump(of.payee), event_id=event_id, event_type=topics.ELIGIBILITY_SCORED.name
        )
        decision = ProgrammeDecision(
            programme=PROGRAMME,
            programme_hash=programme_hash,
            purpose=PURPOSE,
            as_of=date(2023, 6, 1),
            cycle_id=f"{PROGRAMME}-{period}" if cycle else None,
            period=period if cycle else None,
            outcome=Outcome.ELIGIBLE if amount else Outcome.REFUSED,
            amount=amount,
        )
        data = EligibilityScored(
            household_id=of.household_id,
            revision=revision,
            commune="120101",
            area_type=AreaType.PHNOM_PENH,
            level=Level.POOR_1,
            decisions=(decision,),
            payee=Sealed(key_id=of.key_id, blob=blob),
        )
        return event(topics.ELIGIBILITY_SCORED, data, of.household_id, sequence, id=event_id)

    def exited(self, of: Family, revision: int = 1) -> Record:
        data = HouseholdExited(
            household_id=of.household_id, revision=revision, reason=ExitReason.MOVED, exited_by="Sokha"
        )
        return event(topics.HOUSEHOLD_EXITED, data, of.household_id, revision)

    def report(
        self,
        instruction: PaymentInstruction,
        household_id: str,
        status: ReportStatus,
        **changes: object,
    ) -> Record:
        """A report, true unless `changes` (of fields, `signed_by`, `expires_in_s`) say otherwise."""
        now = datetime.now(UTC)
        signed_by, expires_in_s = changes.pop("signed_by", "wing-sign"), changes.pop("expires_in_s", 600)
        assert isinstance(signed_by, str)
        assert isinstance(expires_in_s, int)
        said = {
            "report_id": f"{instruction.payment_id}/{status}",
            "payment_id": instruction.payment_id,
            "instruction_id": instruction.instruction_id,
            "partner": "wing",
            "status": status,
            "amount": instruction.amount,
            "partner_reference": f"w-{instruction.payment_id[:8]}",
            "occurred_at": now.isoformat(),
            "currency": "KHR",
            **changes,
        }
        header = {"alg": "Ed25519", "exp": int(now.timestamp()) + expires_in_s}
        token = jws.serialize_compact(
            header, json.dumps(said), jwk(self.secrets, signed_by), registry=SIGNATURES
        )
        return wire.emit_bytes(
            topics.partner_report("wing"),
            token.encode(),
            wire.JOSE,
            id=f"{instruction.payment_id}/{status}",
            key=household_id,
            sequence=1,
            time=now,
            cause=Cause("t", "t", _TRACE),
        )

    async def confirm(
        self, instruction: PaymentInstruction, household_id: str, status: ReportStatus, **changes: object
    ) -> None:
        """Once the partner is asked about what ended: it answers so."""
        query = "select asked from reissue where household_id = $1 and waiting = 'partner-answer'"
        await until(lambda: self.db.fetchval(query, household_id))
        question = await self.db.fetchval(query, household_id)
        answer = {"instruction_id": question, **changes}
        await self.send([self.report(instruction, household_id, status, **answer)])

    # -- people ---------------------------------------------------------------------------------------

    async def call(self, method: str, path: str, body: object = None, by: str = "admin") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[by]}"}
        async with httpx.AsyncClient(
            verify=False, base_url=self.service.url, headers=headers, timeout=60
        ) as client:
            return await client.request(method, path, json=body)

    async def officer(self, name: str, *actions: str) -> None:
        made = await self.call("POST", "/callers", {"name": name, "actions": actions})
        self.tokens[name] = made.json()["token"]

    async def open_cycle(
        self,
        *,
        envelope: int = 10_000_000,
        cap_household: int = 500_000,
        cap_payments: int = 1_000,
        approval: str = "standing",
    ) -> None:
        """Opened and submitted by Sokha, who may also approve; Dara may only approve."""
        await self.officer("Sokha", "cycle.prepare", "cycle.approve", "read")
        await self.officer("Dara", "cycle.approve", "read")
        caps = {"cap_household": cap_household, "cap_payments": cap_payments}
        terms = {"envelope": envelope, **caps, "approval": approval}
        (await self.ask_for(PERIOD, **terms)).raise_for_status()
        (await self.call("POST", f"/cycles/{CYCLE}/submit", by="Sokha")).raise_for_status()

    async def ask_for(self, period: str, **money: object) -> httpx.Response:
        terms = {"programme": PROGRAMME, "programme_hash": HASH, "purpose": PURPOSE}
        dates = {"period": period, "reference_date": f"{period}-01"}
        return await self.call("POST", "/cycles", {**terms, **dates, **money}, by="Sokha")

    async def next_cycle(self, period: str, **money: int) -> None:
        """Another period, opened, submitted and approved by those two."""
        caps = {"envelope": 10_000_000, "cap_household": 500_000, "cap_payments": 1_000}
        (await self.ask_for(period, **{**caps, **money})).raise_for_status()
        for step, by in (("submit", "Sokha"), ("approve", "Dara")):
            path = f"/cycles/{PROGRAMME}-{period}/{step}"
            (await self.call("POST", path, by=by)).raise_for_status()

    async def approve(self) -> None:
        (await self.call("POST", f"/cycles/{CYCLE}/approve", by="Dara")).raise_for_status()

    # -- what payments did ----------------------------------------------------------------------------

    async def on(self, topic: str) -> list[ConsumerRecord]:
        """Everything a topic holds once the outbox is empty, by partition."""
        return await everything(self.settings, self.db, topic)

    async def instructions(self) -> list[tuple[str, PaymentInstruction]]:
        """(household, instruction) as the partner reads them: decrypted, and our signature verified."""
        ours, theirs = jwk(self.secrets, "payments"), jwk(self.secrets, "wing-encrypt")
        found = []
        for record in await self.on("partner.wing.instruction.v1"):
            inner = jwe.decrypt_compact(record.value, theirs, registry=ENCRYPTION).plaintext or b""
            token = jws.deserialize_compact(inner, ours, registry=SIGNATURES)
            items = [Item(record.key, token.payload, ())]
            if token.headers().get("cty") == bundle.CTY:
                items = bundle.items(token.payload)
            for item in items:
                told = wire.load(PaymentInstruction, item.value or b"")
                found.append(((item.key or b"").decode(), told))
        return found

    async def states(self) -> dict[str, str]:
        rows = await self.db.fetch("select household_id, state from payment order by 1")
        return {row[0]: row[1] for row in rows}

    async def waiting(self) -> dict[str, str]:
        rows = await self.db.fetch(
            "select household_id, waiting from decision where waiting is not null order by 1"
        )
        return {row[0]: row[1] for row in rows}

    async def parked(self) -> list[tuple[str, str, str]]:
        rows = await self.db.fetch("select key, handling, reason from parked order by id")
        return [(row[0], row[1], row[2]) for row in rows]

    async def balances(self) -> dict[str, int]:
        rows = await self.db.fetch("select account, sum(amount)::bigint from posting group by 1")
        return {row[0]: row[1] for row in rows}

    async def settled_down(self, **expected: object) -> None:
        """Wait until these views (`states`, `waiting`, `parked`, …) are as expected and all is published."""

        async def as_expected() -> bool:
            seen = {name: await getattr(self, name)() for name in expected}
            return await all_published(self.db) and seen == expected

        try:
            await until(as_expected)
        except TimeoutError:
            assert {name: await getattr(self, name)() for name in expected} == expected
            raise


def jwk(secrets: Secrets, name: str) -> OKPKey:
    """A private key of the stack."""
    return OKPKey.import_key(json.loads(secrets.jwk(name).read_text()))


def partner_keys(secrets: Secrets) -> Mapping[str, object]:
    """Payments' settings about its one partner."""
    return {
        "partners": {
            "wing": {
                "encrypt_to": secrets.public_jwk("wing-encrypt"),
                "verify_with": secrets.public_jwk("wing-sign"),
            }
        },
        "signing_key_file": secrets.jwk("payments"),
    }


async def add_partners(
    scene: Scene, secrets: Secrets, make: MakeSettings, partners: Mapping[str, object], port: int = 0
) -> None:
    """Have payments talk to these beside Wing; `make` is the fixture `service_settings`."""
    keys = dict(partner_keys(secrets))
    keys["partners"] = {**keys["partners"], **partners}  # type: ignore[dict-item]
    scene.settings = await make(
        PaymentsSettings,
        "payments",
        [keyring.MIGRATIONS, MIGRATIONS],
        park_retry_s=0.05,
        relay_older_than_s=0.2,
        database=scene.settings.database,
        **{**keys, "port": port},
    )


def events(records: Sequence[ConsumerRecord]) -> list[tuple[int, dict[str, object]]]:
    """(sequence, data) of JSON events, by sequence."""
    return sorted(
        ((int(dict(each.headers)["ce_sequence"]), json.loads(each.value)) for each in records),
        key=lambda each: each[0],
    )


def event(topic: topics.Topic, data: Contract, key: str, sequence: int, id: str = "") -> Record:
    """An event as a neighbour would say it."""
    return wire.emit(
        topic,
        data,
        id=id or wire.event_id(topic, key, sequence),
        key=key,
        sequence=sequence,
        time=datetime(2023, 6, 2, tzinfo=UTC),
        cause=Cause("t", "t", _TRACE),
    )


@pytest_asyncio.fixture
async def scene(secrets: Secrets, service_settings: MakeSettings) -> AsyncIterator[Scene]:
    """Payments, not running yet, and all it takes to talk to it."""
    settings = await service_settings(
        PaymentsSettings,
        "payments",
        [keyring.MIGRATIONS, MIGRATIONS],
        park_retry_s=0.05,
        relay_older_than_s=0.2,
        **partner_keys(secrets),
    )
    producer = AIOKafkaProducer(**as_admin(settings))
    await producer.start()
    db = await asyncpg.connect(settings.database)
    found = Scene(settings, secrets, producer, db, MasterKey.from_file(secrets.master_key))
    found.tokens["admin"] = secrets.admin_token
    yield found
    await db.close()
    await producer.stop()
