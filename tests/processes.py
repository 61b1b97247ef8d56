"""A service as a process of its own, to be killed or stopped by a test."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from postbox.service import ServiceSettings
from tests.waiting import until
from tonle.stack.process import free_port


@asynccontextmanager
async def service_process(
    module: str, settings: ServiceSettings, **changes: object
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service that this module runs, with settings changed as told; killed in the end."""
    told = settings.model_copy(update=changes).model_dump(mode="json", exclude_defaults=True)
    environment = os.environ | {
        f"TONLE_{name.upper()}": json.dumps(value) if isinstance(value, dict | list) else str(value)
        for name, value in told.items()
    }
    with (settings.data_dir / "service.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def answering_process(
    module: str, settings: ServiceSettings
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The same once it answers: the process, and its URL on a port of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/health/ready"

    async def ready() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return (await client.get(url)).is_success
        return False

    async with service_process(module, settings, port=port) as process:
        async with httpx.AsyncClient(verify=False) as client:
            await until(ready)
        yield process, url.removesuffix("/health/ready")
