"""Whether an operator's rate is kept: two sender processes and a simulated gateway, against the setting.

A queue that is longer than the window is sent by HTTP, then by SMPP; the gateway's own times are looked at.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import asyncpg
import httpx

from benchmarks import results
from services.notifications import answers, store
from services.notifications.answers import HELP, Answer
from services.notifications.operators import operator_of
from services.notifications.options import template_files
from services.notifications.segments import measure as measured
from services.notifications.sms import NewSms
from services.notifications.wording import Facts, Wording, load
from tonle.stack.errors import StackError
from tonle.stack.process import free_port
from tonle.stack.programs import Place, Program, programs
from tonle.stack.supervisor import Stack, StackSettings
from vault.master import MasterKey

PHONES = ("+8551000{:04}", "+85588000{:04}")
RATES = (60.0, 25.0)
"""Segments a second of the operators that `PHONES` belong to."""
WINDOW_S, STARTING_S, SPARE_S = 30.0, 2.0, 4.0
PROCESSES = 2
PATIENCE_S = 30.0
KINDS = ("http", "smpp")


class Came(NamedTuple):
    """An SMS at the gateway: when, in seconds since 1970, and its segments."""

    at: float
    segments: int


async def measure(home: Path, say: Callable[[str], None]) -> results.Figures:
    """How far the worst operator's rate was off, in percent. Raises `StackError` where SMS did not come."""
    found: dict[str, float] = {}
    bursts: list[float] = []
    for kind in KINDS:
        by_operator = await _sent(home / kind, kind)
        for (operator, rate), came in by_operator.items():
            off, burst = error_percent(came, rate), most_in_a_second(came) / rate
            say(f"{operator} by {kind}: {off:+.2f}% of {rate:g} segments a second, {burst:.2f} of it at most")
            found[kind] = max(found.get(kind, 0.0), abs(off))
            bursts.append(burst)
    return {
        "sms_rate_error_percent": round(max(found.values()), 2),
        **{f"sms_rate_{kind}_error_percent": round(off, 2) for kind, off in found.items()},
        "sms_rate_window_s": WINDOW_S,
        "sms_rate_second_most": round(max(bursts), 2),
    }


def error_percent(came: Sequence[Came], rate: float) -> float:
    """How far the mean rate lies above `rate`, in percent, from the first of some SMS to the last."""
    took_s = came[-1].at - came[0].at
    return (sum(each.segments for each in came[:-1]) / took_s / rate - 1) * 100


def most_in_a_second(came: Sequence[Came]) -> int:
    """The most segments that came within any second."""
    most, begin, within = 0, 0, 0
    for each in came:
        within += each.segments
        while came[begin].at <= each.at - 1:
            within -= came[begin].segments
            begin += 1
        most = max(most, within)
    return most


async def _sent(home: Path, kind: str) -> Mapping[tuple[str, float], Sequence[Came]]:
    """What came in the window, oldest first, by operator and its rate."""
    rates = {operator_of(phone.format(0)): rate for phone, rate in zip(PHONES, RATES, strict=True)}
    async with Stack(StackSettings(data_dir=home), services=_manned(kind, rates)) as stack:
        segments = await _queue(stack)
        url = stack.state.simulators["gateway"].url
        came = await _window(url, segments)
    by_operator = {operator: [each for to, each in came if operator_of(to) == operator] for operator in rates}
    return {(operator, rates[operator]): each for operator, each in by_operator.items()}


async def _queue(stack: Stack) -> int:
    """Write down SMS that keep each operator busy for longer than the window; gives the segments of one."""
    words = load(template_files())
    master = MasterKey.from_file(stack.secrets.master_key)
    for_s = STARTING_S + WINDOW_S + SPARE_S
    db = await asyncpg.connect(stack.state.postgres.dsn["notifications"])
    try:
        for phone, rate in zip(PHONES, RATES, strict=True):
            made = list(_answers(master, words, phone, int(rate * for_s)))
            await store.add(db, made)
    finally:
        await db.close()
    return measured(_text(words)).total


def _answers(master: MasterKey, words: Wording, phone: str, count: int) -> Iterator[NewSms]:
    now = datetime.now(UTC)
    for number in range(count):
        answer = Answer(phone.format(number), HELP, "km", _FACTS)
        yield answers.make(master, words, answer, str(uuid4()), now)


_FACTS = Facts(hotline="023 000 000", helpline="023 000 001")


def _text(words: Wording) -> str:
    return words.render(HELP, "km", full=False, facts=_FACTS).text


async def _window(url: str, segments: int) -> list[tuple[str, Came]]:
    """The SMS of the window, once it is over. Raises `StackError` where none come."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http:
        first = await _first(http)
        # What is looked at are the gateway's own times: when the clock is read here does not matter.
        await asyncio.sleep(max(0.0, first + STARTING_S + WINDOW_S + 1 - datetime.now(UTC).timestamp()))
        found = (await http.get("/inbox", params={"last": "1000000"})).json()
    begin = first + STARTING_S
    came = [(str(each["to"]), Came(_at(each), segments)) for each in reversed(found)]
    return [each for each in came if begin <= each[1].at < begin + WINDOW_S]


async def _first(http: httpx.AsyncClient) -> float:
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_S
    while loop.time() < until:
        if found := (await http.get("/inbox", params={"last": "1000000"})).json():
            return _at(found[-1])
        await asyncio.sleep(0.1)
    raise StackError(f"No SMS came within {PATIENCE_S:.0f} s.", "See the log of notifications.")


def _at(sms: Mapping[str, str]) -> float:
    return datetime.fromisoformat(sms["received_at"]).timestamp()


def _manned(kind: str, rates: Mapping[str, float]) -> tuple[Program, ...]:
    """The gateway, and notifications as several processes that share the rates."""
    port = free_port()
    named = {each.name: each for each in programs()}
    gateway = _told(named["gateway"], {"TONLE_GATEWAY_SMPP_PORT": str(port)})
    own = {"TONLE_SMS_RATES": json.dumps(rates)}
    if kind == "smpp":
        own |= {"TONLE_GATEWAY_KIND": "smpp", "TONLE_GATEWAY_URL": f"smpp://127.0.0.1:{port}"}
    sender = _told(named["notifications"], own)
    return (gateway, *(replace(sender, name=_name(number)) for number in range(1, PROCESSES + 1)))


def _name(number: int) -> str:
    return "notifications" if number == 1 else f"notifications-{number}"


def _told(program: Program, more: Mapping[str, str]) -> Program:
    def environment(place: Place) -> Mapping[str, str]:
        return {**program.environment(place), **more}

    return replace(program, environment=environment)
