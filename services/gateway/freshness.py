"""Waiting until searches by meaning reflect a revision, whatever happens to the index meanwhile."""

import asyncio
import time

from services.common import deadlines
from services.common.errors import DeadlineExceeded, Unavailable, VitrinaError
from services.common.telemetry import get_logger
from services.gateway.following import ReadySpaces
from services.gateway.ports import Index, Reached
from services.gateway.queries import parse_budget, parse_min_revision
from services.gateway.validity import ChangeLog

log = get_logger()

# Of callers who say nothing.
WAIT_SECONDS = 5.0
WRITE_WAIT_SECONDS = 30.0
# The feed takes milliseconds; until it has brought a write, cached answers are labelled.
KNOWN_WRITE_SECONDS = 0.25


class Freshness:
    """Has the index say when it is there: it wakes up with the write, nobody polls."""

    def __init__(self, index: Index, spaces: ReadySpaces, changes: ChangeLog) -> None:
        self._index = index
        self._spaces = spaces
        self._changes = changes
        self._is_draining = False
        self._waits: set[asyncio.Task[Reached]] = set()

    def drain(self) -> None:
        """End every wait, now and from now on, with Unavailable: what is stored stays so."""
        self._is_draining = True
        for waiting in self._waits:
            waiting.cancel()

    async def wait(self, min_revision: int, timeout_seconds: float | None) -> Reached:
        """Return when searches reflect a revision, in the space that answers.

        Errors: InvalidArgument (min_revision, timeout), DeadlineExceeded
        (REVISION_NOT_REACHED) with the revision that they reflect.
        """
        seconds = parse_budget(timeout_seconds, WAIT_SECONDS)
        wanted = parse_min_revision(min_revision)
        return await self._reach(wanted, min(seconds, deadlines.waiting_seconds(seconds)))

    async def known_here(self, revision: int) -> None:
        """Return when no cached answer of this gateway is older than a write, or labelled so."""
        self._changes.expect(revision)
        await self._changes.reached(revision, KNOWN_WRITE_SECONDS)

    async def stored(self, revision: int) -> None:
        """Return when searches reflect a write that is stored as a revision.

        DeadlineExceeded (REVISION_NOT_REACHED) also tells the "stored_revision".
        """
        try:
            await self._reach(revision, deadlines.waiting_seconds(WRITE_WAIT_SECONDS))
        except DeadlineExceeded as late:
            raise DeadlineExceeded(
                f"stored as revision {revision}, and not searchable by meaning yet: {late.message}",
                reason=late.reason,
                metadata={**late.metadata, "stored_revision": str(revision)},
            ) from None

    async def _reach(self, revision: int, seconds: float) -> Reached:
        waiting = asyncio.create_task(self._wait(revision, seconds))
        self._waits.add(waiting)
        if self._is_draining:
            waiting.cancel()
        try:
            await asyncio.wait([waiting])
        finally:
            self._waits.discard(waiting)
            waiting.cancel()
        if waiting.cancelled():  # by `drain`
            raise Unavailable("the gateway is stopping", reason="NOT_SERVING")
        return waiting.result()

    async def _wait(self, revision: int, seconds: float) -> Reached:
        ends_at = time.monotonic() + seconds
        while (left_seconds := ends_at - time.monotonic()) > 0:
            if self._spaces.ids:
                try:
                    return await self._index.wait_for_revision(
                        self._spaces.ids, revision, left_seconds
                    )
                except VitrinaError as error:
                    if error.reason == "REVISION_NOT_REACHED":
                        raise _not_reached(revision, error.metadata["revision"]) from None
                    log.info("waiting interrupted", reason=error.reason, problem=error.message)
            # No space is ready, or the index is away: with the next look at the spaces again.
            await self._spaces.refreshed(max(0.0, ends_at - time.monotonic()))
        raise _not_reached(revision, str(self._spaces.applied_revision))


def _not_reached(revision: int, reached: str) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"revision {revision} was not reached, but {reached}",
        reason="REVISION_NOT_REACHED",
        metadata={"revision": reached},
    )
