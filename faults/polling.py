"""Waiting for what other processes do."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_POLL_SECONDS = 0.05


async def becomes_true(condition: Callable[[], bool | Awaitable[bool]], seconds: float) -> bool:
    """Return True as soon as the condition holds; False when it does not within the time."""
    deadline = time.monotonic() + seconds
    while True:
        holds = condition()
        if await holds if isinstance(holds, Awaitable) else holds:
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
