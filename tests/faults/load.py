"""What registrars do meanwhile: register by file and by API, revise, let go; and what they hold receipts for.

Requests are repeated until they are answered, as a careful client does, with the same Idempotency-Key.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import httpx

from tests.faults.plan import Plan
from tonle.generate import villages_by_province
from tonle.sample import COLUMNS, HOUSEHOLD_COLUMNS, MEMBER_COLUMNS, MEMBERS_MOST, Sampler, Shares

DESKS = 6
BY_API = 0.25
REVISED = 0.3
LEFT = 0.03
FILE_ROWS = (40, 400)
PATIENCE_S = 900.0
LOOKS_MOST = 3
_LISTS = ("consents", "assets", "conditions")
Row = Sequence[str]
Act = Callable[["Desk"], Awaitable[None]]


@dataclass
class Told:
    """What registrars were told: a household's highest revision, and who was let go."""

    revisions: dict[str, int] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    files: int = 0
    repeated: int = 0
    refused: int = 0

    def receipt(self, answer: Mapping[str, object]) -> None:
        """Note what a request was answered with."""
        household, revision = str(answer["household_id"]), int(str(answer["revision"]))
        self.revisions[household] = max(revision, self.revisions.get(household, 0))
        if answer["state"] == "exited":
            self.left.add(household)


class Desk:
    """One registrar: does one act after another, and asks again until there is an answer."""

    def __init__(self, http: httpx.AsyncClient, told: Told) -> None:
        self._http = http
        self._told = told

    async def file(self, rows: Sequence[Row]) -> None:
        """Upload a file of households."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
        headers = {"Content-Disposition": 'attachment; filename="households.csv"'}
        answer = await self._ask("POST", "/imports", content=text.getvalue().encode(), headers=headers)
        self._told.files += answer.is_success

    async def register(self, row: Row) -> None:
        """Register a household by hand."""
        headers = {"Idempotency-Key": row[0]}
        self._note(await self._ask("POST", "/households", json=_form(row), headers=headers))

    async def revise(self, row: Row, level: str) -> None:
        """Change a household's level, on the revision that is read just before."""
        path = await self._path(row)
        for _ in range(LOOKS_MOST if path else 0):
            found = await self._ask("GET", path)
            if not found.is_success or found.json()["state"] == "exited":
                break
            was = found.json()
            body = {"replaces": was["revision"], "household": _at_level(was["household"], level)}
            answer = await self._ask("PUT", path, json=body)
            if answer.status_code != httpx.codes.CONFLICT:
                self._note(answer)
                break

    async def let_go(self, row: Row) -> None:
        """Let a household exit."""
        if path := await self._path(row):
            self._note(await self._ask("POST", f"{path}/exit", json={"reason": "moved"}))

    async def _path(self, row: Row) -> str:
        """Where the household of a row is; nowhere yet, where its file was not read so far."""
        found = await self._ask("GET", "/households", params={"reference": row[0]})
        if found.status_code == httpx.codes.NOT_FOUND:
            return ""
        return f"/households/{found.raise_for_status().json()['household_id']}"

    def _note(self, answer: httpx.Response) -> None:
        if answer.is_success:
            self._told.receipt(answer.json())
        else:
            self._told.refused += 1

    async def _ask(self, method: str, path: str, **more: object) -> httpx.Response:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    answer = await self._http.request(method, path, **more)  # type: ignore[arg-type]
                    if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                        return answer
                except httpx.TransportError:
                    pass
                self._told.repeated += 1
                await asyncio.sleep(0.2)


class Load:
    """Work in portions: `release` lets registrars go on, so that every disturbance meets them at work."""

    def __init__(self, plan: Plan) -> None:
        self.told = Told()
        self._acts = _acts(plan)
        self._total = len(self._acts)
        self._queue: asyncio.Queue[Act] = asyncio.Queue()
        self._failed: list[BaseException] = []

    @asynccontextmanager
    async def working(self, url: str, token: str) -> AsyncIterator["Load"]:
        """The desks are open at registration's `url`, with a registrar's token."""
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(verify=False, base_url=url, headers=headers, timeout=15) as http:
            desks = [asyncio.create_task(self._work(Desk(http, self.told))) for _ in range(DESKS)]
            try:
                yield self
            finally:
                for desk in desks:
                    desk.cancel()
                await asyncio.gather(*desks, return_exceptions=True)

    def release(self, share: float = 1.0) -> None:
        """Hand out the next acts: this share of all, or all that are left."""
        count = len(self._acts) if share >= 1 else round(share * self._total)
        for act in self._acts[:count]:
            self._queue.put_nowait(act)
        del self._acts[:count]

    async def done(self) -> None:
        """Until everything handed out is done. Raises what a registrar could not get done."""
        await self._queue.join()
        if self._failed:
            raise self._failed[0]

    async def _work(self, desk: Desk) -> None:
        while True:
            act = await self._queue.get()
            try:
                await act(desk)
            except Exception as error:
                self._failed.append(error)
            finally:
                self._queue.task_done()


def _acts(plan: Plan) -> list[Act]:
    """Everything the registrars will do, in an order drawn from the seed; revisions come later."""
    random = Random(f"load/{plan.seed}")
    by_api = round(plan.households * BY_API)
    villages, seed = villages_by_province(), plan.seed % 400 * 2
    filed = list(Sampler(seed, villages, Shares()).rows(plan.households - by_api))
    typed = list(Sampler(seed + 1, villages, Shares(0, 0)).rows(by_api))
    acts: list[Act] = [_upload(rows) for rows in _portions(random, filed)]
    acts += [_registering(row) for row in typed]
    random.shuffle(acts)
    rows = [*filed, *typed]
    later = [_revising(row, random) for row in random.choices(rows, k=round(len(rows) * REVISED))]
    later += [_leaving(row) for row in random.sample(rows, round(len(rows) * LEFT))]
    random.shuffle(later)
    places = sorted(random.randrange(len(acts) // 4, len(acts) + 1) for _ in later)
    for act, place in zip(later, reversed(places), strict=True):
        acts.insert(place, act)
    return acts


def _portions(random: Random, rows: Sequence[Row]) -> list[Sequence[Row]]:
    portions, at = [], 0
    while at < len(rows):
        size = random.randint(*FILE_ROWS)
        portions.append(rows[at : at + size])
        at += size
    return portions


def _upload(rows: Sequence[Row]) -> Act:
    return lambda desk: desk.file(rows)


def _registering(row: Row) -> Act:
    return lambda desk: desk.register(row)


def _revising(row: Row, random: Random) -> Act:
    level = random.choice(("poor_1", "poor_2", "none", "none"))
    return lambda desk: desk.revise(row, level)


def _leaving(row: Row) -> Act:
    return lambda desk: desk.let_go(row)


def _form(row: Row) -> dict[str, object]:
    """A row of an import file as the API's form."""
    width = len(MEMBER_COLUMNS)
    household = _cells(HOUSEHOLD_COLUMNS, row)
    starts = range(len(HOUSEHOLD_COLUMNS), len(HOUSEHOLD_COLUMNS) + width * MEMBERS_MOST, width)
    members = [_cells(MEMBER_COLUMNS, row[start : start + width]) for start in starts if row[start]]
    return {**household, "members": members}


def _cells(names: Sequence[str], cells: Row) -> dict[str, object]:
    form: dict[str, object] = {}
    for name, cell in zip(names, cells, strict=False):
        if name in _LISTS:
            form[name] = cell.split(";") if cell else []
        elif name in ("collector", "attendance_percent"):
            form[name] = int(cell) if cell else None
        elif cell or name in ("reference", "village", "level"):
            form[name] = cell
    return form


def _at_level(form: Mapping[str, object], level: str) -> dict[str, object]:
    changed = {**form, "level": level}
    if level == "none":  # without a level there is no card
        changed |= {"card_number": None, "card_expires_on": None}
    return changed
