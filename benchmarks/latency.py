"""How long one household waits on an idle system: from its request to its SMS at the gateway."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

import httpx

from benchmarks.pipeline import Ground
from tonle.demo_acts import REGISTRAR
from tonle.generate import villages_by_province
from tonle.sample import HOUSEHOLD_COLUMNS, MEMBER_COLUMNS, MEMBERS_MOST, Sampler, Shares
from tonle.stack.errors import StackError

REQUESTS = 300
WARM_UP = 2_000
SEED = 999
"""Another than any file's, so that no household, card or account comes twice."""
LOOK_S = 0.02
PATIENCE_S = 30.0
_LISTS = ("consents", "assets", "conditions")
_NUMBERS = ("collector", "attendance_percent")
_SURE = {"level": ("poor_1", "poor_2"), "card_expires_on": ("2025-12-31",), "contact": ("neutral", "full")}
Form = dict[str, object]


async def measure(ground: Ground, requests: int = REQUESTS) -> list[float]:
    """Register households one after another, each once the last is told; milliseconds of each.

    The end is the gateway's own time of the SMS, so that looking for it costs nothing of it.
    """
    registration = ground.stack.services["registration"].url
    headers = {"Authorization": f"Bearer {ground.acts.tokens[REGISTRAR]}"}
    gateway = ground.stack.simulators["gateway"].url
    waits = []
    async with (
        httpx.AsyncClient(verify=False, base_url=registration, headers=headers, timeout=PATIENCE_S) as http,
        httpx.AsyncClient(verify=False, base_url=gateway, timeout=PATIENCE_S) as inbox,
    ):
        for form in forms(requests):
            began = time.time()
            key = {"Idempotency-Key": str(form["reference"])}
            (await http.post("/households", json=form, headers=key)).raise_for_status()
            told = await _told_at(inbox, _international(str(form["phone"])), began)
            waits.append((told - began) * 1000)
    return waits


async def _told_at(inbox: httpx.AsyncClient, phone: str, since: float) -> float:
    """When the gateway received an SMS to `phone`, in seconds since 1970."""
    while time.time() - since < PATIENCE_S:
        for sms in (await inbox.get("/inbox", params={"to": phone, "last": "1"})).json():
            received = datetime.fromisoformat(sms["received_at"]).timestamp()
            if received >= since:
                return received
        await asyncio.sleep(LOOK_S)
    raise StackError(f"No SMS came within {PATIENCE_S:.0f} s of a registration.", "A service may be stuck.")


def forms(count: int) -> Iterator[Form]:
    """Households as the API takes them, each sure to be told: eligible, and with a telephone."""
    rows = Sampler(SEED, villages_by_province(), Shares(0, 0)).rows(count * 10)
    return islice(filter(_is_sure, map(_form, rows)), count)


def _is_sure(form: Form) -> bool:
    return "phone" in form and all(form.get(name) in wanted for name, wanted in _SURE.items())


def _form(row: Sequence[str]) -> Form:
    """A row of an import file as the API's form."""
    width, start = len(MEMBER_COLUMNS), len(HOUSEHOLD_COLUMNS)
    starts = range(start, start + width * MEMBERS_MOST, width)
    members = [_cells(MEMBER_COLUMNS, row[at : at + width]) for at in starts if row[at]]
    return {**_cells(HOUSEHOLD_COLUMNS, row), "members": members}


def _cells(names: Sequence[str], cells: Sequence[str]) -> Form:
    return {name: _value(name, cell) for name, cell in zip(names, cells, strict=False) if cell}


def _value(name: str, cell: str) -> object:
    if name in _LISTS:
        return cell.split(";")
    return int(cell) if name in _NUMBERS else cell


def _international(phone: str) -> str:
    return f"+855{phone[1:]}"


def figures(waits: Sequence[float]) -> Mapping[str, object]:
    """What is kept of it."""
    ordered = sorted(waits)
    return {
        "latency_requests": len(ordered),
        "latency_ms_p50": round(percentile(ordered, 50), 1),
        "latency_ms_p99": round(percentile(ordered, 99), 1),
        "latency_ms_max": round(ordered[-1], 1),
    }


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all are not above (nearest rank); `ordered` rises."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
