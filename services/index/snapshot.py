"""A collection as a search sees it: nothing in it changes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.common import filters
from services.common.filters import Node
from services.index.categories import DEAD, Categories
from services.index.cells import Slots, View
from services.index.columns import ColumnViews
from services.index.engines.protocol import Engine, Graph
from services.index.masks import Mask, mask_of
from services.index.model import Found, Matrix, Strategy, Vector
from services.index.policy import GraphPolicy, Way
from services.index.segments import Part, Positions, Segment

Codes = View[np.int32]

# Stands for a product without a row.
NO_SLOT = -1
_NO_SLOTS: Slots = np.empty(0, dtype=np.int64)


class Nearest(NamedTuple):
    """Rows, the nearest first, their cosines, and how they were found among those that pass."""

    slots: Slots
    cosines: Vector
    strategy: Strategy
    passing: int


class Passing(NamedTuple):
    """Which rows pass a filter: of each segment, and of the recent ones."""

    parts: tuple[Part, ...]
    recent: Part

    @property
    def passing(self) -> int:
        """How many rows pass."""
        return sum(part.passing for part in self.parts) + self.recent.passing


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Rows by slot: those of each segment by their positions in it, then the recent ones.

    `recent_ids` may grow behind the last slot; all else is as it was published.
    """

    # Grows with each change of rows.
    version: int
    revision: int
    # Rows that are in the collection, active or not.
    vectors: int
    segments: tuple[Segment, ...]
    recent: Matrix
    recent_ids: Sequence[str]
    # By slot: DEAD, INACTIVE or the category's code.
    codes: Codes
    categories: Categories
    columns: ColumnViews
    # Of the recent rows, by the canonical text of the filter.
    _recent_parts: dict[str, Part] = field(default_factory=dict, repr=False)

    @property
    def graph_rows(self) -> int:
        """Slots below are in a graph."""
        return self.slots - len(self.recent)

    @property
    def slots(self) -> int:
        """All rows, the dead ones too."""
        return len(self.codes)

    def starts(self) -> Iterator[tuple[int, Segment]]:
        """Yield each segment, after the slot that it begins at."""
        start = 0
        for segment in self.segments:
            yield start, segment
            start += segment.rows

    def alive_slots(self, slots: slice = slice(None)) -> Slots:
        """Return which of these slots have rows that are in the collection."""
        start, end, _ = slots.indices(self.slots)
        return np.flatnonzero(self.codes.read(slice(start, end)) != DEAD) + start

    def ids_of(self, slots: Slots) -> list[str]:
        """Return the product ids of slots, in their order."""
        parts = [(start, start + segment.rows, segment) for start, segment in self.starts()]
        if len(parts) == 1 and not len(self.recent):
            return self.segments[0].ids.at(slots)
        ids: list[str] = [""] * len(slots)
        for start, end, segment in parts:
            places = np.flatnonzero((slots >= start) & (slots < end))
            found = segment.ids.at(slots[places] - start)
            for place, id_ in zip(places.tolist(), found, strict=True):
                ids[place] = id_
        for place in np.flatnonzero(slots >= self.graph_rows).tolist():
            ids[place] = self.recent_ids[int(slots[place]) - self.graph_rows]
        return ids

    def gather(self, slots: Slots) -> Matrix:
        """Return the vectors of slots, in their order; zeros for NO_SLOT."""
        vectors = np.zeros((len(slots), self.recent.shape[1]), dtype=np.float32)
        is_recent = slots >= self.graph_rows
        vectors[is_recent] = self.recent[slots[is_recent] - self.graph_rows]
        for start, segment in self.starts():
            is_here = (slots >= start) & (slots < start + segment.rows)
            if is_here.any():
                vectors[is_here] = segment.graph.vectors(slots[is_here] - start)
        return vectors

    def passing(self, node: Node | None) -> Passing:
        """Return which rows are active and pass a filter, whose attributes all have columns."""
        key = "" if node is None else filters.canonical(node)
        parts = tuple(
            segment.masks.part(key, self.version, _Passes(self, node, start))
            for start, segment in self.starts()
        )
        recent = self._recent_parts.get(key)
        if recent is None:
            recent = Part.of(_Passes(self, node, self.graph_rows)(slice(0, len(self.recent))))
            self._recent_parts[key] = recent
        return Passing(parts, recent)

    def search(
        self,
        engine: Engine,
        policy: GraphPolicy,
        query: Vector,
        limit: int,
        passing: Node | None,
        *,
        without_slots: Slots = _NO_SLOTS,
    ) -> Found:
        """Find the nearest rows that pass, up to `limit`; see `nearest`."""
        found = self.nearest(engine, policy, query, limit, passing, without_slots=without_slots)
        return Found(
            product_ids=self.ids_of(found.slots),
            cosines=found.cosines.tolist(),
            revision=self.revision,
            strategy=found.strategy,
            vectors=self.vectors,
            passing=found.passing,
        )

    def nearest(
        self,
        engine: Engine,
        policy: GraphPolicy,
        query: Vector,
        limit: int,
        passing: Node | None,
        *,
        without_slots: Slots = _NO_SLOTS,
    ) -> Nearest:
        """Find the nearest rows that pass, up to `limit`; blocks.

        `without_slots` are never among them, though they count as passing.
        """
        found = self._found(engine, query, limit + len(without_slots), passing, policy)
        if not len(without_slots):
            return found
        stays = ~np.isin(found.slots, without_slots)
        return found._replace(
            slots=found.slots[stays][:limit], cosines=found.cosines[stays][:limit]
        )

    def scan(self, engine: Engine, query: Vector, limit: int, passing: Node | None) -> Nearest:
        """Find the nearest rows that pass by comparing each; blocks for long."""
        return self._found(engine, query, limit, passing, None)

    def _found(
        self,
        engine: Engine,
        query: Vector,
        count: int,
        passing: Node | None,
        policy: GraphPolicy | None,
    ) -> Nearest:
        mask = self.passing(passing)
        used: set[Strategy] = set()
        found: list[tuple[Slots, Vector]] = []
        for (start, segment), part in zip(self.starts(), mask.parts, strict=True):
            if part.passing:
                strategy, positions, scores = _search(policy, segment, query, count, part)
                used.add(strategy)
                found.append((positions + start, scores))
        if mask.recent.passing:
            positions, scores = engine.scan(
                self.recent, query, min(count, mask.recent.passing), passing=mask.recent.bits
            )
            found.append((positions + self.graph_rows, scores))
        inexact = [each for each in (Strategy.GRAPH, Strategy.SIFT) if each in used]
        strategy = inexact[0] if inexact else Strategy.EXACT
        slots, scores = _nearest_first(found)
        return Nearest(slots[:count], scores[:count], strategy, mask.passing)


class _Passes:
    """Whether rows pass, by their positions behind a slot."""

    def __init__(self, snapshot: Snapshot, node: Node | None, start: int) -> None:
        self._snapshot = snapshot
        self._node = node
        self._start = start

    def __call__(self, positions: Positions | slice) -> Mask:
        start, snapshot = self._start, self._snapshot
        if isinstance(positions, slice):
            slots: Slots | slice = slice(start + positions.start, start + positions.stop)
        else:
            slots = positions + start
        return mask_of(self._node, slots, snapshot.codes, snapshot.categories, snapshot.columns)


def _search(
    policy: GraphPolicy | None, segment: Segment, query: Vector, count: int, part: Part
) -> tuple[Strategy, Positions, Vector]:
    """Return the rows that were found, and how."""
    graph = segment.graph
    count = min(count, part.passing)
    if policy is None:
        return Strategy.EXACT, *graph.scan(query, count, passing=part.bits)

    def way_at(share: float) -> Way:
        return policy.way(
            count=count,
            rows=graph.rows,
            passing_rows=part.passing,
            share=share,
            can_sift=graph.can_sift,
        )

    way = way_at(1.0)
    if way.strategy is Strategy.GRAPH:
        way, found = _walk(graph, query, count, part, way_at)
        if found is not None:
            return Strategy.GRAPH, *found
    if way.strategy is Strategy.EXACT:
        return Strategy.EXACT, *graph.scan(query, count, passing=part.bits)
    is_exact = part.passing <= way.width
    found = graph.sift(query, count, positions=part.positions, kept=way.width)
    return Strategy.EXACT if is_exact else Strategy.SIFT, *found


def _walk(
    graph: Graph, query: Vector, count: int, part: Part, way_at: Callable[[float], Way]
) -> tuple[Way, tuple[Positions, Vector] | None]:
    """Walk until enough is found; None if another way is faster, which is returned then."""
    landmarks = graph.landmarks(query)
    if landmarks is None:
        share = part.passing / graph.rows
    else:
        share = max(part.share_of(landmarks.positions), 0.5 / len(landmarks.positions))
    while (way := way_at(share)).strategy is Strategy.GRAPH:
        positions, scores = graph.walk(
            query, count, ef=way.width, passing=part.bits, landmarks=landmarks
        )
        if len(positions) >= way.enough:
            return way, (positions[:count], scores[:count])
        # fewer pass than it looked from further away
        share = min(share / 2, max(len(positions), 0.5) / way.width)
    return way, None


def _nearest_first(found: Sequence[tuple[Slots, Vector]]) -> tuple[Slots, Vector]:
    if not found:
        return _NO_SLOTS, np.empty(0, dtype=np.float32)
    slots, scores = found[0]
    if len(found) > 1:
        slots = np.concatenate([slots for slots, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        order = np.argsort(-scores, kind="stable")
        slots, scores = slots[order], scores[order]
    # float16 may round a vector to a little more than length 1
    clipped: NDArray[np.float32] = np.clip(scores, -1.0, 1.0)
    return slots, clipped
