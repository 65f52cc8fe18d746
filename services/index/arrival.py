"""Waiting for what a collection applies."""

import asyncio
from collections.abc import Callable

from services.common import deadlines
from services.common.errors import DeadlineExceeded, FailedPrecondition, Unavailable

# How long somebody waits who set no deadline.
_MAX_WAIT_SECONDS = 10.0


class Arrivals:
    """Those who wait for a revision of one collection. Belongs to one event loop.

    `current` returns the revision that is applied, and whether searches may see it.
    """

    def __init__(self, space_id: str, current: Callable[[], tuple[int, bool]]) -> None:
        self._space_id = space_id
        self._current = current
        self._is_draining = False
        # Replaced whenever something was applied.
        self._applied = asyncio.Event()

    def announce(self) -> None:
        """Say that `current` is another."""
        applied, self._applied = self._applied, asyncio.Event()
        applied.set()

    def drain(self) -> None:
        """End every wait, now and from now on, with Unavailable."""
        self._is_draining = True
        self.announce()

    async def reach(self, min_revision: int) -> None:
        """Return when a revision is applied.

        Raises FailedPrecondition (COLLECTION_NOT_READY), and DeadlineExceeded
        (REVISION_NOT_REACHED) with the revision that is applied.
        """
        self.refuse_unless_ready()
        if self._revision >= min_revision:
            return
        try:
            async with asyncio.timeout(deadlines.waiting_seconds(_MAX_WAIT_SECONDS)):
                while self._revision < min_revision:
                    if self._is_draining:
                        raise Unavailable("the index is stopping", reason="NOT_SERVING")
                    await self._applied.wait()
                    self.refuse_unless_ready()
        except TimeoutError:
            raise DeadlineExceeded(
                f"min_revision: {min_revision} is not applied yet, only {self._revision}",
                reason="REVISION_NOT_REACHED",
                metadata={"revision": str(self._revision)},
            ) from None

    def refuse_unless_ready(self) -> None:
        """Raise FailedPrecondition (COLLECTION_NOT_READY) while it is built for the first time."""
        if not self._current()[1]:
            raise FailedPrecondition(
                f"the collection of space {self._space_id} is being built for the first time",
                reason="COLLECTION_NOT_READY",
            )

    @property
    def _revision(self) -> int:
        return self._current()[0]
