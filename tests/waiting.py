"""Tests wait on a condition, never for a time."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[object]], most_s: float = 100.0) -> None:
    """Wait until a condition holds; fail after `most_s` seconds: more than a busy machine takes."""
    async with asyncio.timeout(most_s):
        while not await condition():
            await asyncio.sleep(0.02)
