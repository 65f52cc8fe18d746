"""The index over gRPC."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from services.common.rpc_status import calling
from services.gateway.answers import Plan, Strategy
from services.gateway.candidates import VectorHits
from services.gateway.ports import CheckedRecall, Collection, QueryVector, Reached, Recall
from services.gateway.upstreams.health import HealthCheck
from vitrina.index.v1 import index_pb2 as pb
from vitrina.index.v1 import index_pb2_grpc


class GrpcIndex(HealthCheck):
    """See ports.Index."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel, "index")
        self._stub: index_pb2_grpc.IndexServiceAsyncStub
        self._stub = index_pb2_grpc.IndexServiceStub(channel)

    async def search(
        self,
        query: QueryVector,
        *,
        limit: int,
        filter_text: str,
        min_revision: int,
        timeout_seconds: float,
        feedback_products: int = 0,
    ) -> VectorHits:
        """Return the nearest active products, the nearest first."""
        request = pb.SearchRequest(
            space=query.space,
            vector=query.vector,
            limit=limit,
            filter=filter_text,
            min_revision=min_revision,
            feedback_products=feedback_products,
        )
        with calling("index"):
            response = await self._stub.Search(request, timeout=timeout_seconds)
        found = _hits(response, query.space)
        if not feedback_products:
            return found
        used = min(feedback_products, len(found.ids))
        return replace(found, plan=replace(found.plan, feedback_products=used))

    async def similar(
        self,
        product_id: str,
        spaces: Sequence[str],
        *,
        unlike: Sequence[str],
        limit: int,
        filter_text: str,
        min_revision: int,
        timeout_seconds: float,
    ) -> VectorHits:
        """Return the products nearest to a product and away from others, without these."""
        request = pb.SimilarRequest(
            spaces=spaces,
            product_id=product_id,
            unlike_product_ids=unlike,
            limit=limit,
            filter=filter_text,
            min_revision=min_revision,
        )
        with calling("index"):
            response = await self._stub.Similar(request, timeout=timeout_seconds)
        return _hits(response, response.space)

    async def vectors(
        self, space: str, ids: Sequence[str], timeout_seconds: float
    ) -> NDArray[np.float32]:
        """Return a row of length 1 for each product; zeros for one without a vector."""
        request = pb.GetVectorsRequest(space=space, product_ids=ids)
        with calling("index"):
            response = await self._stub.GetVectors(request, timeout=timeout_seconds)
        return np.frombuffer(response.vectors, dtype="<f4").reshape(len(ids), -1)

    async def wait_for_revision(
        self, spaces: Sequence[str], min_revision: int, timeout_seconds: float
    ) -> Reached:
        """Return when the first of the spaces whose collection is ready reflects a revision."""
        request = pb.WaitForRevisionRequest(spaces=spaces, min_revision=min_revision)
        with calling("index"):
            response = await self._stub.WaitForRevision(request, timeout=timeout_seconds)
        return Reached(response.revision, response.space)

    async def check_recall(
        self,
        space: str,
        *,
        vectors: bytes,
        sample: int,
        limit: int,
        filter_text: str,
        timeout_seconds: float,
    ) -> CheckedRecall:
        """Measure recall at `limit` with these vectors, or with a sample of stored ones."""
        request = pb.CheckRecallRequest(
            space=space, vectors=vectors, sample=sample, limit=limit, filter=filter_text
        )
        with calling("index"):
            response = await self._stub.CheckRecall(request, timeout=timeout_seconds)
        plan = response.plan
        return CheckedRecall(
            space,
            _recall(response.recall),
            Plan(Strategy(plan.strategy), plan.vectors, plan.passing),
            response.search_ms,
            response.scan_ms,
        )

    async def list_collections(self, timeout_seconds: float) -> Sequence[Collection]:
        """Return all collections."""
        with calling("index"):
            response = await self._stub.ListCollections(
                pb.ListCollectionsRequest(), timeout=timeout_seconds
            )
        return [
            Collection(
                space=collection.space,
                is_ready=collection.state == pb.COLLECTION_STATE_READY,
                applied_revision=collection.applied_revision,
                head_revision=collection.head_revision,
                vectors=collection.vectors,
                graph_vectors=collection.graph_vectors,
                memory_bytes=collection.memory_bytes,
                stalled_by=collection.stalled_by,
                embedded_documents=collection.embedded_documents,
                unchanged_documents=collection.unchanged_documents,
                truncated_documents=collection.truncated_documents,
                pending_documents=collection.pending_documents,
                pending_tokens=collection.pending_tokens,
                pending_seconds=collection.pending_seconds,
                embedded_tokens=collection.embedded_tokens,
                is_followed=collection.is_followed,
                is_pinned=collection.space == response.pinned_space,
                recall=_recall(collection.recall) if collection.HasField("recall") else None,
            )
            for collection in response.collections
        ]

    async def use_space(self, space: str, timeout_seconds: float) -> None:
        """Pin the space that searches prefer, for all; none if empty."""
        with calling("index"):
            await self._stub.UseSpace(pb.UseSpaceRequest(space=space), timeout=timeout_seconds)

    async def drop_collection(
        self, space: str, *, allow_missing: bool, timeout_seconds: float
    ) -> int:
        """Drop the collection of a space and return the bytes freed."""
        request = pb.DropCollectionRequest(space=space, allow_missing=allow_missing)
        with calling("index"):
            response = await self._stub.DropCollection(request, timeout=timeout_seconds)
        return response.freed_bytes


def _recall(recall: pb.Recall) -> Recall:
    measured_at = recall.measure_time.ToDatetime(tzinfo=UTC)
    return Recall(recall.recall, recall.k, recall.queries, recall.worst, measured_at)


def _hits(response: pb.SearchResponse | pb.SimilarResponse, space: str) -> VectorHits:
    plan = Plan(
        Strategy(response.plan.strategy),
        response.plan.vectors,
        response.plan.passing,
        candidates=len(response.product_ids),
        semantic_candidates=len(response.product_ids),
    )
    return VectorHits(
        list(response.product_ids),
        list(response.cosines),
        response.revision,
        plan,
        space,
    )
