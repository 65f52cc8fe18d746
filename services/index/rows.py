"""The rows of a collection in memory, and the snapshots of them that searches read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.index.attributes import AttributeColumn
from services.index.categories import DEAD, INACTIVE, Categories
from services.index.cells import Cells, Slots, with_room
from services.index.columns import FilterColumns
from services.index.model import Batch, Matrix
from services.index.segments import Segment
from services.index.snapshot import NO_SLOT, Snapshot
from services.index.stores.protocol import StoredRows


@dataclass(frozen=True, eq=False)
class BuiltSegment:
    """A segment in place of others, or of recent rows, of an earlier snapshot."""

    segment: Segment
    # Neighbours; none: it stands behind all of them.
    replaced: tuple[Segment, ...]
    # Of the recent rows it holds those that are alive of the first so many.
    recent_rows: int
    recent_ids: Sequence[str]
    # By position: where the row was, counted from where the replaced begin. Ascending.
    sources: Slots


class Rows:
    """Changed by one thread. Searches hold `snapshot`, which no later change touches:
    what it covers is replaced, and new rows go behind its end.

    Vector ids ascend with the slots.
    """

    _snapshot: Snapshot

    def __init__(self, dimensions: int, incarnation: str) -> None:
        # Names these rows: their vector ids mean nothing under another one.
        self.incarnation = incarnation
        self._categories = Categories()
        self._segments: tuple[Segment, ...] = ()
        # Of each segment, the rows that are not in the collection any more.
        self._dead: list[int] = []
        self._recent: Matrix = np.empty((0, dimensions), dtype=np.float32)
        self._recent_ids: list[str] = []
        # Positions of the recent rows that are not dead.
        self._recent_positions: dict[str, int] = {}
        self._vector_ids: Cells[np.int64] = Cells(np.empty(0, dtype=np.int64))
        self._codes: Cells[np.int32] = Cells(np.empty(0, dtype=np.int32))
        self._columns = FilterColumns()
        self._alive = 0
        self._version = 0
        self._publish(0)

    @property
    def snapshot(self) -> Snapshot:
        """The rows as they are now."""
        return self._snapshot

    @property
    def memory_bytes(self) -> int:
        """Memory of vectors, graphs, columns and ids."""
        cells = self._codes.memory_bytes + self._vector_ids.memory_bytes
        graphs = sum(
            segment.graph.memory_bytes + segment.ids.memory_bytes for segment in self._segments
        )
        return self._recent.nbytes + cells + self._columns.memory_bytes + graphs

    @property
    def dead_rows(self) -> Sequence[int]:
        """Of each segment, how many rows are not in the collection any more."""
        return tuple(self._dead)

    def slots_of(self, product_ids: Sequence[str]) -> Slots:
        """Return where products' rows are in the snapshot, in their order; NO_SLOT without one."""
        slots = np.full(len(product_ids), NO_SLOT, dtype=np.int64)
        for start, segment in self._snapshot.starts():
            places, positions = segment.ids.find(product_ids)
            is_alive = self._snapshot.codes.read(positions + start) != DEAD
            slots[places[is_alive]] = positions[is_alive] + start
        graph_rows = self._snapshot.graph_rows
        for place, product_id in enumerate(product_ids):
            position = self._recent_positions.get(product_id)
            if position is not None:
                slots[place] = graph_rows + position
        return slots

    @property
    def vector_ids(self) -> NDArray[np.int64]:
        """Vector ids by slot; of dead rows too."""
        return self._vector_ids.view(self._snapshot.slots).read(slice(None))

    def begin(self, vector_ids: NDArray[np.int64]) -> None:
        """Begin with rows of graphs, whose vector ids these are; until placed they are dead."""
        self._vector_ids.append(0, vector_ids)
        self._codes.append(0, np.full(len(vector_ids), DEAD))
        self._columns.begin(len(vector_ids))

    def place(self, slots: Slots, rows: StoredRows) -> None:
        """Set the columns of rows that lie in graphs."""
        self._codes.write(slots, list(map(self._code, rows.categories, rows.is_active)))
        self._columns.place(slots, rows.brands, rows.prices_e4, rows.stocks)
        self._alive += len(slots)

    def finish(
        self,
        revision: int,
        segments: Sequence[Segment],
        recent: Sequence[tuple[StoredRows, Matrix]],
    ) -> None:
        """Add the segments, after all their rows were placed, and those that are in none."""
        self._segments = tuple(segments)
        start = sum(segment.rows for segment in segments)
        for rows, vectors in recent:
            self._vector_ids.append(start, rows.vector_ids)
            codes = map(self._code, rows.categories, rows.is_active)
            self._codes.append(start, list(codes))
            self._columns.add(start, rows.brands, rows.prices_e4, rows.stocks)
            position = len(self._recent_ids)
            self._recent = with_room(self._recent, position, position + len(vectors))
            self._recent[position : position + len(vectors)] = vectors
            self._add_recent(rows.product_ids)
            start += len(vectors)
        self._publish(revision)
        self._count_dead()

    def apply(self, batch: Batch, vector_ids: NDArray[np.int64]) -> None:
        """Apply a batch that is durable; `vector_ids` are those of its embedded rows."""
        self._version += 1
        replaced = [*batch.removed, *(columns.product_id for columns, _ in batch.embedded)]
        dead = self.slots_of(replaced)
        dead = dead[dead != NO_SLOT]
        retained = self.slots_of([columns.product_id for columns in batch.retained])
        is_there = retained != NO_SLOT
        rows = [row for row, there in zip(batch.retained, is_there, strict=True) if there]
        slots = retained[is_there]
        codes = [self._code(row.category, row.is_active) for row in rows]
        self._codes.replace(np.concatenate([dead, slots]), [DEAD] * len(dead) + codes)
        self._columns.replace(slots, rows, self._snapshot.slots)
        self._alive -= len(dead)
        self._note(np.concatenate([dead, slots]))
        for place, (start, segment) in enumerate(self._snapshot.starts()):
            is_here = (dead >= start) & (dead < start + segment.rows)
            self._dead[place] += int(np.count_nonzero(is_here))
        for product_id in replaced:
            self._recent_positions.pop(product_id, None)
        self._append(batch, vector_ids)
        self._publish(batch.revision)

    def install(self, built: BuiltSegment) -> bool:
        """Take a segment built from an earlier snapshot; what changed since is kept.

        Return False, and change nothing, if what it replaces is not there any more.
        """
        before = self._snapshot
        first = len(self._segments)
        if built.replaced:
            first = next(
                (n for n, segment in enumerate(self._segments) if segment is built.replaced[0]), 0
            )
        end = first + len(built.replaced)
        if self._segments[first:end] != built.replaced:
            return False
        if built.recent_rows and (
            end != len(self._segments) or built.recent_ids is not self._recent_ids
        ):
            return False
        self._version += 1
        start = sum(segment.rows for segment in self._segments[:first])
        behind = start + sum(segment.rows for segment in built.replaced) + built.recent_rows
        self._take(
            np.concatenate(
                [np.arange(start), built.sources + start, np.arange(behind, before.slots)]
            )
        )
        self._segments = (*self._segments[:first], built.segment, *self._segments[end:])
        if built.recent_rows:
            self._drop_recent(built.recent_rows)
        self._publish(before.revision)
        self._count_dead()
        return True

    def compact(self) -> None:
        """Go on without graphs, and without the dead rows."""
        before = self._snapshot
        alive = before.alive_slots()
        self._version += 1
        self._recent = before.gather(alive)
        self._take(alive)
        self._segments = ()
        self._dead = []
        self._recent_ids = before.ids_of(alive)
        self._recent_positions = {id_: place for place, id_ in enumerate(self._recent_ids)}
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

    def _take(self, slots: Slots) -> None:
        self._vector_ids.take(slots)
        self._codes.take(slots)
        self._columns.take(slots)

    def _code(self, category: str, is_active: bool) -> int:
        return self._categories.code_of(category) if is_active else INACTIVE

    def _note(self, slots: Slots) -> None:
        for start, segment in self._snapshot.starts():
            positions = slots[(slots >= start) & (slots < start + segment.rows)] - start
            if len(positions):
                segment.masks.note(self._version, positions)

    def _count_dead(self) -> None:
        snapshot = self._snapshot
        self._dead = [
            segment.rows - len(snapshot.alive_slots(slice(start, start + segment.rows)))
            for start, segment in snapshot.starts()
        ]

    def _drop_recent(self, rows: int) -> None:
        """Drop the first recent rows, which lie in a segment now."""
        self._recent = self._recent[rows : len(self._recent_ids)].copy()
        self._recent_ids = self._recent_ids[rows:]
        self._recent_positions = {
            product_id: position - rows
            for product_id, position in self._recent_positions.items()
            if position >= rows
        }

    def _append(self, batch: Batch, vector_ids: NDArray[np.int64]) -> None:
        if not batch.embedded:
            return
        start = self._snapshot.slots
        position = len(self._recent_ids)
        rows = [columns for columns, _ in batch.embedded]
        self._vector_ids.append(start, vector_ids)
        self._codes.append(start, [self._code(row.category, row.is_active) for row in rows])
        self._columns.append(start, rows)
        self._recent = with_room(self._recent, position, position + len(rows))
        for place, (_, vector) in enumerate(batch.embedded, start=position):
            self._recent[place] = vector
        self._add_recent([row.product_id for row in rows])

    def _add_recent(self, product_ids: Sequence[str]) -> None:
        first = len(self._recent_ids)
        self._recent_ids += product_ids
        for position, product_id in enumerate(product_ids, start=first):
            self._recent_positions[product_id] = position
        self._alive += len(product_ids)

    def _publish(self, revision: int) -> None:
        recent_rows = len(self._recent_ids)
        slots = sum(segment.rows for segment in self._segments) + recent_rows
        self._snapshot = Snapshot(
            version=self._version,
            revision=revision,
            vectors=self._alive,
            segments=self._segments,
            recent=self._recent[:recent_rows],
            recent_ids=self._recent_ids,
            codes=self._codes.view(slots),
            categories=self._categories,
            columns=self._columns.view(slots),
        )
