"""Rows of the index in a graph."""

from services.index.engines.protocol import Engine, GraphParameters
from services.index.graphs import build_segment
from services.index.policy import Joining
from services.index.rows import Rows


def put_into_graph(engine: Engine, rows: Rows) -> None:
    """Put all rows, which are recent, into a graph of their own."""
    whole = Joining(0, 0, has_recent=True, extends=False)
    rows.install(build_segment(engine, GraphParameters(), rows.snapshot, whole, lambda: False))
