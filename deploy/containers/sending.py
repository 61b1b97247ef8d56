"""Households through the composed stack, to the last SMS; files are carried to the bank and back."""

import asyncio
import csv
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from deploy.containers.steps import StepFailed, run, step
from tonle import generate
from tonle.demo_acts import Acts, Terms
from tonle.hops import Counted, at_rest, sums
from tonle.stack.state import StackState
from tonle.stack.topics import BANKS, CALLED, PARTNERS, SERVICES

AT_REST_S_MAX = 600
LOOKS_EVERY_S = 2
RIEL_PER_HOUSEHOLD = 1_000_000
BANK, CARRIER = BANKS[0], "check-carrier"
PAID = {"settled", "succ", "payments"}
"""What the simulators call payments that they made: on Kafka, over HTTP, the bank."""


class Carrier:
    """Who brings the bank its order files and comes back with what it says: the one way a bank is told."""

    def __init__(self, stack: StackState, compose: Sequence[str], http: httpx.AsyncClient) -> None:
        self._compose, self._http = compose, http
        self._payments = f"{stack.services['payments'].url}/partners/{BANK}"
        self._bank = f"{stack.simulators[f'partner-{BANK}'].url}/files"
        self._callers = f"{stack.services['payments'].url}/callers"
        self._brought: set[str] = set()
        self._token: dict[str, str] = {}

    async def let_in(self) -> None:
        """The administrator gives a token that may load files."""
        asked = {"name": CARRIER, "actions": ["partner.load", "read"]}
        given = (await self._http.post(self._callers, json=asked)).raise_for_status().json()
        self._token = {"Authorization": f"Bearer {given['token']}"}

    async def go(self) -> None:
        """Have files written of what waits, bring those that lie there, load what the bank says."""
        listed = await self._http.post(f"{self._payments}/out", headers=self._token)
        for each in listed.raise_for_status().json():
            file = str(each["file"])
            if each["state"] == "told" and "/pain001-" in file and file not in self._brought:
                await self._carry(file)
                self._brought.add(file)

    async def _carry(self, file: str) -> None:
        orders = run(*self._compose, "exec", "-T", "payments", "cat", file)
        names = (await self._http.post(self._bank, content=orders.encode())).raise_for_status().json()
        for name in names:
            said = (await self._http.get(f"{self._bank}/{name}")).raise_for_status().content
            loaded = await self._http.post(f"{self._payments}/files", headers=self._token, content=said)
            loaded.raise_for_status()


def send_households(stack: StackState, compose: Sequence[str], households: int) -> str:
    """Import a file over HTTP, wait until every SMS has its outcome, check the sums; says what came."""
    with step("households") as said, tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "households.csv")
        generate.write(file, households=households, seed=4)
        share_out(file)
        began = time.monotonic()
        counted, paid = asyncio.run(_send(stack, compose, file, households))
        seconds = time.monotonic() - began
        said += [str(each) for each in sums(counted)[:1]]
        said.append(f"{households / seconds:,.0f} households/s")
        by = ", ".join(f"{name} {count:,}" for name, count in paid.items())
        return (
            f"{counted.registration['registered']:,} households registered, "
            f"{counted.payments['payments']:,} payments (settled by {by}), "
            f"{counted.notifications['sent']:,} SMS"
        )


def share_out(file: Path) -> None:
    """Give a third of the accounts each to the partner on Kafka, the bank and the one on HTTP."""
    with file.open(newline="") as source:
        columns, *rows = csv.reader(source)
    provider = columns.index("account_provider")
    holders = (PARTNERS[0], BANK, CALLED[0])
    for number, row in enumerate(rows):
        row[provider] = row[provider] and holders[number % len(holders)]
    with file.open("w", newline="") as target:
        csv.writer(target).writerows([columns, *rows])


async def _send(
    stack: StackState, compose: Sequence[str], file: Path, households: int
) -> tuple[Counted, dict[str, int]]:
    async with Acts(stack) as acts:
        await acts.let_in()
        await acts.prepare(await acts.programme(), Terms(households * RIEL_PER_HOUSEHOLD))
        await acts.approve()
        await acts.upload(file)
    headers = {"Authorization": f"Bearer {stack.tokens['admin']}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as http:
        carrier = Carrier(stack, compose, http)
        await carrier.let_in()
        counted = await _wait_until_at_rest(http, stack, households, carrier)
        outside = {
            name: (await http.get(f"{each.url}/summary")).json() for name, each in stack.simulators.items()
        }
    gateway, told = outside.pop("gateway"), counted.notifications
    if (gateway["accepted"], gateway["duplicates_absorbed"]) != (told["sent"] + told["unknown"], 0):
        raise StepFailed(f"the gateway has {gateway}, notifications {dict(told)}")
    return counted, paid_by(outside, counted)


def paid_by(outside: dict[str, dict[str, int]], counted: Counted) -> dict[str, int]:
    """How many payments each partner made. Raises `StepFailed` where payments knows another number."""
    paid = {
        name.removeprefix("partner-"): sum(said.get(word, 0) for word in PAID)
        for name, said in outside.items()
    }
    if sum(paid.values()) != counted.payments["settled"] or not all(paid.values()):
        raise StepFailed(f"the partners paid {paid}, payments knows of {counted.payments['settled']}")
    return paid


async def _wait_until_at_rest(
    http: httpx.AsyncClient, stack: StackState, households: int, carrier: Carrier
) -> Counted:
    deadline = time.monotonic() + AT_REST_S_MAX
    while True:
        counts = {name: (await http.get(f"{stack.services[name].url}/summary")).json() for name in SERVICES}
        counted = Counted(**counts)
        if counted.registration["imported"] >= households and at_rest(counted):
            return counted
        if time.monotonic() > deadline:
            raise StepFailed(f"not at rest: {'; '.join(map(str, sums(counted)))}")
        await carrier.go()
        await asyncio.sleep(LOOKS_EVERY_S)
