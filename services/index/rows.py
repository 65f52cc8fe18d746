"""The rows of a collection in memory, and the snapshots of them that searches read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.index.categories import DEAD, INACTIVE, Categories
from services.index.engines.protocol import Graph
from services.index.model import Batch, Columns, Matrix
from services.index.snapshot import Codes, Snapshot

_MIN_CAPACITY = 64

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class BuiltGraph:
    """A graph over the rows that were alive in a snapshot."""

    graph: Graph
    # By position in the graph.
    vector_ids: NDArray[np.int64]
    product_ids: list[str]
    slots: dict[str, int]
    # Where its rows were in the snapshot, and how many slots that one had.
    source_slots: NDArray[np.int64]
    source_end: int


class Rows:
    """Changed by one thread. Searches hold `snapshot`, which no later change touches:
    what it covers is replaced, and new rows go behind its end.
    """

    def __init__(self, dimensions: int, incarnation: str) -> None:
        # Names these rows: their vector ids mean nothing under another one.
        self.incarnation = incarnation
        self._categories = Categories()
        self._graph: Graph | None = None
        # A product is in the second if its row is recent. What the first says
        # holds only for rows that are not dead.
        self._graph_slots: dict[str, int] = {}
        self._recent_slots: dict[str, int] = {}
        self._product_ids: list[str] = []
        self._vector_ids = np.empty(_MIN_CAPACITY, dtype=np.int64)
        self._codes: Codes = np.empty(_MIN_CAPACITY, dtype=np.int32)
        self._recent: Matrix = np.empty((_MIN_CAPACITY, dimensions), dtype=np.float32)
        self._alive = 0
        self._publish(0)

    @property
    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        return self._snapshot

    @property
    def memory_bytes(self) -> int:
        """Memory of vectors, graph and columns, but not of the ids."""
        arrays = self._recent.nbytes + self._codes.nbytes + self._vector_ids.nbytes
        return arrays + (self._graph.memory_bytes if self._graph is not None else 0)

    @property
    def dead_graph_rows(self) -> int:
        """Rows of the graph that are not in the collection any more."""
        graph_rows = self._snapshot.graph_rows
        return graph_rows - (self._alive - len(self._recent_slots))

    def slot_of(self, product_id: str) -> int | None:
        """Return where the product's row is in the snapshot; None if it has none."""
        slot = self._recent_slots.get(product_id)
        if slot is None:
            slot = self._graph_slots.get(product_id)
            if slot is not None and self._codes[slot] == DEAD:
                return None
        return slot

    def vector_ids_of(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the vector ids of slots."""
        return self._vector_ids[slots]

    def load(
        self,
        revision: int,
        graph: Graph | None,
        graph_rows: Iterable[tuple[int, str, str, bool]],
        recent_rows: Iterable[tuple[int, str, str, bool]],
        recent: Matrix,
    ) -> None:
        """Begin with what was stored: rows as (vector id, product, category, active).

        Those of the graph are in its order; a vector id of 0 stands for a dead one.
        """
        rows = [*graph_rows, *recent_rows]
        border = len(rows) - len(recent)
        self._graph = graph
        self._product_ids = [row[1] for row in rows]
        self._vector_ids = np.array([row[0] for row in rows], dtype=np.int64)
        self._codes = np.array(
            [self._code(row[2], row[3]) if row[0] else DEAD for row in rows], dtype=np.int32
        )
        self._recent = recent
        self._graph_slots = {row[1]: slot for slot, row in enumerate(rows[:border]) if row[0]}
        self._recent_slots = {row[1]: slot for slot, row in enumerate(rows[border:], start=border)}
        self._alive = len(self._graph_slots) + len(self._recent_slots)
        self._publish(revision)

    def apply(self, batch: Batch, vector_ids: NDArray[np.int64]) -> None:
        """Apply a batch that is durable; `vector_ids` are those of its embedded rows."""
        replaced = (*batch.removed, *(columns.product_id for columns, _ in batch.embedded))
        codes = {slot: DEAD for id_ in replaced if (slot := self._forget(id_)) is not None}
        for columns in batch.retained:
            slot = self.slot_of(columns.product_id)
            if slot is not None:
                codes[slot] = self._code_of(columns)
        if codes:
            # the running searches keep the old ones
            self._codes = self._codes.copy()
            self._codes[list(codes)] = list(codes.values())
        self._append(batch, vector_ids)
        self._publish(batch.revision)

    def install(self, built: BuiltGraph) -> None:
        """Take a graph built from an earlier snapshot; what changed since is kept."""
        before = self._snapshot
        later = before.alive_slots()
        later = later[later >= built.source_end]
        recent = before.gather(later)
        self._vector_ids = np.concatenate([built.vector_ids, self._vector_ids[later]])
        # the graph's rows as they are now: some died, some moved to another category
        self._codes = np.concatenate([self._codes[built.source_slots], self._codes[later]])
        later_ids = [self._product_ids[slot] for slot in later.tolist()]
        self._product_ids = built.product_ids + later_ids
        self._graph = built.graph
        self._graph_slots = built.slots
        self._recent_slots = {
            product_id: slot for slot, product_id in enumerate(later_ids, start=built.graph.rows)
        }
        self._recent = recent
        self._publish(before.revision)

    def compact(self) -> None:
        """Go on without a graph, and without the dead rows."""
        before = self._snapshot
        alive = before.alive_slots()
        self._recent = before.gather(alive)
        self._vector_ids = self._vector_ids[alive]
        self._codes = self._codes[alive]
        self._product_ids = [self._product_ids[slot] for slot in alive.tolist()]
        self._graph = None
        self._graph_slots = {}
        self._recent_slots = {id_: slot for slot, id_ in enumerate(self._product_ids)}
        self._publish(before.revision)

    def _code(self, category: str, is_active: bool) -> int:
        return self._categories.code_of(category) if is_active else INACTIVE

    def _code_of(self, columns: Columns) -> int:
        return self._code(columns.category, columns.is_active)

    def _forget(self, product_id: str) -> int | None:
        slot = self.slot_of(product_id)
        if slot is not None:
            self._alive -= 1
            self._recent_slots.pop(product_id, None)
        return slot

    def _append(self, batch: Batch, vector_ids: NDArray[np.int64]) -> None:
        if not batch.embedded:
            return
        start = len(self._product_ids)
        end = start + len(batch.embedded)
        graph_rows = self._snapshot.graph_rows
        self._vector_ids = _with_room(self._vector_ids, start, end)
        self._codes = _with_room(self._codes, start, end)
        self._recent = _with_room(self._recent, start - graph_rows, end - graph_rows)
        self._vector_ids[start:end] = vector_ids
        for slot, (columns, vector) in enumerate(batch.embedded, start=start):
            self._codes[slot] = self._code_of(columns)
            self._recent[slot - graph_rows] = vector
            self._product_ids.append(columns.product_id)
            self._recent_slots[columns.product_id] = slot
        self._alive += len(batch.embedded)

    def _publish(self, revision: int) -> None:
        graph_rows = self._graph.rows if self._graph is not None else 0
        slots = len(self._product_ids)
        self._snapshot = Snapshot(
            revision=revision,
            vectors=self._alive,
            graph=self._graph,
            recent=self._recent[: slots - graph_rows],
            product_ids=self._product_ids,
            codes=self._codes[:slots],
            categories=self._categories,
        )


def _with_room(array: NDArray[T], used: int, needed: int) -> NDArray[T]:
    if needed <= len(array):
        return array
    shape = (max(needed, 2 * used, _MIN_CAPACITY), *array.shape[1:])
    grown = np.empty(shape, dtype=array.dtype)
    grown[:used] = array[:used]
    return grown
