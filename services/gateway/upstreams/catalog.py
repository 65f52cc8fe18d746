"""The catalog over gRPC."""

from collections.abc import AsyncIterator, Sequence

import grpc.aio

from services.common.rpc_status import calling
from services.gateway.answers import Candidates, Explanation, Plan, Product, Strategy
from services.gateway.ports import CatalogState, Watched
from services.gateway.upstreams.health import HealthCheck
from services.gateway.validity import CategoryChange
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc, retrieval_pb2, retrieval_pb2_grpc


class GrpcCatalog(HealthCheck):
    """See ports.Catalog."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel, "catalog")
        self._catalog: catalog_pb2_grpc.CatalogServiceAsyncStub
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self._retrieval: retrieval_pb2_grpc.RetrievalServiceAsyncStub
        self._retrieval = retrieval_pb2_grpc.RetrievalServiceStub(channel)

    async def search_text(
        self, text: str, *, limit: int, category: str, timeout_seconds: float
    ) -> Candidates:
        """Return the active products that match by words, the best first."""
        request = retrieval_pb2.SearchTextRequest(query=text, limit=limit, category=category)
        with calling("catalog"):
            response = await self._retrieval.SearchText(request, timeout=timeout_seconds)
        hits = [
            (hit.product_id, Explanation(lexical_rank=rank, bm25=hit.score))
            for rank, hit in enumerate(response.hits, start=1)
        ]
        return Candidates(hits, response.revision, Plan(Strategy.TEXT, candidates=len(hits)))

    async def get_products(self, ids: Sequence[str], timeout_seconds: float) -> Sequence[Product]:
        """Return the active ones among these, in the same order."""
        request = retrieval_pb2.BatchGetProductsRequest(ids=ids)
        with calling("catalog"):
            response = await self._retrieval.BatchGetProducts(request, timeout=timeout_seconds)
        return response.products

    async def get_state(self, timeout_seconds: float) -> CatalogState:
        """Return what the catalog holds."""
        with calling("catalog"):
            response = await self._retrieval.GetCatalogStatus(
                retrieval_pb2.GetCatalogStatusRequest(), timeout=timeout_seconds
            )
        return CatalogState(response.catalog_id, response.revision, response.product_count)

    async def watch(self, after_revision: int) -> AsyncIterator[Watched]:
        """Yield the feed after a revision, for ever; raise when it breaks."""
        request = catalog_pb2.WatchChangesRequest(after_revision=after_revision, omit_products=True)
        with calling("catalog"):
            async for response in self._catalog.WatchChanges(request):
                yield Watched(
                    response.catalog_id,
                    response.head_revision,
                    [_category_change(change) for change in response.changes],
                )


def _category_change(change: catalog_pb2.Change) -> CategoryChange:
    return CategoryChange(
        change.revision,
        change.category_before if change.HasField("category_before") else None,
        change.category_after if change.HasField("category_after") else None,
    )
