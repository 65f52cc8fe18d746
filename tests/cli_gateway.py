"""A gateway over a dict, for tests of the command: its public services, real gRPC."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from google.rpc import status_pb2

from services.common import categories, filters
from services.common.errors import DeadlineExceeded, InvalidArgument, NotFound
from services.common.rpc_status import status_of
from services.common.server import Service, serving
from tests.cli_tuning import FakeTuning
from vitrina.catalog.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    facet_pb2,
    suggestion_pb2_grpc,
    tuning_pb2_grpc,
)
from vitrina.search.v1 import search_pb2, search_pb2_grpc

SPACE = "hashing-test-8-00000000"


class FakeGateway(catalog_pb2_grpc.CatalogServiceServicer, search_pb2_grpc.SearchServiceServicer):
    """Stores products; `failures` are raised by the next upserts, one a call."""

    def __init__(self) -> None:
        self.products: dict[str, catalog_pb2.Product] = {}
        self.revision = 0
        self.failures: list[Exception] = []
        self.is_broken = False
        self.was_called = asyncio.Event()
        self.batches: list[int] = []
        self.searches: list[Any] = []
        # Requests for one product, and waits.
        self.readings: list[catalog_pb2.GetProductRequest] = []
        self.removals: list[catalog_pb2.DeleteProductRequest] = []
        self.waits: list[int] = []
        # Categories that were invalidated; empty: all.
        self.invalidated: list[str] = []
        # What becomes of a query whose spelling is wrong.
        self.corrections: dict[str, str] = {}
        self.degraded: Sequence[search_pb2.Degradation.ValueType] = ()
        # How far the index is behind; each status that is read takes one off. Waits are short.
        self.lag = 0
        self.facets: list[facet_pb2.Facet] = []
        self.total_size_kind = facet_pb2.COUNT_KIND_EXACT
        self.tuning = FakeTuning()
        self.index_state = search_pb2.PROCESS_STATE_SERVING

    async def BatchUpsertProducts(
        self, request: catalog_pb2.BatchUpsertProductsRequest, context: Any
    ) -> catalog_pb2.BatchUpsertProductsResponse:
        self.was_called.set()
        if self.failures:
            raise self.failures.pop(0)
        if self.is_broken:
            raise RuntimeError("a secret")
        self.batches.append(len(request.products))
        results = [self._upserted(i, product) for i, product in enumerate(request.products)]
        return catalog_pb2.BatchUpsertProductsResponse(results=results, revision=self.revision)

    def _upserted(self, place: int, product: catalog_pb2.Product) -> catalog_pb2.BatchUpsertResult:
        if len(product.name) > 1000:
            problem = InvalidArgument(
                f"products[{place}].name", f"{len(product.name)} characters, at most 1000"
            )
            error = status_pb2.Status.FromString(status_of(problem).SerializeToString())
            return catalog_pb2.BatchUpsertResult(id=product.id, error=error)
        before = self.products.get(product.id)
        outcome = catalog_pb2.UPSERT_OUTCOME_CREATED
        if before == product:
            outcome = catalog_pb2.UPSERT_OUTCOME_UNCHANGED
        else:
            self.revision += 1
            if before is not None:
                outcome = catalog_pb2.UPSERT_OUTCOME_UPDATED
        self.products[product.id] = product
        return catalog_pb2.BatchUpsertResult(id=product.id, revision=self.revision, outcome=outcome)

    async def GetProduct(
        self, request: catalog_pb2.GetProductRequest, context: Any
    ) -> catalog_pb2.GetProductResponse:
        self.readings.append(request)
        return catalog_pb2.GetProductResponse(
            product=self._existing(request.id), revision=self.revision
        )

    async def DeleteProduct(
        self, request: catalog_pb2.DeleteProductRequest, context: Any
    ) -> catalog_pb2.DeleteProductResponse:
        self.removals.append(request)
        self._existing(request.id)
        del self.products[request.id]
        self.revision += 1
        return catalog_pb2.DeleteProductResponse(revision=self.revision)

    def _existing(self, product_id: str) -> catalog_pb2.Product:
        if product_id not in self.products:
            raise NotFound(f"no product {product_id!r}", reason="PRODUCT_NOT_FOUND")
        return self.products[product_id]

    async def UpsertProduct(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    ListProducts = ListCategories = UseSpace = DropSpace = CheckIndex = UpsertProduct
    WatchChanges: Any = UpsertProduct

    async def Search(
        self, request: search_pb2.SearchRequest, context: Any
    ) -> search_pb2.SearchResponse:
        self.searches.append(request)
        if len(request.query) > 1000:
            raise InvalidArgument("query", f"{len(request.query)} characters, at most 1000")
        filters.parse(request.filter)
        if "colour" in request.order_by:
            raise InvalidArgument("order_by", 'at position 8: unknown field "colour"')
        for place, facet in enumerate(request.facets):
            if facet == "colour":
                raise InvalidArgument(f"facets[{place}]", 'unknown field "colour"')
        corrected = "" if request.literal else self.corrections.get(request.query, "")
        words = (corrected or request.query).casefold().split()
        found = [p for p in self.products.values() if any(w in p.name.casefold() for w in words)]
        start = int(request.page_token or 0)
        end = start + request.page_size
        return search_pb2.SearchResponse(
            results=self._results(found[start:], request.page_size),
            info=self._info(),
            corrected_query=corrected,
            next_page_token=str(end) if end < len(found) else "",
            total_size=len(found),
            total_size_kind=self.total_size_kind,
            facets=self.facets if request.facets else [],
        )

    async def Similar(
        self, request: search_pb2.SimilarRequest, context: Any
    ) -> search_pb2.SimilarResponse:
        self.searches.append(request)
        filters.parse(request.filter)
        own = self._existing(request.product_id)
        others = [p for p in self.products.values() if p.id != own.id]
        return search_pb2.SimilarResponse(
            results=self._results(others, request.page_size), info=self._info()
        )

    def _results(
        self, products: Sequence[catalog_pb2.Product], limit: int
    ) -> list[search_pb2.Result]:
        return [
            search_pb2.Result(product=product, score=0.9 - i / 100)
            for i, product in enumerate(products[:limit])
        ]

    def _info(self) -> search_pb2.AnswerInfo:
        return search_pb2.AnswerInfo(
            revision=self.revision,
            space=SPACE,
            degraded=self.degraded,
            provenance=search_pb2.PROVENANCE_MEMORY,
            timings=search_pb2.Timings(total_ms=3.2),
        )

    async def WaitForRevision(
        self, request: search_pb2.WaitForRevisionRequest, context: Any
    ) -> search_pb2.WaitForRevisionResponse:
        self.waits.append(request.min_revision)
        if self.lag:
            raise DeadlineExceeded("not reached", reason="REVISION_NOT_REACHED")
        return search_pb2.WaitForRevisionResponse(revision=self.revision, space=SPACE)

    async def GetStatus(
        self, request: search_pb2.GetStatusRequest, context: Any
    ) -> search_pb2.GetStatusResponse:
        lag, self.lag = self.lag, max(0, self.lag - 1)
        serving_state = search_pb2.PROCESS_STATE_SERVING
        return search_pb2.GetStatusResponse(
            processes=[
                search_pb2.ProcessStatus(name="gateway", state=serving_state),
                search_pb2.ProcessStatus(name="index", state=self.index_state, latency_ms=1.5),
            ],
            catalog=search_pb2.CatalogStatus(
                revision=self.revision, product_count=len(self.products)
            ),
            collections=[
                # The preferred space is being built, and does not count yet.
                search_pb2.CollectionStatus(space="gemini-x", applied_revision=0, lag=9),
                search_pb2.CollectionStatus(
                    space=SPACE,
                    is_ready=True,
                    applied_revision=max(0, self.revision - lag),
                    lag=lag,
                    vectors=len(self.products),
                ),
            ],
            spaces=[
                search_pb2.SpaceStatus(id="gemini-x", provider="gemini"),
                search_pb2.SpaceStatus(id=SPACE, provider="hashing", is_working=True),
            ],
            cache=search_pb2.CacheStatus(
                redis=search_pb2.REDIS_STATE_DOWN, memory_hits=3, misses=1, is_following=True
            ),
        )

    async def InvalidateCache(
        self, request: search_pb2.InvalidateCacheRequest, context: Any
    ) -> search_pb2.InvalidateCacheResponse:
        self.invalidated.append(categories.parsed(request.category))
        self.revision += 1
        return search_pb2.InvalidateCacheResponse(revision=self.revision)


@asynccontextmanager
async def gateway_serving(fake: FakeGateway, listen: str = "127.0.0.1:0") -> AsyncIterator[str]:
    """Serve the fake; give its address."""
    service = Service(
        name="gateway",
        listen=listen,
        service_names=["vitrina.search.v1.SearchService", "vitrina.catalog.v1.CatalogService"],
        registrations=[
            lambda s: catalog_pb2_grpc.add_CatalogServiceServicer_to_server(fake, s),
            lambda s: search_pb2_grpc.add_SearchServiceServicer_to_server(fake, s),
            lambda s: tuning_pb2_grpc.add_TuningServiceServicer_to_server(fake.tuning, s),
            lambda s: suggestion_pb2_grpc.add_SuggestionServiceServicer_to_server(fake.tuning, s),
        ],
        adapters=[],
        grace_seconds=1,
    )
    async with serving(service) as port:
        yield f"127.0.0.1:{port}"
