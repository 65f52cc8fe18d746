"""When graphs are made and joined, and when they are walked."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from services.index.engines.protocol import GraphParameters

# How many rows a scan compares in the time that a walk needs for one unit of ef: about 25
# with 384 dimensions on 20,000 rows, 30 on a million.
_SCANNED_ROWS_PER_EF = 25
# How many rows a scan passes over in the time that it needs to compare one.
_SKIPPED_ROWS_PER_SCANNED = 25
# Ranks beyond may be less exact, so they need no more in view than themselves.
_FINE_RANKS = 10
# Where many rows do not pass, those that do may be fewer around the query than everywhere.
_ALMOST_ALL = 0.9
# So few of so many rows are found in another way, which takes half a millisecond with 10,000.
_MANY_ROWS = 50_000
_FEW = 0.03
_WIDER = 4


class Walk(NamedTuple):
    """How to walk: fewer rows than are `enough` do not tell that they are the nearest."""

    rows: int
    ef: int
    enough: int


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

    def sifts(self, *, graph_rows: int, passing_rows: int) -> bool:
        """Whether to look at the passing rows alone: a scan passes over all the others."""
        return graph_rows >= _MANY_ROWS and passing_rows <= _FEW * graph_rows

    def walks(self, *, count: int, graph_rows: int, passing_rows: int) -> Iterator[Walk]:
        """Yield how to walk for `count` rows, wider after each time that found too few.

        None if a scan is faster. A walk sees the nearest rows, those that do not pass
        too: if more of those that do than are asked for are among them, the first ones are the
        nearest, wherever the filter's rows lie.
        """
        share = passing_rows / graph_rows
        fine = min(count, _FINE_RANKS)
        in_view = count + fine * (1 if share > _ALMOST_ALL else 2)
        ef = max(self.ef_search, in_view / share)
        skipped = 0 if passing_rows == graph_rows else graph_rows / _SKIPPED_ROWS_PER_SCANNED
        while passing_rows + skipped > _SCANNED_ROWS_PER_EF * ef:
            yield Walk(
                min(in_view, passing_rows), math.ceil(ef), min(count + fine // 2, passing_rows)
            )
            ef *= _WIDER
