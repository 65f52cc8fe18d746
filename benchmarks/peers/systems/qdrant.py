"""Qdrant's local mode: its Python client without a server."""

import uuid
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Self

from qdrant_client import QdrantClient, models  # type: ignore[import-not-found]

from benchmarks.peers.protocol import Ask, Way
from benchmarks.peers.rows import Row
from benchmarks.peers.systems.base import System, Vectors

_COLLECTION = "products"


class QdrantLocal(System):
    """In process, over a folder."""

    ways = (Way.VECTOR, Way.HYBRID)
    settings = (
        "client in local mode over a folder: exact scan, cosine, payload in memory; hybrid: BM25 "
        "over a text index (local mode reads every text anew for each query), fused by RRF"
    )

    @classmethod
    def version(cls) -> str:
        """Return the version of the client."""
        return f"qdrant-client {version('qdrant-client')}"

    def __enter__(self) -> Self:
        self._client = QdrantClient(path=str(self._folder))
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._client.close()

    def load(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Store points; the product is the payload."""
        parameters = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
        self._client.create_collection(_COLLECTION, vectors_config=parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that local mode needs no index on payloads
            self._client.create_payload_index(
                _COLLECTION, "price", field_schema=models.PayloadSchemaType.FLOAT
            )
            self._client.create_payload_index(_COLLECTION, "text", field_schema=_text_index())
        self._client.upload_collection(
            _COLLECTION,
            vectors=vectors,
            payload=[row.fields() | {"text": row.text} for row in rows],
            ids=[str(uuid.uuid5(uuid.NAMESPACE_OID, row.id)) for row in rows],
        )

    def search(self, ask: Ask, vector: Vectors, /) -> list[str]:
        """Search by vector, or fuse it with BM25."""
        only = None
        if ask.below_price is not None:
            cheaper = models.FieldCondition(key="price", range=models.Range(lt=ask.below_price))
            only = models.Filter(must=[cheaper])
        if ask.way is Way.HYBRID:
            words = models.TextQuery(text=ask.query)
            arguments: dict[str, Any] = {
                "prefetch": [
                    models.Prefetch(query=vector.tolist(), filter=only, limit=ask.k),
                    models.Prefetch(query=words, using="text", filter=only, limit=ask.k),
                ],
                "query": models.FusionQuery(fusion=models.Fusion.RRF),
            }
        else:
            arguments = {"query": vector, "query_filter": only}
        found = self._client.query_points(_COLLECTION, limit=ask.k, with_payload=True, **arguments)
        return [point.payload["id"] for point in found.points]


def _text_index() -> Any:
    return models.TextIndexParams(type="text", scoring=models.TextScoringParams(type="bm25"))
