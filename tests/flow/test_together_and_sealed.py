"""HIV and a pregnancy are paid as one amount that nothing outside the seal tells from any other."""

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest
import pytest_asyncio
from joserfc import jwe, jws

from contracts import topics
from contracts.eligibility import SEALED_TOGETHER
from services.registration.reporting import PHNOM_PENH
from tests.flow.conftest import Run
from tests.flow.test_flood import Office
from tests.flow.test_no_person_in_the_clear import SEALED
from tests.flow.test_revisions_and_exits import eventually, whole_again
from tests.integration.payments.conftest import ENCRYPTION, SIGNATURES, jwk
from tests.integration.registration.conftest import form
from tonle import check
from tonle.checking.told import whole
from tonle.monitor import flow_topics
from tonle.stack.postgres import AUDITOR

pytestmark = pytest.mark.stack
PERIOD = f"{datetime.now(PHNOM_PENH):%Y-%m}"  # a visit counts in the month it is reported in
CYCLE = f"{SEALED_TOGETHER}-{PERIOD}"
TELLING = re.compile(r"\bhiv\b|pregnan|antenatal|maternal|children-under-2", re.IGNORECASE)
REGISTRAR = ["household.register", "household.read", "household.report"]
PHONES = {"hiv": "+85512990911", "pregnancy": "+85512990912"}
RIEL = {"hiv": 28_000, "pregnancy": 80_000}


def tells(said: str) -> str | None:
    """The word that says what a household is paid for; none stands in a cipher but by chance."""
    found = TELLING.search(SEALED.sub(" ", said))
    return found and found[0]


@pytest_asyncio.fixture(scope="module")
async def office(run: Run) -> Office:
    """Two officers at their terminals."""
    at = Office(run.stack)
    for name, may in (("Vanna", "prepare"), ("Bopha", "approve")):
        at.tokens[name] = json.loads(await at.tonle("officers", "add", name, "--may", may, "--json"))["token"]
    return at


@pytest_asyncio.fixture(scope="module")
async def desk(run: Run) -> AsyncIterator[httpx.AsyncClient]:
    """A registrar who may also report visits."""
    state = run.stack.state
    url, admin = state.services["registration"].url, {"Authorization": f"Bearer {state.tokens['admin']}"}
    async with httpx.AsyncClient(verify=False, base_url=url, headers=admin) as http:
        answer = (await http.post("/callers", json={"name": "clinic", "actions": REGISTRAR})).json()
    headers = {"Authorization": f"Bearer {answer['token']}"}
    async with httpx.AsyncClient(verify=False, base_url=url, headers=headers, timeout=30) as http:
        yield http


async def registered(desk: httpx.AsyncClient, condition: str) -> str:
    """A household whose head has the condition, and consented that it is recorded; its id."""
    about = {"member_1_conditions": condition, "card_expires_on": "2040-12-31", "language": "en"}
    number = int(PHONES[condition][-3:])
    sent = form(number, reference=f"S-{number}", phone=PHONES[condition], **about)
    key = {"Idempotency-Key": f"s-{number}"}
    answer = await desk.post("/households", json=sent.model_dump(), headers=key)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["household_id"])


@pytest_asyncio.fixture(scope="module")
async def paid(run: Run, office: Office, desk: httpx.AsyncClient) -> dict[str, str]:
    """One household of each condition, paid from a cycle of the sensitive programmes together; their ids."""
    money = ("--envelope", "100000000", "--cap-household", "500000", "--cap-payments", "1000")
    await office.tonle("cycles", "open", SEALED_TOGETHER, PERIOD, *money, by="Vanna")
    await office.tonle("cycles", "submit", CYCLE, by="Vanna")
    await office.tonle("cycles", "approve", CYCLE, by="Bopha")
    households = {condition: await registered(desk, condition) for condition in PHONES}
    visit = {"household_id": households["pregnancy"], "member": 1, "kind": "antenatal_visit"}
    answer = await desk.post("/conditions", json={**visit, "on": f"{PERIOD}-01", "reference": "v-1"})
    assert answer.is_success, answer.text

    async def settled() -> bool:
        listed = await office.tonle("payments", "list", "--cycle", CYCLE, "--most", "1000", "--json")
        amounts = {
            each["household_id"]: each["amount"] for each in json.loads(listed) if each["state"] == "settled"
        }
        return [amounts.get(each) for each in households.values()] == list(RIEL.values())

    assert await eventually(settled)
    assert (await whole_again(run)).passed
    return households


async def test_no_topic_and_no_instruction_tells_what_a_household_is_paid_for(
    run: Run, paid: dict[str, str]
) -> None:
    theirs, ours = (jwk(run.stack.secrets, name) for name in ("wing-encrypt", "payments"))
    opened = set()
    for topic in flow_topics():
        async for records in whole(run.stack.state.kafka.broker(AUDITOR), topic):
            for record in records:
                said = record.value or b""
                if topic == topics.partner_instruction("wing").name and record.key.decode() in paid.values():
                    inner = jwe.decrypt_compact(said, theirs, registry=ENCRYPTION).plaintext or b""
                    said = jws.deserialize_compact(inner, ours, registry=SIGNATURES).payload
                    opened.add(record.key.decode())
                for part in (record.key, said, *(value for _, value in record.headers)):
                    assert tells((part or b"").decode(errors="replace")) is None, topic
    assert opened == set(paid.values())


async def test_its_sms_names_an_amount_and_nothing_else(run: Run, paid: dict[str, str]) -> None:
    gateway = run.stack.state.simulators["gateway"].url
    async with httpx.AsyncClient(verify=False, base_url=gateway) as http:
        for condition, phone in PHONES.items():
            texts = [each["text"] for each in (await http.get("/inbox", params={"to": phone})).json()]
            assert any(f"{RIEL[condition]:,}" in text for text in texts), texts
            assert [text for text in texts if tells(text)] == []


async def test_no_command_no_log_and_no_trace_tells_it(
    run: Run, office: Office, paid: dict[str, str]
) -> None:
    commands: list[tuple[str, ...]] = [
        ("cycles", "list"), ("cycles", "show", CYCLE), ("payments", "list", "--cycle", CYCLE),
        ("ledger", "balances", "--cycle", CYCLE), ("corrections", "list"), ("payments", "failed"),
        *(("household", "show", each) for each in paid.values()),
        *(("ledger", "entries", each) for each in paid.values()),
    ]  # fmt: skip
    for words in commands:
        assert tells(await office.tonle(*words)) is None, words
    files = [*run.data_dir.glob("logs/*"), *run.data_dir.glob("traces/*")]
    assert len(files) > 5
    assert [each.name for each in files if tells(each.read_text())] == []


async def test_it_all_adds_up(run: Run, paid: dict[str, str]) -> None:
    assert [line for line in check.lines(await whole_again(run)) if line.startswith("✗")] == []
