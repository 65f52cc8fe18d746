"""When a graph is made, and when it is walked."""

from dataclasses import dataclass, field

from services.index.engines.protocol import GraphParameters

# How many rows a scan compares in the time that a walk needs for one unit of
# ef: 30 to 45, with 384 dimensions and 32 links on 20,000 rows.
_SCANNED_ROWS_PER_EF = 40
# What a filter lets pass may lie elsewhere than the query as a whole, where a walk hardly
# comes: with half of the rows passing, its recall@10 was 0.74. So what is that
# narrow is scanned as long as it takes some milliseconds, and walked wider then.
_NARROW_FRACTION = 0.8
_MAX_SCANNED_NARROW_ROWS = 100_000
_NARROW_EF_FACTOR = 4
# So few are scanned however many rows that is.
_MIN_WALK_FRACTION = 0.05


@dataclass(frozen=True)
class GraphPolicy:
    """Rows are compared one by one until there are enough of them for a graph."""

    parameters: GraphParameters = field(default_factory=GraphParameters)
    ef_search: int = 200
    min_rows: int = 4096
    # So much of the graph may be newer rows, before the next one is built.
    # Geometric, so that n rows in a row cost a multiple of n, not its square.
    recent_fraction: float = 0.1
    # While nobody may search it yet.
    recent_fraction_building: float = 1.0
    dead_fraction: float = 0.25

    def is_due(self, *, graph_rows: int, dead_rows: int, recent_rows: int, is_ready: bool) -> bool:
        """Whether to build the next graph; `dead_rows` are those in the graph."""
        fraction = self.recent_fraction if is_ready else self.recent_fraction_building
        return recent_rows > max(self.min_rows, fraction * graph_rows) or dead_rows > max(
            self.min_rows / 4, self.dead_fraction * graph_rows
        )

    def deserves_graph(self, alive_rows: int) -> bool:
        """Whether so many rows get a graph when it is due; otherwise the dead ones go, only.

        Well below min_rows, so that a collection of just that size is not
        put in order again after every few changes.
        """
        return alive_rows > self.min_rows / 2

    def ef(self, *, count: int, graph_rows: int, passing_rows: int) -> int | None:
        """Return how wide to walk for `count` rows; None if a scan is faster or safer."""
        if passing_rows < _MIN_WALK_FRACTION * graph_rows:
            return None
        # a walk sees passing rows and others alike
        ef = int(max(self.ef_search, 3 * count) * graph_rows / passing_rows)
        if passing_rows < _NARROW_FRACTION * graph_rows:
            if passing_rows <= _MAX_SCANNED_NARROW_ROWS:
                return None
            ef *= _NARROW_EF_FACTOR
        return None if passing_rows <= _SCANNED_ROWS_PER_EF * ef else ef
