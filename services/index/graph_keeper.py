"""Keeps a collection's graph up with its rows, in the background."""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

from services.common.telemetry import get_logger
from services.index.engines.protocol import BuildCancelled, Engine
from services.index.graph_files import GraphFiles
from services.index.graphs import build_graph
from services.index.policy import GraphPolicy
from services.index.rows import Rows
from services.index.threads import Threads

log = get_logger()

_RETRY_SECONDS = 30.0


class GraphKeeper:
    """Builds a graph when it is due and saves it; searches and batches go on meanwhile.

    `current` returns the rows, and whether they may be searched yet. A graph
    is never changed, so the one that was saved is right whenever the process ends.
    """

    def __init__(
        self,
        space_id: str,
        current: Callable[[], tuple[Rows, bool]],
        files: GraphFiles,
        engine: Engine,
        threads: Threads,
        policy: GraphPolicy,
    ) -> None:
        self.files = files
        self.save_time: datetime | None = None
        self._space_id = space_id
        self._current = current
        self._engine = engine
        self._threads = threads
        self._policy = policy
        self._changed = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "GraphKeeper":
        self._keeping = asyncio.create_task(self._keep())
        self.check()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])

    def check(self) -> None:
        """Have a look, soon, whether a graph is due."""
        self._changed.set()

    async def drop(self) -> None:
        """Forget the saved graph: there are other rows, or too few."""
        self.save_time = None
        await self._threads.build(self.files.remove)

    async def _keep(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                while self._is_due():
                    await self._renew()
            except BuildCancelled:
                if self._threads.is_stopping():
                    return
            except Exception:
                log.error("graph not built", space=self._space_id, exc_info=True)
                await asyncio.sleep(_RETRY_SECONDS)
                self.check()

    def _is_due(self) -> bool:
        rows, is_ready = self._current()
        snapshot = rows.snapshot
        return self._policy.is_due(
            graph_rows=snapshot.graph_rows,
            dead_rows=rows.dead_graph_rows,
            recent_rows=snapshot.slots - snapshot.graph_rows,
            is_ready=is_ready,
        )

    async def _renew(self) -> None:
        started = time.perf_counter()
        rows, _ = self._current()
        snapshot = rows.snapshot
        slots = snapshot.alive_slots()
        if not self._policy.deserves_graph(len(slots)):
            rows.compact()
            await self.drop()
            return
        vector_ids = rows.vector_ids_of(slots)

        def is_cancelled() -> bool:
            return self._threads.is_stopping() or self._current()[0] is not rows

        built = await self._threads.build(
            lambda: build_graph(
                self._engine,
                self._policy.parameters,
                snapshot,
                slots,
                vector_ids,
                is_cancelled,
            )
        )
        if self._current()[0] is not rows:  # dropped just before the end
            return
        rows.install(built)
        seconds = round(time.perf_counter() - started, 2)
        log.info("graph built", space=self._space_id, vectors=len(slots), seconds=seconds)
        try:
            self.save_time = await self._threads.build(
                lambda: self.files.save(built.graph, vector_ids, rows.incarnation)
            )
        except Exception:
            log.error("graph not saved", space=self._space_id, exc_info=True)
