"""Long work in small slices, so that other calls go on meanwhile."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")

_SLICE_SECONDS = 0.001


async def paced(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield the items; give way to other tasks after each millisecond of work.

    For work that holds the interpreter's lock: in a thread it would keep the
    event loop waiting 5 ms, the interpreter's own slice, each time.
    """
    slice_began = time.perf_counter()
    for item in items:
        if time.perf_counter() - slice_began > _SLICE_SECONDS:
            await asyncio.sleep(0)
            slice_began = time.perf_counter()
        yield item
