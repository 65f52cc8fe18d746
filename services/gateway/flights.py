"""Single flight: identical work that is under way is waited for, not done again."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiters: int = 0


class Flights(Generic[T]):
    """Work under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """Return the result for `key` and whether somebody else had begun the work.

        A waiter that is cancelled leaves the others alone; the last one to
        leave cancels the work.
        """
        flight = self._flights.get(key)
        is_shared = flight is not None
        if flight is None:
            flight = _Flight(asyncio.ensure_future(_as_coroutine(work)))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda _: self._flights.pop(key, None))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task), is_shared
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                # Out of the way at once, so that a newcomer does not join a cancelled task.
                self._flights.pop(key, None)
                flight.task.cancel()


async def _as_coroutine(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
