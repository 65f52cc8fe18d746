"""The index over gRPC."""

from collections.abc import Sequence

import grpc.aio

from services.common.rpc_status import calling
from services.gateway.answers import Candidates, Explanation, Plan, Strategy
from services.gateway.ports import Collection, QueryVector
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
    ) -> Candidates:
        """Return the nearest active products, the nearest first."""
        request = pb.SearchRequest(
            space=query.space,
            vector=query.vector,
            limit=limit,
            filter=filter_text,
            min_revision=min_revision,
        )
        with calling("index"):
            response = await self._stub.Search(request, timeout=timeout_seconds)
        return _candidates(response, query.space)

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
    ) -> Candidates:
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
        return _candidates(response, response.space)

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
            )
            for collection in response.collections
        ]


def _candidates(response: pb.SearchResponse | pb.SimilarResponse, space: str) -> Candidates:
    hits = [
        (hit.product_id, Explanation.by_meaning(rank, hit.cosine))
        for rank, hit in enumerate(response.hits, start=1)
    ]
    plan = Plan(
        Strategy(response.plan.strategy),
        response.plan.vectors,
        response.plan.passing,
        candidates=len(hits),
        semantic_candidates=len(hits),
    )
    return Candidates(hits, response.revision, plan, space)
