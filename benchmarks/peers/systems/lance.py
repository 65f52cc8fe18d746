"""LanceDB in the client's own process."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, ClassVar, Self

import lancedb  # type: ignore[import-not-found]
import pyarrow as pa  # type: ignore[import-not-found]
from lancedb.index import FTS, BTree, IvfPq  # type: ignore[import-not-found]
from lancedb.rerankers import RRFReranker  # type: ignore[import-not-found]

from benchmarks.peers.protocol import Ask, Way
from benchmarks.peers.rows import FIELDS, Row
from benchmarks.peers.systems.base import System, Vectors

_TABLE = "products"


class LanceDB(System):
    """Without an index over vectors, as its documentation advises below 100,000 rows."""

    ways = (Way.VECTOR, Way.HYBRID)
    # So many times k are found by the index, and the best of them by their true vectors.
    refine_factor: ClassVar[int | None] = None
    settings = (
        "in process; no vector index (exact scan, as its documentation advises at this size), "
        "cosine; BTREE on price; FTS index on the text with its defaults; RRFReranker, its default"
    )

    @classmethod
    def version(cls) -> str:
        """Return the version of LanceDB."""
        return f"lancedb {version('lancedb')}"

    def __enter__(self) -> Self:
        database = lancedb.connect(str(self._folder))
        self._database = database
        if _TABLE in database.list_tables().tables:
            self._table: Any = database.open_table(_TABLE)
        self._reranker = RRFReranker()
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: what was written is on disk."""

    def load(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Write one table, and its indexes."""
        table = pa.Table.from_pylist([asdict(row) for row in rows])
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
        self._table = self._database.create_table(_TABLE, table.append_column("vector", column))
        self._table.create_index("price", config=BTree())
        self._table.create_index("text", config=FTS())

    def search(self, ask: Ask, vector: Vectors, /) -> list[str]:
        """Search by vector, or by vector and text."""
        if ask.way is Way.HYBRID:
            search = self._table.search(query_type="hybrid").vector(vector).text(ask.query)
            search = search.distance_type("cosine").rerank(self._reranker)
        else:
            search = self._table.search(vector).distance_type("cosine")
        if self.refine_factor is not None:
            search = search.refine_factor(self.refine_factor)
        if ask.below_price is not None:
            search = search.where(f"price < {ask.below_price}")
        found = search.select(list(FIELDS)).limit(ask.k).to_list()
        return [row["id"] for row in found]


class IndexedLanceDB(LanceDB):
    """With the vector index that it makes where nothing else is said."""

    settings = (
        "as lancedb, with a vector index: IVF_PQ with its defaults (not made below 256 products)"
    )

    def load(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Write one table, and its indexes."""
        super().load(rows, vectors)
        self._table.create_index("vector", config=IvfPq(distance_type="cosine"))


class RefinedLanceDB(IndexedLanceDB):
    """With that index, and its candidates compared by their true vectors."""

    refine_factor = 10
    settings = "as lancedb-ivf-pq, with refine_factor 10: alone the index finds too little"
