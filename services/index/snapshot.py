"""A collection as a search sees it: nothing in it changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.common import filters
from services.common.filters import Node
from services.index.categories import DEAD, Categories
from services.index.columns import ColumnViews
from services.index.engines.protocol import Bits, Engine, Graph
from services.index.masks import mask_of
from services.index.model import Found, Matrix, Strategy, Vector
from services.index.policy import GraphPolicy

# Masks kept per snapshot, so that many filters do not fill the memory.
_MAX_MASKS = 64

Codes = NDArray[np.int32]
Slots = NDArray[np.int64]

# Stands for a product without a row.
NO_SLOT = -1
_NO_SLOTS: Slots = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Mask:
    """Which rows pass, as bits; None where all do."""

    graph: Bits | None
    graph_passing: int
    recent: Bits | None
    recent_passing: int


class Nearest(NamedTuple):
    """Rows, the nearest first, their cosines, and how they were found among those that pass."""

    slots: Slots
    cosines: Vector
    strategy: Strategy
    passing: int


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Rows by slot: those of the graph by their position in it, then the recent ones.

    `product_ids` may grow behind the last slot; all else is as it was published.
    """

    revision: int
    # Rows that are in the collection, active or not.
    vectors: int
    graph: Graph | None
    recent: Matrix
    product_ids: Sequence[str]
    # By slot: DEAD, INACTIVE or the category's code.
    codes: Codes
    categories: Categories
    columns: ColumnViews
    # By the canonical text of the filter.
    _masks: dict[str, _Mask] = field(default_factory=dict, repr=False)

    @property
    def graph_rows(self) -> int:
        """Slots below are in the graph."""
        return self.graph.rows if self.graph is not None else 0

    @property
    def slots(self) -> int:
        """All rows, the dead ones too."""
        return len(self.codes)

    def alive_slots(self) -> Slots:
        """Return the slots of the rows that are in the collection."""
        return np.flatnonzero(self.codes != DEAD)

    def gather(self, slots: Slots) -> Matrix:
        """Return the vectors of slots, in their order; zeros for NO_SLOT."""
        vectors = np.zeros((len(slots), self.recent.shape[1]), dtype=np.float32)
        is_recent = slots >= self.graph_rows
        vectors[is_recent] = self.recent[slots[is_recent] - self.graph_rows]
        is_in_graph = ~is_recent & (slots != NO_SLOT)
        if self.graph is not None and is_in_graph.any():
            vectors[is_in_graph] = self.graph.vectors(slots[is_in_graph])
        return vectors

    def mask(self, passing: Node | None) -> _Mask:
        """Return which rows are active and pass a filter, whose attributes all have columns."""
        key = "" if passing is None else filters.canonical(passing)
        mask = self._masks.get(key)
        if mask is None:
            of_slots = mask_of(passing, self.codes, self.categories, self.columns)
            mask = _Mask(
                *_bits(of_slots[: self.graph_rows]),
                *_bits(of_slots[self.graph_rows :]),
            )
            if len(self._masks) >= _MAX_MASKS:
                self._masks.clear()
            self._masks[key] = mask
        return mask

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
            product_ids=[self.product_ids[slot] for slot in found.slots.tolist()],
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
        mask = self.mask(passing)
        count = limit + len(without_slots)
        strategy = Strategy.EXACT
        slots = np.empty(0, dtype=np.int64)
        scores = np.empty(0, dtype=np.float32)
        if self.graph is not None and mask.graph_passing:
            strategy, slots, scores = self._search_graph(policy, self.graph, query, count, mask)
        if mask.recent_passing:
            positions, recent_scores = engine.scan(
                self.recent, query, min(count, mask.recent_passing), passing=mask.recent
            )
            slots = np.concatenate([slots, positions + self.graph_rows])
            scores = np.concatenate([scores, recent_scores])
        # float16 may round a vector to a little more than length 1
        scores = np.clip(scores, -1.0, 1.0)
        nearest = np.argsort(-scores, kind="stable")
        if len(without_slots):
            nearest = nearest[~np.isin(slots[nearest], without_slots)]
        nearest = nearest[:limit]
        all_passing = mask.graph_passing + mask.recent_passing
        return Nearest(slots[nearest], scores[nearest], strategy, all_passing)

    def _search_graph(
        self, policy: GraphPolicy, graph: Graph, query: Vector, count: int, mask: _Mask
    ) -> tuple[Strategy, NDArray[np.int64], NDArray[np.float32]]:
        count = min(count, mask.graph_passing)
        ef = policy.ef(count=count, graph_rows=graph.rows, passing_rows=mask.graph_passing)
        if ef is not None:
            positions, scores = graph.walk(query, count, ef=ef, passing=mask.graph)
            if len(positions) == count:
                return Strategy.GRAPH, positions, scores
            # what passes lies elsewhere than the query: the walk did not get there
        positions, scores = graph.scan(query, count, passing=mask.graph)
        return Strategy.EXACT, positions, scores


def _bits(passes: NDArray[np.bool_]) -> tuple[Bits | None, int]:
    passing = int(np.count_nonzero(passes))
    return None if passing == len(passes) else np.packbits(passes, bitorder="little"), passing
