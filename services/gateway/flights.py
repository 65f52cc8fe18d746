"""Single flight: identical work that is under way is waited for, not done again."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.common.errors import VitrinaError
from services.common.telemetry import get_logger

log = get_logger()

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
            flight = self._started(key, asyncio.ensure_future(_as_coroutine(work)))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task), is_shared
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                # Out of the way at once, so that a newcomer does not join a cancelled task.
                self._forget(key, flight)
                flight.task.cancel()

    def begin(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> bool:
        """Begin work that ends whether anybody waits for it or not; tell if it was not under way.

        Whoever joins it gets its result or its error; else an error is only logged.
        """
        if key in self._flights:
            return False
        # Not for the call at work, so not by its deadline either.
        task = asyncio.get_running_loop().create_task(_as_coroutine(work), context=Context())
        self._started(key, task).waiters = 1
        task.add_done_callback(_log_error)
        return True

    def _started(self, key: Hashable, task: asyncio.Task[T]) -> _Flight[T]:
        flight = _Flight(task)
        self._flights[key] = flight
        task.add_done_callback(lambda _: self._forget(key, flight))
        return flight

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        # Another one may have taken the place of a flight that was cancelled.
        if self._flights.get(key) is flight:
            del self._flights[key]


def _log_error(task: asyncio.Task[T]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, VitrinaError):
        log.info("background work failed", reason=error.reason, problem=error.message)
    elif error is not None:
        log.error("background work failed", exc_info=error)


async def _as_coroutine(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
