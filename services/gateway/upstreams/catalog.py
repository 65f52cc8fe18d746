"""The catalog over gRPC."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import cast

import grpc.aio

from services.common import filters
from services.common.rpc_status import calling
from services.gateway.answers import Candidates, Explanation, Plan, Product, Strategy
from services.gateway.ports import CatalogState, Watched
from services.gateway.upstreams.health import HealthCheck
from services.gateway.validity import CategoryChange
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc, retrieval_pb2, retrieval_pb2_grpc


class ProductFacts:
    """A product as a filter sees it."""

    def __init__(self, product: catalog_pb2.Product) -> None:
        self._product = product

    @property
    def category(self) -> str:
        """The path, or an empty text."""
        return self._product.category

    @property
    def brand(self) -> str:
        """The brand, or an empty text."""
        return self._product.brand

    @property
    def price(self) -> Decimal | None:
        """The price; None without one."""
        return Decimal(self._product.price) if self._product.price else None

    @property
    def stock(self) -> int | None:
        """Units; None if they are not tracked."""
        return self._product.stock if self._product.HasField("stock") else None

    @property
    def active(self) -> bool:
        """Whether searches may return it."""
        return self._product.active or not self._product.HasField("active")

    @property
    def attributes(self) -> dict[str, str | float | bool]:
        """Values by name."""
        return {
            name: getattr(value, value.WhichOneof("kind") or "string_value")
            for name, value in self._product.attributes.items()
        }


class GrpcCatalog(HealthCheck):
    """See ports.Catalog."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel, "catalog")
        self._catalog: catalog_pb2_grpc.CatalogServiceAsyncStub
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self._retrieval: retrieval_pb2_grpc.RetrievalServiceAsyncStub
        self._retrieval = retrieval_pb2_grpc.RetrievalServiceStub(channel)

    async def search_text(
        self, text: str, *, limit: int, filter_text: str, literal: bool, timeout_seconds: float
    ) -> Candidates:
        """Return the active products that match by words, the best first."""
        request = retrieval_pb2.SearchTextRequest(
            query=text, limit=limit, filter=filter_text, literal=literal
        )
        with calling("catalog"):
            response = await self._retrieval.SearchText(request, timeout=timeout_seconds)
        hits = [
            (
                hit.product_id,
                Explanation.by_words(rank, hit.score, is_exact_identifier=hit.is_exact_identifier),
            )
            for rank, hit in enumerate(response.hits, start=1)
        ]
        plan = Plan(Strategy.TEXT, candidates=len(hits), lexical_candidates=len(hits))
        return Candidates(
            hits,
            response.revision,
            plan,
            corrected_query=response.corrected_query,
            requires_words=response.requires_words,
        )

    def passes(self, product: Product, condition: filters.Node) -> bool:
        """Tell whether a product that `get_products` returned passes."""
        return filters.matches(condition, ProductFacts(cast(catalog_pb2.Product, product)))

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
