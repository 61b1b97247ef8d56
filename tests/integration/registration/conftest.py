"""Registration running on its own database and topics, and what comes out of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest
import pytest_asyncio
from aiokafka import ConsumerRecord

from postbox.service import Service
from services.registration import app
from services.registration.app import RegistrationSettings
from services.registration.forms import HouseholdForm, form_of
from services.registration.office import Office
from tests.broker import everything
from tests.unit.registration.samples import household, told
from tests.waiting import until
from vault import keyring

ACTIONS = [
    "household.register", "household.revise", "household.read", "household.exit", "household.import", "read",
]  # fmt: skip


def numbered(number: int) -> str:
    """The id of the household whose reference is R and this number."""
    return f"01890000-0000-7000-8000-{number:012d}"


def form(number: int = 1, /, **changes: str) -> HouseholdForm:
    """A household as the API takes it."""
    found = household(number, **changes)
    ids = [str(n) for n in range(len(found.members))]
    return form_of(found.reference, found.level, *told(found, ids))


@dataclass
class Window:
    """What a test does with registration and sees of it."""

    settings: RegistrationSettings
    db: asyncpg.Connection
    admin_token: str
    service: Service = field(init=False)
    tokens: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self, **changes: object) -> AsyncIterator["Window"]:
        async with app.service(self.settings.model_copy(update=changes)).running() as self.service:
            yield self

    async def call(
        self, method: str, path: str, token: str, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} | (headers or {})
        async with httpx.AsyncClient(
            verify=False, base_url=self.service.url, headers=headers, timeout=30
        ) as client:
            return await client.request(method, path, **more)

    async def registrar(self, area: str = "", actions: list[str] = ACTIONS) -> str:
        """The token of a registrar of an area."""
        name = f"office {area} {len(actions)}"
        if name not in self.tokens:
            new = {"name": name, "actions": actions, "area": area}
            answer = await self.call("POST", "/callers", self.admin_token, json=new)
            self.tokens[name] = answer.json()["token"]
        return self.tokens[name]

    async def register(
        self, sent: HouseholdForm, request_id: str = "request", area: str = ""
    ) -> httpx.Response:
        return await self.call(
            "POST",
            "/households",
            await self.registrar(area),
            {"Idempotency-Key": request_id},
            json=sent.model_dump(),
        )

    async def revise(self, id: str, replaces: int, sent: HouseholdForm, area: str = "") -> httpx.Response:
        body = {"replaces": replaces, "household": sent.model_dump()}
        return await self.call("PUT", f"/households/{id}", await self.registrar(area), json=body)

    async def leave(self, id: str, reason: str, area: str = "") -> httpx.Response:
        return await self.call(
            "POST", f"/households/{id}/exit", await self.registrar(area), json={"reason": reason}
        )

    async def get(self, path: str, area: str = "") -> httpx.Response:
        return await self.call("GET", path, await self.registrar(area))

    async def upload(
        self, content: bytes, name: str = "households.csv", area: str = "", path: str = "/imports"
    ) -> httpx.Response:
        disposition = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
        return await self.call("POST", path, await self.registrar(area), disposition, content=content)

    async def imported(self, content: bytes, name: str = "households.csv", area: str = "") -> dict[str, Any]:
        """Upload a file and wait until its import has ended."""
        answer = await self.upload(content, name, area)
        assert answer.status_code == 202, answer.text
        return await self.ended(answer.json()["import_id"])

    async def ended(self, import_id: str) -> dict[str, Any]:
        async def done() -> bool:
            state = await self.db.fetchval("select state from import where import_id = $1", import_id)
            return state in ("finished", "failed")

        await until(done)
        found: dict[str, Any] = (await self.get(f"/imports/{import_id}")).json()
        return found

    async def quarantine(self, area: str = "", **query: object) -> list[dict[str, Any]]:
        answer = await self.call("GET", "/quarantine", await self.registrar(area), params=query)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    async def fill_outbox(self, messages: int) -> None:
        """A row that can't be published, because its pages are not there."""
        await self.db.execute(
            "insert into outbox (lane, strand, message_count) values ('stuck', 0, $1)", messages
        )

    async def on(self, topic: str) -> list[ConsumerRecord]:
        """Everything a topic holds once the outbox is empty."""
        return await everything(self.settings, self.db, topic)


@pytest_asyncio.fixture
async def window(
    secrets: Any,
    service_settings: Callable[..., Awaitable[RegistrationSettings]],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Window]:
    monkeypatch.setattr(Office, "household_id", lambda _, reference: numbered(int(reference.split("-")[1])))
    settings = await service_settings(
        RegistrationSettings, "registration", [keyring.MIGRATIONS, app.MIGRATIONS], import_chunk_rows=20
    )
    db = await asyncpg.connect(settings.database)
    yield Window(settings, db, secrets.admin_token_file.read_text().strip())
    await db.close()


@pytest_asyncio.fixture
async def open_window(window: Window) -> AsyncIterator[Window]:
    async with window.running():
        yield window
