"""The rows of a collection in memory, and the snapshots of them that searches read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.index.attributes import AttributeColumn
from services.index.categories import DEAD, INACTIVE, Categories
from services.index.cells import Cells, with_room
from services.index.columns import FilterColumns
from services.index.engines.protocol import Graph
from services.index.model import Batch, Columns, Matrix
from services.index.snapshot import NO_SLOT, Snapshot


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


class LoadedRow(NamedTuple):
    """A row as it was stored, without its vector and its attributes."""

    # 0 stands for a row of the graph that is not in the collection any more.
    vector_id: int
    product_id: str
    category: str
    brand: str
    price_e4: int | None
    stock: int | None
    is_active: bool


class Rows:
    """Changed by one thread. Searches hold `snapshot`, which no later change touches:
    what it covers is replaced, and new rows go behind its end.
    """

    _snapshot: Snapshot

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
        self._vector_ids: Cells[np.int64] = Cells(np.empty(0, dtype=np.int64))
        self._codes: Cells[np.int32] = Cells(np.empty(0, dtype=np.int32))
        self._columns = FilterColumns()
        self._recent: Matrix = np.empty((0, dimensions), dtype=np.float32)
        self._alive = 0
        self._publish(0)

    @property
    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        return self._snapshot

    @property
    def memory_bytes(self) -> int:
        """Memory of vectors, graph and columns, but not of the ids."""
        cells = self._codes.memory_bytes + self._vector_ids.memory_bytes
        arrays = self._recent.nbytes + cells + self._columns.memory_bytes
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

    def slots_of(self, product_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return `slot_of` for many, in their order; NO_SLOT for products without a row."""
        recent, graph = self._recent_slots, self._graph_slots
        slots = np.array(
            [recent[id_] if id_ in recent else graph.get(id_, NO_SLOT) for id_ in product_ids],
            dtype=np.int64,
        )
        found = np.flatnonzero(slots != NO_SLOT)
        is_dead = self._snapshot.codes[slots[found]] == DEAD
        slots[found[is_dead]] = NO_SLOT
        return slots

    @property
    def vector_ids(self) -> NDArray[np.int64]:
        """Vector ids by slot; of dead rows they mean nothing."""
        return self._vector_ids.view(self._snapshot.slots)

    def vector_ids_of(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the vector ids of slots."""
        return self._vector_ids.view(len(self._product_ids))[slots]

    def load(
        self,
        revision: int,
        graph: Graph | None,
        graph_rows: Iterable[LoadedRow],
        recent_rows: Iterable[LoadedRow],
        recent: Matrix,
    ) -> None:
        """Begin with what was stored; the rows of the graph are in its order."""
        rows = [*graph_rows, *recent_rows]
        border = len(rows) - len(recent)
        self._graph = graph
        self._product_ids = [row.product_id for row in rows]
        self._vector_ids.append(0, [row.vector_id for row in rows])
        self._codes.append(
            0, [self._code(row.category, row.is_active) if row.vector_id else DEAD for row in rows]
        )
        self._columns.load([(row.brand, row.price_e4, row.stock) for row in rows])
        self._recent = recent
        self._graph_slots = {
            row.product_id: slot for slot, row in enumerate(rows[:border]) if row.vector_id
        }
        self._recent_slots = {
            row.product_id: slot for slot, row in enumerate(rows[border:], start=border)
        }
        self._alive = len(self._graph_slots) + len(self._recent_slots)
        self._publish(revision)

    def apply(self, batch: Batch, vector_ids: NDArray[np.int64]) -> None:
        """Apply a batch that is durable; `vector_ids` are those of its embedded rows."""
        replaced = (*batch.removed, *(columns.product_id for columns, _ in batch.embedded))
        codes = {slot: DEAD for id_ in replaced if (slot := self._forget(id_)) is not None}
        retained: dict[int, Columns] = {}
        for columns in batch.retained:
            slot = self.slot_of(columns.product_id)
            if slot is not None:
                codes[slot] = self._code_of(columns)
                retained[slot] = columns
        self._codes.replace(codes)
        self._columns.replace(retained, len(self._product_ids))
        self._append(batch, vector_ids)
        self._publish(batch.revision)

    def install(self, built: BuiltGraph) -> None:
        """Take a graph built from an earlier snapshot; what changed since is kept."""
        before = self._snapshot
        later = before.alive_slots()
        later = later[later >= built.source_end]
        recent = before.gather(later)
        # the graph's rows as they are now: some died, some changed
        self._take(np.concatenate([built.source_slots, later]))
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
        self._take(alive)
        self._product_ids = [self._product_ids[slot] for slot in alive.tolist()]
        self._graph = None
        self._graph_slots = {}
        self._recent_slots = {id_: slot for slot, id_ in enumerate(self._product_ids)}
        self._publish(before.revision)

    def keep_attributes(
        self, columns: Mapping[str, AttributeColumn], wanted: Iterable[str]
    ) -> None:
        """Take columns of attributes, made for the snapshot as it is; see `FilterColumns.keep`."""
        self._columns.keep(columns, frozenset(wanted))
        # the rows are the same, so the masks that are known hold
        self._snapshot = replace(self._snapshot, columns=self._columns.view(self._snapshot.slots))

    def use_attributes(self, names: Iterable[str]) -> None:
        """Note that attributes, which have columns, are used."""
        self._columns.use(names)

    def _take(self, slots: NDArray[np.int64]) -> None:
        self._vector_ids.take(slots)
        self._codes.take(slots)
        self._columns.take(slots)

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
        graph_rows = self._graph.rows if self._graph is not None else 0
        rows = [columns for columns, _ in batch.embedded]
        self._vector_ids.append(start, vector_ids)
        self._codes.append(start, [self._code_of(columns) for columns in rows])
        self._columns.append(start, rows)
        self._recent = with_room(self._recent, start - graph_rows, end - graph_rows)
        for slot, (columns, vector) in enumerate(batch.embedded, start=start):
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
            codes=self._codes.view(slots),
            categories=self._categories,
            columns=self._columns.view(slots),
        )
