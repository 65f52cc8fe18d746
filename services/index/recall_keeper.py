"""Measures a collection's recall, when it is asked to and after each new graph."""

import asyncio
import threading
from collections.abc import Callable

from services.common.filters import Node
from services.common.telemetry import get_logger
from services.index.engines.protocol import Engine
from services.index.model import Matrix
from services.index.policy import GraphPolicy
from services.index.recall import (
    CheckCancelled,
    CheckedRecall,
    Recall,
    check_recall,
    sampled_queries,
)
from services.index.snapshot import Snapshot
from services.index.threads import Threads

log = get_logger()

# After each new graph. A query takes a scan of all rows, in a thread of low priority.
_QUERIES = 100
_K = 10


class RecallKeeper:
    """`current` returns the rows, and whether they may be searched yet."""

    def __init__(
        self,
        space_id: str,
        current: Callable[[], tuple[Snapshot, bool]],
        engine: Engine,
        threads: Threads,
        policy: GraphPolicy,
    ) -> None:
        self.measured: Recall | None = None
        self._space_id = space_id
        self._current = current
        self._engine = engine
        self._threads = threads
        self._policy = policy
        self._measuring: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        """Give up what is under way."""
        if self._measuring is not None:
            self._measuring.cancel()
            await asyncio.wait([self._measuring])

    def measure(self) -> None:
        """Measure the graph that there is now in the background, if there is one to search."""
        snapshot, is_ready = self._current()
        if snapshot.segments and is_ready:
            self._stop()
            self._measuring = asyncio.create_task(self._measure(snapshot))

    def forget(self) -> None:
        """Forget what was measured: there are other rows."""
        self._stop()
        self.measured = None

    async def check(
        self,
        snapshot: Snapshot,
        queries: Matrix | None,
        sample: int,
        k: int,
        passing: Node | None,
    ) -> CheckedRecall:
        """Measure with queries, or with a sample of stored vectors; ends with its caller."""
        is_given_up = threading.Event()

        def is_cancelled() -> bool:
            return is_given_up.is_set() or self._threads.is_stopping()

        def check() -> CheckedRecall:
            near = queries
            if near is None:
                near = sampled_queries(snapshot, sample, seed=snapshot.revision)
            return check_recall(
                snapshot, self._engine, self._policy, near, k, passing, is_cancelled
            )

        try:
            return await self._threads.check(check)
        finally:
            is_given_up.set()

    async def _measure(self, snapshot: Snapshot) -> None:
        try:
            checked = await self.check(snapshot, None, _QUERIES, _K, None)
        except CheckCancelled:
            return
        except Exception:
            log.error("recall not measured", space=self._space_id, exc_info=True)
            return
        self.measured = checked.recall
        log.info("recall measured", space=self._space_id, recall=round(self.measured.recall, 3))

    def _stop(self) -> None:
        if self._measuring is not None:
            self._measuring.cancel()
