"""Milvus Lite: the engine that Milvus's client starts for a local file."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Self

from pymilvus import (  # type: ignore[import-not-found]
    AnnSearchRequest,
    DataType,
    Function,
    FunctionType,
    MilvusClient,
    RRFRanker,
)

from benchmarks.peers.protocol import Ask, Way
from benchmarks.peers.rows import FIELDS, Row
from benchmarks.peers.systems.base import System, Vectors

_COLLECTION = "products"
_BATCH = 1_000
_MAX_LENGTH = 65_535


class MilvusLite(System):
    """A local file, through the client."""

    ways = (Way.VECTOR, Way.HYBRID)
    settings = (
        "client over a local file; AUTOINDEX (HNSW: M 16, efConstruction 200, ef 64), cosine; "
        "INVERTED on price; hybrid: BM25 function over the text, RRFRanker"
    )

    @classmethod
    def version(cls) -> str:
        """Return the versions of engine and client."""
        return f"milvus-lite {version('milvus-lite')}, pymilvus {version('pymilvus')}"

    def __enter__(self) -> Self:
        self._client: Any = MilvusClient(str(self._folder / "milvus.db"))
        if self._client.has_collection(_COLLECTION):
            self._client.load_collection(_COLLECTION)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._client.close()

    def load(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Insert, flush into segments, and index them."""
        self._client.create_collection(_COLLECTION, schema=_schema(vectors.shape[1]))
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            self._client.insert(
                _COLLECTION,
                [
                    asdict(row) | {"vector": vector}
                    for row, vector in zip(batch, vectors[start : start + _BATCH], strict=True)
                ],
            )
        self._client.flush(_COLLECTION)
        indexes = self._client.prepare_index_params()
        indexes.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        indexes.add_index("words", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25")
        indexes.add_index("price", index_type="INVERTED")
        self._client.create_index(_COLLECTION, indexes)
        self._client.load_collection(_COLLECTION)

    def search(self, ask: Ask, vector: Vectors, /) -> list[str]:
        """Search by vector, or fuse it with BM25."""
        only = "" if ask.below_price is None else f"price < {ask.below_price}"
        fields = list(FIELDS)
        if ask.way is Way.HYBRID:
            requests = [
                AnnSearchRequest([vector], "vector", {}, limit=ask.k, expr=only or None),
                AnnSearchRequest([ask.query], "words", {}, limit=ask.k, expr=only or None),
            ]
            found = self._client.hybrid_search(
                _COLLECTION, requests, RRFRanker(), limit=ask.k, output_fields=fields
            )
        else:
            found = self._client.search(
                _COLLECTION,
                [vector],
                anns_field="vector",
                filter=only,
                limit=ask.k,
                output_fields=fields,
            )
        # Hits read a field when it is asked for.
        products = [{field: hit["entity"][field] for field in fields} for hit in found[0]]
        return [product["id"] for product in products]


def _schema(dimensions: int) -> Any:
    schema = MilvusClient.create_schema(auto_id=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=512)
    for field in ("name", "description", "brand", "category", "currency", "attributes"):
        schema.add_field(field, DataType.VARCHAR, max_length=_MAX_LENGTH)
    schema.add_field("price", DataType.DOUBLE)
    schema.add_field("text", DataType.VARCHAR, max_length=_MAX_LENGTH, enable_analyzer=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimensions)
    schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(
        Function(
            name="bm25",
            function_type=FunctionType.BM25,
            input_field_names=["text"],
            output_field_names=["words"],
        )
    )
    return schema
