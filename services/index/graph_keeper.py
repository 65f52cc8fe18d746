"""Keeps a collection's graphs up with its rows, in the background."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from types import TracebackType

from services.common.telemetry import get_logger
from services.index.engines.protocol import BuildCancelled, Engine
from services.index.graph_files import GraphFiles
from services.index.graphs import build_segment
from services.index.policy import GraphPolicy, Joining
from services.index.rows import BuiltSegment, Rows
from services.index.segments import Segment
from services.index.threads import Threads, Work

log = get_logger()

_RETRY_SECONDS = 30.0
# A graph that has grown by so much is saved at once, one that has grown less when nothing
# was built for some seconds.
_GROWTH_SAVED_AT_ONCE = 1.25
_SETTLED_SECONDS = 2.0


class GraphKeeper:
    """Puts recent rows into a graph, and graphs into one, when it is time, and saves them.

    Searches and batches go on meanwhile. `current` returns the rows, and whether they may be
    searched yet. A graph is never changed, so the one that was saved is right whenever
    the process ends.

    What it takes: two threads of low priority, and, while it builds, the memory of the graph
    that comes of it; so at most that of all graphs once more.
    """

    def __init__(
        self,
        space_id: str,
        current: Callable[[], tuple[Rows, bool]],
        files: GraphFiles,
        engine: Engine,
        threads: Threads,
        policy: GraphPolicy,
        on_new_graph: Callable[[], None] = lambda: None,
    ) -> None:
        # Of the large graph and of the small one behind it.
        self.files = (files, files.beside("newer"))
        self.save_time: datetime | None = None
        self._saved: list[Segment | None] = [None, None]
        self._unsavable: tuple[Segment, ...] = ()
        self._space_id = space_id
        self._current = current
        self._engine = engine
        self._threads = threads
        self._policy = policy
        self._on_new_graph = on_new_graph
        # So many segments, the first ones, are being put into one.
        self._busy = 0
        self._saving = asyncio.Lock()
        self._changes = (asyncio.Event(), asyncio.Event())
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "GraphKeeper":
        recent, large = self._changes
        self._tasks = [
            asyncio.create_task(self._keep(recent, self._join_recent)),
            asyncio.create_task(self._keep(large, self._join_large)),
        ]
        self.check()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def check(self) -> None:
        """Have a look, soon, whether there is something to do."""
        for changed in self._changes:
            changed.set()

    def loaded(self, segments: tuple[Segment, ...], save_time: datetime | None) -> None:
        """Note that these are what is saved."""
        self._saved = [*segments, None, None][:2]
        self.save_time = save_time

    async def drop(self) -> None:
        """Forget the saved graphs: there are other rows, or too few."""
        async with self._saving:
            self.save_time = None
            self._saved = [None, None]
            for files in self.files:
                await self._threads.extend(files.remove)

    async def _keep(self, changed: asyncio.Event, join: Callable[[], Awaitable[bool]]) -> None:
        while True:
            try:
                async with asyncio.timeout(_SETTLED_SECONDS if self._is_unsaved() else None):
                    await changed.wait()
            except TimeoutError:
                await self._save(is_settled=True)
            changed.clear()
            try:
                while await join():
                    self.check()
            except BuildCancelled:
                if self._threads.is_stopping():
                    return
            except Exception:
                log.error("graph not built", space=self._space_id, exc_info=True)
                await asyncio.sleep(_RETRY_SECONDS)
                changed.set()

    async def _join_recent(self) -> bool:
        rows, _ = self._current()
        snapshot = rows.snapshot
        joining = self._policy.joining_recent(
            segments=[segment.rows for segment in snapshot.segments],
            recent_rows=len(snapshot.recent),
            busy=self._busy,
        )
        if joining is None:
            return False
        if not snapshot.segments and not self._policy.deserves_graph(snapshot.vectors):
            await self._compact(rows)
            return True
        # the first one is for all processors: without it, searches take longest
        threads = 1 if snapshot.segments else os.cpu_count() or 1
        await self._join(rows, joining, self._threads.extend, threads=threads)
        await self._save(is_settled=False)
        return True

    async def _join_large(self) -> bool:
        rows, _ = self._current()
        snapshot = rows.snapshot
        joining = self._policy.joining_large(
            segments=[segment.rows for segment in snapshot.segments], dead=rows.dead_rows
        )
        if joining is None:
            return False
        if not self._policy.deserves_graph(snapshot.vectors):
            await self._compact(rows)
            return True
        self._busy = joining.end
        try:
            await self._join(rows, joining, self._threads.build)
        finally:
            self._busy = 0
        await self._save(is_settled=False)
        return True

    async def _compact(self, rows: Rows) -> None:
        rows.compact()
        await self.drop()

    async def _join(
        self,
        rows: Rows,
        joining: Joining,
        run: Callable[[Work[BuiltSegment]], Awaitable[BuiltSegment]],
        *,
        threads: int = 1,
    ) -> None:
        started = time.perf_counter()
        snapshot = rows.snapshot

        def is_cancelled() -> bool:
            return self._threads.is_stopping() or self._current()[0] is not rows

        built = await run(
            lambda: build_segment(
                self._engine,
                self._policy.parameters,
                snapshot,
                joining,
                is_cancelled,
                threads=threads,
            )
        )
        # the rows may have been dropped, or put in order, just before the end
        if self._current()[0] is not rows or not rows.install(built):
            return
        seconds = round(time.perf_counter() - started, 2)
        log.info(
            "graph built",
            space=self._space_id,
            vectors=built.segment.rows,
            inserted=built.segment.rows - (built.replaced[0].rows if joining.extends else 0),
            seconds=seconds,
        )
        if not joining.first:
            self._on_new_graph()

    def _is_unsaved(self) -> bool:
        segments = self._current()[0].snapshot.segments
        return segments != self._unsavable and any(
            saved is not segment for saved, segment in zip(self._saved, segments, strict=False)
        )

    async def _save(self, *, is_settled: bool) -> None:
        """Save graphs that were not saved, if it is time; an error is logged only."""
        async with self._saving:
            try:
                for place in range(len(self.files)):
                    if not await self._save_one(place, is_settled=is_settled):
                        return
            except Exception:
                # tried again when there are others
                self._unsavable = self._current()[0].snapshot.segments
                log.error("graph not saved", space=self._space_id, exc_info=True)

    async def _save_one(self, place: int, *, is_settled: bool) -> bool:
        """Return whether the graph there is saved, so that one behind it can be."""
        rows, _ = self._current()
        segments, files = rows.snapshot.segments, self.files[place]
        saved = self._saved[place]
        if place >= len(segments):
            if saved is not None:
                await self._threads.extend(files.remove)
                self._saved[place] = None
            return False
        segment = segments[place]
        if saved is segment:
            return True
        is_behind = len(segments) > place + 1 and place == 0
        if saved is not None and not is_settled and not is_behind:
            grown = segment.rows / max(saved.rows, 1)
            if 1 / _GROWTH_SAVED_AT_ONCE < grown < _GROWTH_SAVED_AT_ONCE:
                return False
        start = sum(before.rows for before in segments[:place])
        vector_ids = rows.vector_ids[start : start + segment.rows].copy()
        run = self._threads.build if place == 0 else self._threads.extend
        self.save_time = await run(lambda: files.save(segment.graph, vector_ids, rows.incarnation))
        self._saved[place] = segment
        return self._current()[0] is rows
