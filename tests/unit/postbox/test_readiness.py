"""What a probe is answered while the database is killed: the reason, never a failure of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from postbox import operations
from postbox.service import Service, ServiceSettings


class Pool:
    """A pool whose connections end as asyncpg was seen to let them."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        raise self._error
        yield


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.InternalClientError("got result for unknown protocol state 3"),
        asyncpg.InterfaceError("the underlying connection is closed"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_killed_database_is_a_reason_of_not_being_ready(tmp_path: Path, error: Exception) -> None:
    settings = ServiceSettings(
        kafka="127.0.0.1:1", database="postgresql://127.0.0.1:1/none", data_dir=tmp_path
    )
    service = Service("a-service", settings)
    service.db = Pool(error)  # type: ignore[assignment]
    app = FastAPI()
    app.state.service = service
    app.include_router(operations.router)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://a-service") as http:
        answer = await http.get("/health/ready")
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["the database does not answer"])
