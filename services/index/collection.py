"""A collection: the rows of one space, durable and searchable."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import TracebackType

import numpy as np

from services.common.errors import NotFound
from services.common.filters import Node
from services.common.telemetry import get_logger
from services.index.arrival import Arrivals
from services.index.attribute_keeper import AttributeKeeper
from services.index.cells import Slots
from services.index.engines.protocol import Engine
from services.index.graph_files import GraphFiles
from services.index.graph_keeper import GraphKeeper
from services.index.loading import load_rows
from services.index.masks import attributes_of
from services.index.model import (
    FEEDBACK_WEIGHT,
    UNLIKE_WEIGHT,
    Batch,
    Found,
    Matrix,
    Space,
    Vector,
    moved,
)
from services.index.policy import GraphPolicy
from services.index.progress import Progress
from services.index.recall import CheckedRecall, Recall
from services.index.recall_keeper import RecallKeeper
from services.index.rows import Rows
from services.index.snapshot import NO_SLOT, Snapshot
from services.index.stores.protocol import DamagedState, StateStore
from services.index.threads import Threads

log = get_logger()

# How wide a graph is walked, at the least, for the products that a query is moved towards.
_ROUGH_EF = 96


class Collection:
    """Applies batches, one after the other, and answers searches meanwhile.

    A batch is searchable as soon as it is durable, and never before.
    """

    def __init__(
        self,
        space: Space,
        store: StateStore,
        files: GraphFiles,
        engine: Engine,
        threads: Threads,
        policy: GraphPolicy,
    ) -> None:
        self.space = space
        self.progress = Progress()
        self.catalog_id = ""
        self.is_ready = False
        self._store = store
        self._engine = engine
        self._threads = threads
        self._policy = policy
        # for what only leads the way
        self._rough_policy = replace(policy, ef_search=min(policy.ef_search, _ROUGH_EF))
        self._rows = Rows(space.dimensions, incarnation="")
        self._recall = RecallKeeper(
            space.id, lambda: (self.snapshot, self.is_ready), engine, threads, policy
        )
        self._graphs = GraphKeeper(
            space.id,
            lambda: (self._rows, self.is_ready),
            files,
            engine,
            threads,
            policy,
            on_new_graph=self._recall.measure,
        )
        self._writing = asyncio.Lock()
        self._attributes = AttributeKeeper(lambda: self._rows, store, threads, self._writing)
        # Those who wait until more of the catalog is applied.
        self.arrivals = Arrivals(space.id, lambda: (self.applied_revision, self.is_ready))

    async def __aenter__(self) -> "Collection":
        try:
            try:
                await self._load()
            except DamagedState as damage:
                await self._begin_again(str(damage))
        except BaseException:
            await self._store.close()
            raise
        await self._graphs.__aenter__()
        self._recall.measure()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.arrivals.drain()
        await self._recall.aclose()
        await self._graphs.__aexit__(kind, error, trace)
        await self._attributes.aclose()
        async with self._writing:
            await self._store.close()

    @property
    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        return self._rows.snapshot

    @property
    def applied_revision(self) -> int:
        """Up to here the collection reflects the catalog, durably."""
        return self.snapshot.revision

    @property
    def graph_save_time(self) -> datetime | None:
        """When the graph was last saved."""
        return self._graphs.save_time

    @property
    def recall(self) -> Recall | None:
        """Of the graph as it was last built or loaded, without a filter."""
        return self._recall.measured

    @property
    def memory_bytes(self) -> int:
        """Memory of vectors, graph and columns."""
        return self._rows.memory_bytes

    async def search(
        self,
        query: Vector,
        limit: int,
        passing: Node | None,
        min_revision: int,
        *,
        feedback_products: int = 0,
    ) -> Found:
        """Find active rows near a vector that pass a filter, at `min_revision` or later.

        With feedback the vector is moved towards so many nearest rows before.
        """
        snapshot = await self._snapshot_for(passing, min_revision)

        def find() -> Found:
            near = query
            if feedback_products:
                nearest = snapshot.nearest(
                    self._engine, self._rough_policy, query, feedback_products, passing
                )
                near = moved(query, snapshot.gather(nearest.slots), FEEDBACK_WEIGHT)
            return snapshot.search(self._engine, self._policy, near, limit, passing)

        return await self._threads.search(find)

    async def similar(
        self,
        product_id: str,
        unlike_ids: Sequence[str],
        limit: int,
        passing: Node | None,
        min_revision: int,
    ) -> Found:
        """Find active rows near a stored row, away from others, without any of these."""
        snapshot = await self._snapshot_for(passing, min_revision)
        own = self._held_slots("product_id", [product_id])
        unlike = self._held_slots("unlike", unlike_ids)

        def find() -> Found:
            query = moved(snapshot.gather(own)[0], snapshot.gather(unlike), UNLIKE_WEIGHT)
            without = np.concatenate([own, unlike])
            return snapshot.search(
                self._engine, self._policy, query, limit, passing, without_slots=without
            )

        return await self._threads.search(find)

    async def vectors(self, product_ids: Sequence[str]) -> tuple[Matrix, int]:
        """Return a row for each product, zeros for those that are not held; and the revision."""
        self.arrivals.refuse_unless_ready()
        snapshot, slots = self.snapshot, self._rows.slots_of(product_ids)
        return await self._threads.search(lambda: snapshot.gather(slots)), snapshot.revision

    async def check_recall(
        self, queries: Matrix | None, sample: int, k: int, passing: Node | None
    ) -> CheckedRecall:
        """Measure recall with queries, or with a sample of stored vectors; see `check_recall`."""
        return await self._recall.check(
            await self._snapshot_for(passing, 0), queries, sample, k, passing
        )

    def _held_slots(self, field: str, product_ids: Sequence[str]) -> Slots:
        slots = self._rows.slots_of(product_ids)
        if NO_SLOT in slots:
            raise NotFound(f"{field}: no such product", reason="PRODUCT_NOT_FOUND")
        return slots

    async def text_hashes(self, product_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Return the hashes of the texts that the products' vectors are of."""
        return await self._store.text_hashes(product_ids)

    async def apply(self, batch: Batch) -> None:
        """Make a batch durable, then searchable. If it raises, nothing has changed."""
        writing = asyncio.create_task(self._apply(batch))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # the store goes on with it, so the rows in memory must follow
            await asyncio.wait([writing])
            raise

    async def drop_content(self) -> None:
        """Begin again with nothing, as another catalog wants it."""
        async with self._writing:
            self._rows = Rows(self.space.dimensions, await self._store.clear())
            self.catalog_id = ""
            self.is_ready = False
            self._recall.forget()
            self._announce()
        await self._graphs.drop()

    async def begin_again(self) -> None:
        """Put what is stored aside, as it is damaged, and begin with nothing."""
        async with self._writing:
            await self._begin_again("found while it was used")
            self._announce()

    async def _begin_again(self, problem: str) -> None:
        log.error("state damaged, begun again", space=self.space.id, problem=problem)
        await self._store.close()
        await self._store.move_aside()
        await self._load()

    async def _apply(self, batch: Batch) -> None:
        async with self._writing:
            vector_ids = await self._store.apply(batch)
            self._rows.apply(batch, vector_ids)
            self.catalog_id = batch.catalog_id
            if batch.is_at_head and not self.is_ready:
                self.is_ready = True
                self._recall.measure()
                log.info("ready", space=self.space.id, revision=batch.revision)
            self._announce()

    def _announce(self) -> None:
        self.arrivals.announce()
        self._graphs.check()

    async def _snapshot_for(self, passing: Node | None, min_revision: int) -> Snapshot:
        """Return the rows as they are when this returns, with the columns that a filter needs."""
        await self.arrivals.reach(min_revision)
        names = attributes_of(passing)
        while not self._attributes.has(names):
            await self._attributes.make(names)
            # meanwhile the content may have been dropped
            await self.arrivals.reach(min_revision)
        return self.snapshot

    async def _load(self) -> None:
        started = time.perf_counter()
        await self._store.open()
        state = await self._store.state()
        self._rows = await load_rows(state, self._store, self._graphs, self._threads)
        self.catalog_id = state.catalog_id
        self.is_ready = state.has_been_ready
        self.progress.head_revision = state.applied_revision
        log.info(
            "collection opened",
            space=self.space.id,
            revision=state.applied_revision,
            vectors=self.snapshot.vectors,
            graph_vectors=self.snapshot.graph_rows,
            is_ready=self.is_ready,
            ms=round((time.perf_counter() - started) * 1000),
        )
