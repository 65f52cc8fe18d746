"""The catalog over gRPC."""

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import cast

import grpc.aio

from services.common import filters
from services.common.rpc_status import calling
from services.gateway.answers import Highlights, Product
from services.gateway.candidates import Arranged, Boost, Rule, WordHits
from services.gateway.codec import facet_of
from services.gateway.ports import CatalogState, Hydrated, Marking, ProductPage, Watched
from services.gateway.upstreams.health import HealthCheck
from services.gateway.validity import CategoryChange
from vitrina.catalog.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
    tuning_pb2,
)


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
        self,
        text: str,
        *,
        limit: int,
        filter_text: str,
        literal: bool,
        order_by: str,
        timeout_seconds: float,
    ) -> WordHits:
        """Return the active products that match by words, the best first or in an order."""
        request = retrieval_pb2.SearchTextRequest(
            query=text, limit=limit, filter=filter_text, literal=literal, order_by=order_by
        )
        with calling("catalog"):
            response = await self._retrieval.SearchText(request, timeout=timeout_seconds)
        return WordHits(
            list(response.product_ids),
            list(response.scores),
            response.revision,
            response.exact_identifiers,
            response.corrected_query,
            response.requires_words,
            response.is_complete,
            [_rule(rule) for rule in response.rules],
            tuple(response.synonym_ids),
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

    async def hydrate(
        self, ids: Sequence[str], marking: Marking | None, timeout_seconds: float
    ) -> Hydrated:
        """Return the active ones among these, in the same order, and what is to be marked."""
        request = retrieval_pb2.BatchGetProductsRequest(ids=ids)
        if marking is not None:
            request.highlight_query, request.literal = marking.query, marking.literal
        with calling("catalog"):
            response = await self._retrieval.BatchGetProducts(request, timeout=timeout_seconds)
        if marking is None:
            nothing_marked = [None] * len(response.products)
            return Hydrated(response.products, nothing_marked, response.revision)
        return Hydrated(
            response.products,
            [Highlights(marked.name, marked.description) for marked in response.highlights],
            response.revision,
        )

    def packed(self, product: Product) -> bytes:
        """Return a product as bytes, to keep it."""
        return cast(catalog_pb2.Product, product).SerializeToString()

    def unpacked(self, packed: bytes) -> Product:
        """Return what `packed` took."""
        return catalog_pb2.Product.FromString(packed)

    async def list_products(
        self, page_token: str, page_size: int, timeout_seconds: float
    ) -> ProductPage:
        """Return some products, active or not; the first page without a token."""
        request = catalog_pb2.ListProductsRequest(page_token=page_token, page_size=page_size)
        with calling("catalog"):
            response = await self._catalog.ListProducts(request, timeout=timeout_seconds)
        return ProductPage(response.products, response.next_page_token, response.revision)

    async def arrange(
        self,
        ids: Sequence[str],
        *,
        filter_text: str,
        order_by: str = "",
        facet_texts: Sequence[str] = (),
        conditions: Sequence[str] = (),
        timeout_seconds: float,
    ) -> Arranged:
        """Tell of candidates which are there and pass; order and count them."""
        request = retrieval_pb2.ArrangeRequest(
            product_ids=ids,
            filter=filter_text,
            order_by=order_by,
            facets=facet_texts,
            conditions=conditions,
        )
        with calling("catalog"):
            response = await self._retrieval.Arrange(request, timeout=timeout_seconds)
        left = list(response.product_ids)
        return Arranged(
            left,
            [facet_of(facet) for facet in response.facets],
            [
                frozenset(left[position] for position in accepted.positions)
                for accepted in response.accepted
            ],
            response.revision,
        )

    async def record_queries(self, counts: Mapping[str, int], timeout_seconds: float) -> None:
        """Add to how often queries were asked."""
        request = retrieval_pb2.RecordQueriesRequest(
            queries=[
                retrieval_pb2.QueryCount(query=query, count=count)
                for query, count in counts.items()
            ]
        )
        with calling("catalog"):
            await self._retrieval.RecordQueries(request, timeout=timeout_seconds)

    async def invalidate(self, category: str, timeout_seconds: float) -> int:
        """Have cached answers of a category, or all, computed anew everywhere."""
        request = retrieval_pb2.InvalidateRequest(category=category)
        with calling("catalog"):
            response = await self._retrieval.Invalidate(request, timeout=timeout_seconds)
        return response.revision

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
    before = change.category_before if change.HasField("category_before") else None
    after = change.category_after if change.HasField("category_after") else None
    # A revision without a category is about no product, so it may be about any answer.
    return CategoryChange(
        change.revision,
        before,
        after,
        changes_everything=before is None and after is None,
        is_invalidation=change.kind == catalog_pb2.CHANGE_KIND_INVALIDATION,
        product_id=change.product_id,
    )


def _rule(rule: tuning_pb2.Rule) -> Rule:
    return Rule(
        rule.id,
        {pin.product_id: pin.position for pin in rule.pins},
        frozenset(rule.bury_product_ids),
        [Boost(boost.filter, boost.factor) for boost in rule.boosts],
    )
