"""CatalogService and RetrievalService: protobuf to domain, and back."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from services.catalog.catalog import Catalog
from services.catalog.codec import (
    batch_result,
    change_message,
    draft_of,
    facet_message,
    outcome_message,
    page_message,
    product_message,
)
from services.catalog.pacing import paced
from services.catalog.suggesting.popular import QueryCount
from services.catalog.suggesting.suggestions import Suggestions
from services.catalog.tuning.codec import rule_message
from services.common.errors import InvalidArgument
from vitrina.catalog.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
)

Context = grpc.aio.ServicerContext[Any, Any]


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """What shops call."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def GetProduct(
        self, request: catalog_pb2.GetProductRequest, context: Context
    ) -> catalog_pb2.GetProductResponse:
        stored, revision = await self._catalog.get(request.id, request.min_revision)
        return catalog_pb2.GetProductResponse(product=product_message(stored), revision=revision)

    async def ListProducts(
        self, request: catalog_pb2.ListProductsRequest, context: Context
    ) -> catalog_pb2.ListProductsResponse:
        listing = await self._catalog.list_page(
            request.page_size, request.page_token, request.category
        )
        return catalog_pb2.ListProductsResponse(
            products=[product_message(stored) async for stored in paced(listing.products)],
            next_page_token=listing.next_page_token,
            revision=listing.revision,
        )

    async def UpsertProduct(
        self, request: catalog_pb2.UpsertProductRequest, context: Context
    ) -> catalog_pb2.UpsertProductResponse:
        try:
            upserted = await self._catalog.upsert(draft_of(request.product))
        except InvalidArgument as error:
            raise error.within("product") from error
        return catalog_pb2.UpsertProductResponse(
            product=product_message(upserted.stored),
            revision=upserted.stored.revision,
            outcome=outcome_message(upserted.outcome),
        )

    async def BatchUpsertProducts(
        self, request: catalog_pb2.BatchUpsertProductsRequest, context: Context
    ) -> catalog_pb2.BatchUpsertProductsResponse:
        drafts = [draft_of(product) async for product in paced(request.products)]
        batch = await self._catalog.batch_upsert(drafts)
        return catalog_pb2.BatchUpsertProductsResponse(
            results=map(batch_result, request.products, batch.results), revision=batch.revision
        )

    async def DeleteProduct(
        self, request: catalog_pb2.DeleteProductRequest, context: Context
    ) -> catalog_pb2.DeleteProductResponse:
        revision = await self._catalog.delete(request.id, allow_missing=request.allow_missing)
        return catalog_pb2.DeleteProductResponse(revision=revision)

    async def ListCategories(
        self, request: catalog_pb2.ListCategoriesRequest, context: Context
    ) -> catalog_pb2.ListCategoriesResponse:
        found = await self._catalog.categories()
        return catalog_pb2.ListCategoriesResponse(
            categories=[
                catalog_pb2.Category(
                    path=category.path,
                    product_count=category.product_count,
                    subtree_product_count=category.subtree_product_count,
                )
                for category in found.categories
            ],
            revision=found.revision,
        )

    async def WatchChanges(
        self, request: catalog_pb2.WatchChangesRequest, context: Context
    ) -> AsyncIterator[catalog_pb2.WatchChangesResponse]:
        pages = self._catalog.watch(request.after_revision, with_products=not request.omit_products)
        async for page in pages:
            yield catalog_pb2.WatchChangesResponse(
                changes=[change_message(change) async for change in paced(page.changes)],
                head_revision=page.head_revision,
                catalog_id=page.catalog_id,
            )


class RetrievalServicer(retrieval_pb2_grpc.RetrievalServiceServicer):
    """What the gateway calls to answer a query."""

    def __init__(self, catalog: Catalog, suggestions: Suggestions) -> None:
        self._catalog = catalog
        self._suggestions = suggestions

    async def SearchText(
        self, request: retrieval_pb2.SearchTextRequest, context: Context
    ) -> retrieval_pb2.SearchTextResponse:
        found = await self._catalog.search_text(
            request.query,
            request.limit,
            request.filter,
            literal=request.literal,
            order_by=request.order_by,
        )
        return retrieval_pb2.SearchTextResponse(
            product_ids=[hit.product_id for hit in found.hits],
            scores=[hit.score for hit in found.hits],
            exact_identifiers=found.exact_identifiers,
            is_complete=found.is_complete,
            revision=found.revision,
            corrected_query=found.corrected_query,
            requires_words=found.requires_words,
            rules=map(rule_message, found.rules),
            synonym_ids=found.synonym_ids,
        )

    async def BatchGetProducts(
        self, request: retrieval_pb2.BatchGetProductsRequest, context: Context
    ) -> retrieval_pb2.BatchGetProductsResponse:
        found = await self._catalog.get_active(list(request.ids))
        highlights = await self._catalog.highlights(
            found.products, request.highlight_query, literal=request.literal
        )
        return retrieval_pb2.BatchGetProductsResponse(
            products=[page_message(stored) async for stored in paced(found.products)],
            revision=found.revision,
            highlights=[
                retrieval_pb2.Highlights(name=each.name, description=each.description)
                for each in highlights
            ],
        )

    async def RecordQueries(
        self, request: retrieval_pb2.RecordQueriesRequest, context: Context
    ) -> retrieval_pb2.RecordQueriesResponse:
        await self._suggestions.record(
            [QueryCount(entry.query, entry.count) for entry in request.queries]
        )
        return retrieval_pb2.RecordQueriesResponse()

    async def Arrange(
        self, request: retrieval_pb2.ArrangeRequest, context: Context
    ) -> retrieval_pb2.ArrangeResponse:
        arranged = await self._catalog.arrange(
            list(request.product_ids),
            request.filter,
            request.order_by,
            list(request.facets),
            list(request.conditions),
        )
        return retrieval_pb2.ArrangeResponse(
            product_ids=arranged.product_ids,
            facets=map(facet_message, arranged.facets),
            accepted=[
                retrieval_pb2.Accepted(positions=positions) for positions in arranged.accepted
            ],
            revision=arranged.revision,
        )

    async def Invalidate(
        self, request: retrieval_pb2.InvalidateRequest, context: Context
    ) -> retrieval_pb2.InvalidateResponse:
        revision = await self._catalog.invalidate(request.category)
        return retrieval_pb2.InvalidateResponse(revision=revision)

    async def GetCatalogStatus(
        self, request: retrieval_pb2.GetCatalogStatusRequest, context: Context
    ) -> retrieval_pb2.GetCatalogStatusResponse:
        state = await self._catalog.state()
        return retrieval_pb2.GetCatalogStatusResponse(
            revision=state.revision,
            product_count=state.product_count,
            catalog_id=state.catalog_id,
        )
