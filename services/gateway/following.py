"""What the gateway keeps in mind of the others: the catalog's changes, the ready spaces."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress

from services.common import deadlines
from services.common.errors import FailedPrecondition, InvalidArgument, Unavailable, VitrinaError
from services.common.telemetry import get_logger
from services.gateway.background import Background
from services.gateway.hydration import Hydration
from services.gateway.ports import Catalog, Collection, Embedder, Index
from services.gateway.queries import parse_space
from services.gateway.validity import ChangeLog

log = get_logger()

CALL_TIMEOUT_SECONDS = 1.0
# A feed without news and one that cannot be heard are equally silent. So the catalog is
# asked for its head now and then, and has so long to answer, and the feed to bring it.
PULSE_SECONDS = 1.0
SILENCE_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 1.0
# How often the spaces are looked at; oftener while there is none to search in.
REFRESH_SECONDS = 1.0
REFRESH_SECONDS_WITHOUT_SPACE = 0.2
# Of callers who set no deadline. Files of a dropped collection may be many gigabytes.
USE_TIMEOUT_SECONDS = 5.0
DROP_TIMEOUT_SECONDS = 60.0


class CatalogFollower(Background):
    """Keeps a change log at the catalog's head, and products out that changed.

    Used inside `async with`.
    """

    def __init__(self, catalog: Catalog, changes: ChangeLog, hydration: Hydration) -> None:
        self._catalog = catalog
        self._changes = changes
        self._hydration = hydration

    async def _run(self) -> None:
        backoff_seconds = 0.05
        while True:
            try:
                await self._follow_while_heard()
            except VitrinaError as error:
                log.info("catalog not followed", problem=error.message)
            except Exception:
                log.exception("catalog follower failed")
            if self._changes.is_following:
                backoff_seconds = 0.05
            self._changes.is_following = False
            await asyncio.sleep(backoff_seconds * random.uniform(0.5, 1.0))  # noqa: S311
            backoff_seconds = min(MAX_BACKOFF_SECONDS, backoff_seconds * 2)

    async def _follow_while_heard(self) -> None:
        """Follow until the feed ends, or the catalog falls silent."""
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._hear())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _hear(self) -> None:
        """Raise VitrinaError when the catalog is silent, or has what the feed does not bring."""
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            state = await self._catalog.get_state(SILENCE_SECONDS)
            if not self._changes.is_following or state.catalog_id != self._changes.catalog_id:
                continue
            self._changes.witness(state.revision)
            await self._changes.reached(state.revision, SILENCE_SECONDS)
            if self._changes.head < state.revision:
                raise Unavailable("the feed is silent")

    async def _follow(self) -> None:
        if not self._changes.catalog_id:
            state = await self._catalog.get_state(CALL_TIMEOUT_SECONDS)
            self._hydration.forget_all()
            self._changes.begin(state.catalog_id, state.revision)
        owed_revision = self._changes.witnessed
        try:
            async for watched in self._catalog.watch(self._changes.head):
                is_same = watched.catalog_id == self._changes.catalog_id
                if not is_same or watched.head_revision < owed_revision:
                    self._changes.lose(was_set_back=is_same)
                    return
                self._hydration.forget(watched.changes)
                self._changes.apply(watched.changes)
                if self._changes.head >= watched.head_revision:
                    self._changes.is_following = True
        except FailedPrecondition:
            # Our head is newer than the catalog: it is another one, or an older copy.
            self._changes.lose(was_set_back=True)


class ReadySpaces(Background):
    """The spaces to search in, the best first. Used inside `async with`.

    The pinned one, then the embedder's favourite. Without `takes_over` the first that
    answers is pinned by itself: a better one that becomes ready waits until it is used.
    """

    def __init__(self, embedder: Embedder, index: Index, *, takes_over: bool = True) -> None:
        self.ids: tuple[str, ...] = ()
        self._takes_over = takes_over
        # One look at a time, so that what was asked for later is known later.
        self._looking = asyncio.Lock()
        self._embedder = embedder
        self._index = index
        self._preference: tuple[str, ...] = ()
        self._applied: dict[str, int] = {}
        self._doubt = asyncio.Event()
        # Replaced whenever the spaces were looked at.
        self._looked = asyncio.Event()

    @property
    def preferred(self) -> str:
        """The space that is to answer now; empty where none is ready."""
        return self.ids[0] if self.ids else ""

    @property
    def applied_revision(self) -> int:
        """What the collection that answers reflected at the last look; 0 where none does."""
        return self._applied.get(self.preferred, 0)

    def ensure_ready(self, space: str) -> None:
        """Raise FailedPrecondition (SPACE_MISMATCH) for a space that cannot answer now."""
        if space not in self.ids:
            self.refresh_soon()
            raise FailedPrecondition(
                f"space: {space} cannot answer: its collection is not ready, or the "
                "embedder does not have it",
                reason="SPACE_MISMATCH",
            )

    async def refreshed(self, timeout_seconds: float) -> None:
        """Have the spaces looked at; return when that is done, or the time over."""
        self.refresh_soon()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._looked.wait()

    async def use(self, space: str) -> None:
        """Pin a space for all gateways, none if empty; known here at once.

        Errors: InvalidArgument (space), and those of Index.use_space.
        """
        seconds = deadlines.remaining_seconds(USE_TIMEOUT_SECONDS)
        await self._index.use_space(parse_space(space), seconds)
        with suppress(VitrinaError):  # pinned it is; the next look will tell
            await self._refresh()

    async def drop(self, space: str, *, allow_missing: bool) -> int:
        """Drop what the index holds of a space; return the bytes freed.

        Errors: InvalidArgument (space), and those of Index.drop_collection.
        """
        if not space:
            raise InvalidArgument("space", "must not be empty")
        freed_bytes = await self._index.drop_collection(
            parse_space(space),
            allow_missing=allow_missing,
            timeout_seconds=deadlines.remaining_seconds(DROP_TIMEOUT_SECONDS),
        )
        self.refresh_soon()
        return freed_bytes

    def refresh_soon(self) -> None:
        """Say that `ids` proved wrong."""
        self._doubt.set()

    async def _run(self) -> None:
        while True:
            self._doubt.clear()
            try:
                await self._refresh()
            except VitrinaError as error:
                log.debug("spaces not refreshed", problem=error.message)
            except Exception:
                log.exception("spaces not refreshed")
            looked, self._looked = self._looked, asyncio.Event()
            looked.set()
            pause = REFRESH_SECONDS if self.ids else REFRESH_SECONDS_WITHOUT_SPACE
            try:
                await asyncio.wait_for(self._doubt.wait(), pause)
            except TimeoutError:
                continue
            # However many doubts there are, the index is asked at this pace at most.
            await asyncio.sleep(REFRESH_SECONDS_WITHOUT_SPACE)

    async def _refresh(self) -> None:
        """Ask both; while the embedder is away, its last order stands."""
        async with self._looking:
            collections = await self._index.list_collections(CALL_TIMEOUT_SECONDS)
            self._applied = {each.space: each.applied_revision for each in collections}
            try:
                spaces = await self._embedder.list_spaces(CALL_TIMEOUT_SECONDS)
                self._preference = tuple(space.id for space in spaces)
            finally:
                self._take(collections)
            is_pinned = any(collection.is_pinned for collection in collections)
            if self.ids and not is_pinned and not self._takes_over:
                await self._index.use_space(self.ids[0], CALL_TIMEOUT_SECONDS)

    def _take(self, collections: Sequence[Collection]) -> None:
        ready = {each.space: each.is_pinned for each in collections if each.is_ready}
        known = [space for space in self._preference if space in ready]
        ids = tuple(sorted(known, key=lambda space: not ready[space]))
        if ids[:1] != self.ids[:1]:
            is_pinned = bool(ids) and ready[ids[0]]
            log.info("space answers", space="".join(ids[:1]), is_pinned=is_pinned)
        self.ids = ids
