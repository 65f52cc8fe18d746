"""What the gateway keeps in mind of the others: the catalog's changes, the ready spaces."""

import asyncio
import random
from typing import Self

from services.common.errors import FailedPrecondition, VitrinaError
from services.common.telemetry import get_logger
from services.gateway.ports import Catalog, Embedder, Index
from services.gateway.validity import ChangeLog

log = get_logger()

CALL_TIMEOUT_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 1.0
# How often the spaces are looked at; oftener while there is none to search in.
REFRESH_SECONDS = 1.0
REFRESH_SECONDS_WITHOUT_SPACE = 0.2


class Background:
    """An own task from the beginning to the end of the block."""

    async def _run(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=type(self).__name__)
        return self

    async def _finish(self) -> None:
        """Do what remains when the task has ended."""

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._finish()


class CatalogFollower(Background):
    """Keeps a change log at the catalog's head. Used inside `async with`."""

    def __init__(self, catalog: Catalog, changes: ChangeLog) -> None:
        self._catalog = catalog
        self._changes = changes

    async def _run(self) -> None:
        backoff_seconds = 0.05
        while True:
            try:
                await self._follow()
            except FailedPrecondition:
                # Our head is newer than the catalog: it is another one, or an older copy.
                self._changes.catalog_id = ""
            except VitrinaError as error:
                log.info("catalog not followed", problem=error.message)
            except Exception:
                log.exception("catalog follower failed")
            if self._changes.is_following:
                backoff_seconds = 0.05
            self._changes.is_following = False
            await asyncio.sleep(backoff_seconds * random.uniform(0.5, 1.0))  # noqa: S311
            backoff_seconds = min(MAX_BACKOFF_SECONDS, backoff_seconds * 2)

    async def _follow(self) -> None:
        if not self._changes.catalog_id:
            state = await self._catalog.get_state(CALL_TIMEOUT_SECONDS)
            self._changes.begin(state.catalog_id, state.revision)
        async for watched in self._catalog.watch(self._changes.head):
            if watched.catalog_id != self._changes.catalog_id:
                self._changes.catalog_id = ""
                return
            self._changes.apply(watched.changes)
            if self._changes.head >= watched.head_revision:
                self._changes.is_following = True


class ReadySpaces(Background):
    """The spaces to search in, the embedder's favourite first. Used inside `async with`."""

    def __init__(self, embedder: Embedder, index: Index) -> None:
        self.ids: tuple[str, ...] = ()
        self._embedder = embedder
        self._index = index
        self._preference: tuple[str, ...] = ()
        self._doubt = asyncio.Event()

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
            pause = REFRESH_SECONDS if self.ids else REFRESH_SECONDS_WITHOUT_SPACE
            try:
                await asyncio.wait_for(self._doubt.wait(), pause)
            except TimeoutError:
                continue
            # However many doubts there are, the index is asked at this pace at most.
            await asyncio.sleep(REFRESH_SECONDS_WITHOUT_SPACE)

    async def _refresh(self) -> None:
        """Ask both; while the embedder is away, its last order stands."""
        collections = await self._index.list_collections(CALL_TIMEOUT_SECONDS)
        ready = {collection.space for collection in collections if collection.is_ready}
        try:
            spaces = await self._embedder.list_spaces(CALL_TIMEOUT_SECONDS)
            self._preference = tuple(space.id for space in spaces)
        finally:
            self.ids = tuple(space for space in self._preference if space in ready)
