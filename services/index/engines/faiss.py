"""FAISS: HNSW over float16, by inner product."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import faiss as _faiss
import numpy as np

from services.index.engines.protocol import (
    Bits,
    BuildCancelled,
    Graph,
    GraphParameters,
    Positions,
    Scores,
)
from services.index.model import Matrix, Vector

# Its stubs do not know what its Python layer makes of the C++ classes.
faiss: Any = _faiss

# Between two looks at whether to stop: well below a second, even in a graph of a million.
_ROWS_PER_STEP = 256
_BYTES_PER_WRITE = 1 << 20


class FaissGraph:
    """A graph of FAISS that nobody adds to any more."""

    def __init__(self, index: Any) -> None:
        self._index = index
        # Reaches down to the float16 rows, without the graph.
        self._storage = faiss.downcast_index(index.storage)

    @property
    def index(self) -> Any:
        """The index of FAISS."""
        return self._index

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self._index.ntotal)

    @property
    def memory_bytes(self) -> int:
        """The rows, the links, and what finds a node's links."""
        hnsw = self._index.hnsw
        links = 4 * (hnsw.neighbors.size() + hnsw.levels.size()) + 8 * hnsw.offsets.size()
        return int(self._storage.codes.size() + links)

    def walk(
        self, query: Vector, count: int, *, ef: int, passing: Bits | None
    ) -> tuple[Positions, Scores]:
        """Find rows near the query by the graph."""
        selector = _selector(passing)  # a name of its own: FAISS does not keep it alive
        parameters = faiss.SearchParametersHNSW(efSearch=ef, sel=selector)
        return _found(self._index.search(query[np.newaxis], count, params=parameters))

    def scan(self, query: Vector, count: int, *, passing: Bits | None) -> tuple[Positions, Scores]:
        """Compare each row that passes."""
        selector = _selector(passing)
        parameters = faiss.SearchParameters(sel=selector)
        return _found(self._storage.search(query[np.newaxis], count, params=parameters))

    def vectors(self, positions: Positions) -> Matrix:
        """Return rows as float32, rounded to float16."""
        rows: Matrix = self._storage.reconstruct_batch(positions.astype(np.int64))
        return rows


class FaissEngine:
    """See `Engine`."""

    def prepare_thread(self) -> None:
        """One thread of OpenMP: a setting of FAISS that counts for the calling thread."""
        faiss.omp_set_num_threads(1)

    def build(
        self,
        chunks: Iterable[Matrix],
        dimensions: int,
        parameters: GraphParameters,
        is_cancelled: Callable[[], bool],
    ) -> Graph:
        """Insert row after row."""
        index = faiss.IndexHNSWSQ(
            dimensions,
            faiss.ScalarQuantizer.QT_fp16,
            parameters.links,
            faiss.METRIC_INNER_PRODUCT,
        )
        index.hnsw.efConstruction = parameters.ef_construction
        # float16 learns nothing from the data, but FAISS wants the call
        index.train(np.zeros((1, dimensions), dtype=np.float32))
        for chunk in chunks:
            for start in range(0, len(chunk), _ROWS_PER_STEP):
                if is_cancelled():
                    raise BuildCancelled
                index.add(chunk[start : start + _ROWS_PER_STEP])
        return FaissGraph(index)

    def save(self, graph: Graph, path: Path) -> None:
        """Write the file."""
        if not isinstance(graph, FaissGraph):
            raise TypeError("a graph of another engine")
        # FAISS's own files do not tell if the last bytes find no room.
        with path.open("wb") as file:
            writer = faiss.PyCallbackIOWriter(file.write, _BYTES_PER_WRITE)
            faiss.write_index(graph.index, writer)

    def load(self, path: Path) -> Graph:
        """Read the file."""
        index = faiss.read_index(str(path))
        if not isinstance(index, faiss.IndexHNSWSQ):
            raise ValueError("not a graph over float16")
        return FaissGraph(index)

    def scan(
        self, rows: Matrix, query: Vector, count: int, *, passing: Bits | None
    ) -> tuple[Positions, Scores]:
        """Compare each row that passes, without BLAS and its threads."""
        scores = np.empty((1, count), dtype=np.float32)
        positions = np.empty((1, count), dtype=np.int64)
        selector = _selector(passing)
        faiss.knn_inner_product(
            faiss.swig_ptr(query),
            faiss.swig_ptr(rows),
            rows.shape[1],
            1,
            len(rows),
            count,
            faiss.swig_ptr(scores),
            faiss.swig_ptr(positions),
            selector,
        )
        return _found((scores, positions))


def _selector(passing: Bits | None) -> Any:
    return None if passing is None else faiss.IDSelectorBitmap(passing)


def _found(result: tuple[Scores, Positions]) -> tuple[Positions, Scores]:
    scores, positions = result
    # -1 stands where fewer rows were found than asked for
    is_row = positions[0] >= 0
    return positions[0][is_row], scores[0][is_row]
