"""What the index needs of an engine: a graph over rows that stay, and scans."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.index.model import Matrix, Vector

Positions = NDArray[np.int64]
Scores = NDArray[np.float32]
# One bit a row, the lowest bit of a byte first.
Bits = NDArray[np.uint8]


def passing_at(bits: Bits, positions: Positions) -> NDArray[np.bool_]:
    """Return which rows pass."""
    passes: NDArray[np.bool_] = (bits[positions >> 3] >> (positions & 7) & 1).astype(np.bool_)
    return passes


class Landmarks(NamedTuple):
    """The rows of a graph's sample that are nearest to a query, the nearest first."""

    positions: Positions
    scores: Scores


@dataclass(frozen=True)
class GraphParameters:
    """How a graph is built; one that was built otherwise is not loaded."""

    links: int = 24
    ef_construction: int = 200


class Graph(Protocol):
    """An immutable graph over unit vectors, which it holds as float16.

    Rows are told apart by their position, 0 to rows - 1. Any number of threads
    may search it. Scores are inner products, the highest first, and there are
    fewer than `count` if no more are found.
    """

    @property
    def rows(self) -> int:
        """How many rows there are."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Memory of rows and links."""
        ...

    @property
    def can_sift(self) -> bool:
        """Whether `sift` may be called."""
        ...

    def landmarks(self, query: Vector) -> Landmarks | None:
        """Find what leads to the query and tells what lies around it.

        None in a graph so small that it has no sample.
        """
        ...

    def walk(
        self,
        query: Vector,
        count: int,
        *,
        ef: int,
        passing: Bits | None,
        landmarks: Landmarks | None,
    ) -> tuple[Positions, Scores]:
        """Find, by the graph, the `ef` rows nearest to the query, and return those that pass.

        Where all do (None), return no more than `count`.
        """
        ...

    def scan(self, query: Vector, count: int, *, passing: Bits | None) -> tuple[Positions, Scores]:
        """Find the rows nearest to the query by comparing each that passes."""
        ...

    def sift(
        self, query: Vector, count: int, *, positions: NDArray[np.int32], kept: int
    ) -> tuple[Positions, Scores]:
        """Find the rows nearest to the query out of some.

        All of them are compared roughly, and the `kept` best exactly.
        """
        ...

    def vectors(self, positions: Positions) -> Matrix:
        """Return rows as float32."""
        ...


class BuildCancelled(Exception):
    """The process stops; the graph is not needed any more."""


class Engine(Protocol):
    """Builds, saves and loads graphs, and scans rows that are in none.

    All of it blocks. A thread that calls it calls `prepare_thread` once before.
    """

    def prepare_thread(self) -> None:
        """Keep the engine's work within the calling thread."""
        ...

    def build(
        self,
        chunks: Iterable[Matrix],
        dimensions: int,
        parameters: GraphParameters,
        is_cancelled: Callable[[], bool],
        *,
        extended: Graph | None = None,
        added_rows: int = 0,
        threads: int = 1,
    ) -> Graph:
        """Return the graph over the chunks' rows in order; BuildCancelled when it is.

        The rows of a graph that is extended come first; that one stays as it is. Memory
        is then taken at once for it and for `added_rows` more.
        """
        ...

    def save(self, graph: Graph, path: Path) -> None:
        """Write a graph that `build` or `load` returned."""
        ...

    def load(self, path: Path) -> Graph:
        """Return what `save` wrote; any exception if the file is not that."""
        ...

    def scan(
        self, rows: Matrix, query: Vector, count: int, *, passing: Bits | None
    ) -> tuple[Positions, Scores]:
        """As `Graph.scan`, over float32 rows."""
        ...
