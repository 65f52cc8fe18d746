"""How many searches are computed at once: better a clear refusal than a queue that grows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.common.errors import Overloaded

# Of a query's budget: who waits longer could hardly be answered in what is left.
QUEUE_SHARE = 0.2


class Admission:
    """Lets in so many at once; as many more wait for a short while."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = asyncio.Semaphore(limit)
        self._waiting = 0

    @asynccontextmanager
    async def admitted(self, wait_seconds: float) -> AsyncIterator[None]:
        """Wait for a place at most so long, and hold it inside the block; Overloaded without."""
        if self._waiting >= self._limit:
            raise Overloaded(f"{self._limit} searches are computed, and as many wait")
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded(f"{self._limit} searches are computed, none ended in time") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
