"""Columns of attributes, made when a filter first names them."""

import asyncio
import time
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from services.common.telemetry import get_logger
from services.index.attributes import AttributeColumn, Value
from services.index.rows import Rows
from services.index.stores.protocol import StateStore
from services.index.threads import Threads

log = get_logger()


class AttributeKeeper:
    """Makes columns from what is stored. From then on, batches keep them right.

    Products have many more attributes than filters name, and in memory all of
    them would be larger than the vectors. So the first use of one reads those
    of every row in the store, off the event loop: with 100 attributes a product
    some 0.2 s for 20,000 products, and 10 s for a million. A search with a
    shorter deadline fails then; the reading goes on, and the next one has it.
    A name that no product has ever had is not looked for. Searches that need no
    new column go on meanwhile. Batches wait, so that the rows in memory and
    those in the store are the same.
    """

    def __init__(
        self,
        current: Callable[[], Rows],
        store: StateStore,
        threads: Threads,
        writing: asyncio.Lock,
    ) -> None:
        self._current = current
        self._store = store
        self._threads = threads
        self._writing = writing
        self._makings: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Give up what is under way."""
        for making in self._makings:
            making.cancel()
        if self._makings:
            await asyncio.wait(self._makings)

    def has(self, names: frozenset[str]) -> bool:
        """Whether the snapshot has columns of these attributes; they count as used then."""
        rows = self._current()
        if not names <= rows.snapshot.columns.attributes.keys():
            return False
        rows.use_attributes(names)
        return True

    async def make(self, names: frozenset[str]) -> None:
        """Make the columns that are missing.

        It goes on when its caller is gone: the next search has them then.
        """
        making = asyncio.create_task(self._make(names))
        self._makings.add(making)
        making.add_done_callback(self._makings.discard)
        await asyncio.shield(making)

    async def _make(self, names: frozenset[str]) -> None:
        async with self._writing:
            rows = self._current()
            missing = sorted(names - rows.snapshot.columns.attributes.keys())
            if not missing:  # made for another search
                return
            started = time.perf_counter()
            stored = await self._stored(missing)
            while True:
                snapshot = rows.snapshot
                row_ids = rows.vector_ids
                columns = await self._threads.search(lambda: _columns(row_ids, stored))  # noqa: B023
                # a new graph may have moved the rows
                if rows.snapshot is snapshot:
                    break
            rows.keep_attributes(columns, names)
            log.info(
                "attributes read",
                attributes=missing,
                ms=round((time.perf_counter() - started) * 1000),
            )

    async def _stored(self, names: list[str]) -> Mapping[str, tuple[list[int], list[Value]]]:
        stored: dict[str, tuple[list[int], list[Value]]] = {name: ([], []) for name in names}
        async for part in self._store.attributes(names):
            for name, found in part.items():
                ids, values = stored[name]
                ids += found.vector_ids
                values += found.values
        return stored


def _columns(
    row_ids: NDArray[np.int64], stored: Mapping[str, tuple[list[int], list[Value]]]
) -> dict[str, AttributeColumn]:
    return {
        name: AttributeColumn.gathered(row_ids, np.array(ids, dtype=np.int64), values)
        for name, (ids, values) in stored.items()
    }
