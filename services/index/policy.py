"""When graphs are made and joined, and how they are searched."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.index.engines.protocol import GraphParameters
from services.index.model import Strategy

# The processor's time in µs, as measured with 384 dimensions among searches of other kinds: of a
# walk per unit of ef, in a graph of 10,000 rows and more for ten times as many; of a scan per
# row that passes, and per row; of a sift in all, per row that passes, and per row that it
# compares exactly.
_WALK_PER_EF = 1.0
_WALK_PER_EF_TENFOLD = 0.5
_SCAN_PER_PASSING_ROW = 0.08
_SCAN_PER_ROW = 0.002
_SIFT = 30.0
_SIFT_PER_PASSING_ROW = 0.05
_SIFT_PER_KEPT_ROW = 0.25
# So many ranks are to be right; those beyond may be less exact.
_FINE_RANKS = 10
# How many of the rows in view are wanted to pass, and how many are enough: for each fine rank,
# and for each hit.
_WANTED_PER_RANK, _WANTED_PER_HIT = 3, 1.1
_ENOUGH_PER_RANK = 1.5
# What a sift compares exactly: with a tenth of 100,000 rows passing, 950 hold 0.995 of the ten
# nearest; with half of 300,000, 3,000 hold 0.993.
_MIN_KEPT_ROWS = 800
_KEPT_ROWS_PER_HIT = 4
_PASSING_ROWS_PER_KEPT = 64


class Way(NamedTuple):
    """How to search a graph.

    The width is the ef of a walk, or how many rows a sift compares exactly. A walk that has
    fewer rows that pass in view than are enough may have missed nearer ones.
    """

    strategy: Strategy
    width: int = 0
    enough: int = 0


class Joining(NamedTuple):
    """Segments to be one: from the first to before the end; with the recent rows or not.

    Where it extends the first one, that one's dead rows stay.
    """

    first: int
    end: int
    has_recent: bool
    extends: bool


@dataclass(frozen=True)
class GraphPolicy:
    """Rows are compared one by one until there are enough of them for a graph.

    They go into a small graph then, which is cheap to copy and to extend, and that one
    into the large one when it has grown to a part of it: a row is inserted twice.
    """

    parameters: GraphParameters = field(default_factory=GraphParameters)
    ef_search: int = 200
    min_rows: int = 2048
    # As large the small graph gets, as a part of the large one.
    small_fraction: float = 0.05
    # What is smaller than so many times min_rows is extended right away.
    small_factor: int = 16
    dead_fraction: float = 0.25

    def joining_recent(
        self, *, segments: Sequence[int], recent_rows: int, busy: int
    ) -> Joining | None:
        """Return how to put the recent rows into a graph, if it is time; it takes a second.

        `segments` are their numbers of rows. The first ones, which are `busy`, stay.
        """
        if recent_rows <= self.min_rows:
            return None
        last = len(segments) - 1
        if last >= busy and (last > 0 or segments[last] <= self.small_factor * self.min_rows):
            return Joining(last, last + 1, has_recent=True, extends=True)
        return Joining(last + 1, last + 1, has_recent=True, extends=False)

    def joining_large(self, *, segments: Sequence[int], dead: Sequence[int]) -> Joining | None:
        """Return how to put graphs into one, if it is time; it may take minutes.

        `dead` are their rows that are in the collection no more.
        """
        if not segments:
            return None
        if dead[0] > max(self.min_rows / 4, self.dead_fraction * segments[0]):
            return Joining(0, len(segments), has_recent=False, extends=False)
        small = max(self.small_factor * self.min_rows, self.small_fraction * segments[0])
        if sum(segments[1:]) > small:
            return Joining(0, len(segments), has_recent=False, extends=True)
        return None

    def deserves_graph(self, alive_rows: int) -> bool:
        """Whether so many rows get a graph when it is due; otherwise the dead ones go, only.

        Well below min_rows, so that a collection of just that size is not
        put in order again after every few changes.
        """
        return alive_rows > self.min_rows / 2

    def way(self, *, count: int, rows: int, passing_rows: int, share: float, can_sift: bool) -> Way:
        """Return the fastest way to the `count` nearest of the rows that pass.

        `share` is the part of the rows around the query that pass. A walk sees the nearest
        rows, those that do not pass too, so it has to be the wider the fewer pass there;
        everywhere else they may be many.
        """
        fine = min(count, _FINE_RANKS)
        wanted = max(_WANTED_PER_RANK * fine, _WANTED_PER_HIT * count)
        ef = math.ceil(max(self.ef_search, wanted / share))
        enough = count
        if passing_rows < rows:
            enough = min(passing_rows, max(math.ceil(_ENOUGH_PER_RANK * fine), count))
        kept = max(
            _MIN_KEPT_ROWS + passing_rows // _PASSING_ROWS_PER_KEPT, _KEPT_ROWS_PER_HIT * count
        )
        walk_per_ef = _WALK_PER_EF + _WALK_PER_EF_TENFOLD * max(0.0, math.log10(rows / 10_000))
        costs = {
            Way(Strategy.GRAPH, ef, enough): walk_per_ef * ef,
            Way(Strategy.EXACT): _SCAN_PER_ROW * rows + _SCAN_PER_PASSING_ROW * passing_rows,
        }
        if can_sift:
            costs[Way(Strategy.SIFT, kept)] = (
                _SIFT
                + _SIFT_PER_PASSING_ROW * passing_rows
                + _SIFT_PER_KEPT_ROW * min(kept, passing_rows)
            )
        return min(costs, key=costs.__getitem__)
