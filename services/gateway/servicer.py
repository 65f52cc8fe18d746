"""vitrina.search.v1.SearchService: protobuf to domain and back."""

from typing import Any

import grpc
import grpc.aio
from cachetools import LRUCache
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.common import facets
from services.gateway import queries
from services.gateway.cache import AnswerCache
from services.gateway.codec import near_response, served_bytes
from services.gateway.following import ReadySpaces
from services.gateway.freshness import Freshness
from services.gateway.index_check import IndexCheck, Question
from services.gateway.invalidation import Invalidation
from services.gateway.popularity import Popularity
from services.gateway.ports import Catalog, CatalogState, Collection, Embedder, Index, Recall
from services.gateway.search import Searching
from services.gateway.status import Process, read_status
from services.gateway.validity import ChangeLog
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

# Requests whose reading is remembered, and how long they may be.
_HOT_QUERIES = 1024
_MAX_HOT_BYTES = 1024


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """Search and Similar."""

    def __init__(
        self,
        searching: Searching,
        status: "StatusReader",
        popularity: Popularity,
        freshness: Freshness,
        invalidation: Invalidation,
        spaces: ReadySpaces,
        index_check: IndexCheck,
        *,
        budget_seconds: float,
        semantic_weight: float,
    ) -> None:
        self._searching = searching
        self._status = status
        self._popularity = popularity
        self._freshness = freshness
        self._invalidation = invalidation
        self._spaces = spaces
        self._index_check = index_check
        self._budget_seconds = budget_seconds
        self._semantic_weight = semantic_weight
        self._hot_queries: LRUCache[bytes, queries.Query] = LRUCache(_HOT_QUERIES)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the methods; Search answers with the bytes that the cache keeps."""
        search_pb2_grpc.add_SearchServiceServicer_to_server(self, server)
        handler: Any = grpc.unary_unary_rpc_method_handler(self.Search, self.query_of)
        service = pb.DESCRIPTOR.services_by_name["SearchService"]
        server.add_registered_method_handlers(service.full_name, {"Search": handler})

    async def Search(self, query: queries.Query, context: Any) -> bytes:  # type: ignore[override]
        """Answer a request that `query_of` has read."""
        served = await self._searching.search(query)
        if not (query.skip_cache or query.page_token):
            self._popularity.count(served.encoded.popular)
        return served_bytes(served)

    def search_at_once(self, data: bytes) -> bytes | None:
        """Return the response to a hot request if memory holds it; None: call Search."""
        query = self._hot_queries.get(data)
        served = None if query is None else self._searching.search_at_once(query)
        if served is None:
            return None
        self._popularity.count(served.encoded.popular)
        return served_bytes(served)

    def query_of(self, data: bytes) -> queries.Query:
        """Return the query of a serialised request; hot ones come again byte for byte."""
        query = self._hot_queries.get(data)
        if query is None:
            query = self._query(pb.SearchRequest.FromString(data))
            if len(data) <= _MAX_HOT_BYTES:
                self._hot_queries[data] = query
        return query

    def _query(self, request: pb.SearchRequest) -> queries.Query:
        order_by = queries.parse_order_by(request.order_by)
        mode = queries.parse_mode(request.mode)
        return queries.Query(
            text=queries.parse_text(request.query),
            page_size=queries.parse_page_size(request.page_size),
            min_revision=queries.parse_min_revision(request.min_revision),
            budget_seconds=self._budget(request),
            filter=queries.Filter.parse(request.filter, request.category),
            mode=mode,
            semantic_weight=queries.parse_semantic_weight(
                request.semantic_weight if request.HasField("semantic_weight") else None,
                self._semantic_weight,
            ),
            literal=request.literal,
            facets=facets.parse(request.facets) if not request.page_token else (),
            order_by=order_by,
            highlight=request.highlight,
            diversity=queries.parse_diversity(request.diversity, order_by),
            without_rules=request.without_rules,
            space=queries.parse_space(request.space, mode),
            page_token=request.page_token,
            skip_cache=request.skip_cache,
        )

    async def Similar(self, request: pb.SimilarRequest, context: Any) -> pb.SimilarResponse:
        query = queries.SimilarQuery(
            product_id=queries.parse_product_id(request.product_id),
            page_size=queries.parse_page_size(request.page_size),
            min_revision=queries.parse_min_revision(request.min_revision),
            budget_seconds=self._budget(request),
            filter=queries.Filter.parse(request.filter, request.category),
            unlike=queries.parse_unlike(request.product_id, request.unlike),
        )
        return near_response(await self._searching.similar(query))

    async def WaitForRevision(
        self, request: pb.WaitForRevisionRequest, context: Any
    ) -> pb.WaitForRevisionResponse:
        timeout_seconds = _seconds(request.timeout) if request.HasField("timeout") else None
        reached = await self._freshness.wait(request.min_revision, timeout_seconds)
        return pb.WaitForRevisionResponse(revision=reached.revision, space=reached.space)

    async def UseSpace(self, request: pb.UseSpaceRequest, context: Any) -> pb.UseSpaceResponse:
        await self._spaces.use(request.space)
        return pb.UseSpaceResponse()

    async def DropSpace(self, request: pb.DropSpaceRequest, context: Any) -> pb.DropSpaceResponse:
        freed_bytes = await self._spaces.drop(request.space, allow_missing=request.allow_missing)
        return pb.DropSpaceResponse(freed_bytes=freed_bytes)

    async def CheckIndex(
        self, request: pb.CheckIndexRequest, context: Any
    ) -> pb.CheckIndexResponse:
        checked = await self._index_check.check(
            Question.parse(
                space=request.space,
                queries=request.queries,
                sample=request.sample,
                k=request.k,
                filter_text=request.filter,
            )
        )
        return pb.CheckIndexResponse(
            space=checked.space,
            recall=_recall(checked.recall),
            plan=pb.Plan(**vars(checked.plan)),
            search_ms=checked.search_ms,
            scan_ms=checked.scan_ms,
        )

    async def InvalidateCache(
        self, request: pb.InvalidateCacheRequest, context: Any
    ) -> pb.InvalidateCacheResponse:
        revision = await self._invalidation.invalidate(request.category)
        return pb.InvalidateCacheResponse(revision=revision)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        return await self._status.read()

    def _budget(self, request: pb.SearchRequest | pb.SimilarRequest) -> float:
        asked = _seconds(request.timeout) if request.HasField("timeout") else None
        return queries.parse_budget(asked, self._budget_seconds)


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


class StatusReader:
    """Puts the status of all parts into one response."""

    def __init__(
        self,
        embedder: Embedder,
        index: Index,
        catalog: Catalog,
        cache: AnswerCache,
        changes: ChangeLog,
    ) -> None:
        self._upstreams = (embedder, index, catalog)
        self._cache = cache
        self._changes = changes

    async def read(self) -> pb.GetStatusResponse:
        """Return the response."""
        status = await read_status(*self._upstreams)
        return pb.GetStatusResponse(
            processes=[_process(process) for process in status.processes],
            catalog=pb.CatalogStatus(
                revision=status.catalog.revision, product_count=status.catalog.product_count
            )
            if status.catalog
            else None,
            collections=[_collection(each, status.catalog) for each in status.collections],
            spaces=[
                pb.SpaceStatus(
                    id=space.id,
                    provider=space.provider,
                    model=space.model,
                    dimensions=space.dimensions,
                    is_working=space.is_working,
                )
                for space in status.spaces
            ],
            cache=self._cache_status(),
        )

    def _cache_status(self) -> pb.CacheStatus:
        memory, shared, counts = self._cache.memory, self._cache.shared, self._cache.counts
        if shared is None:
            redis = pb.REDIS_STATE_NOT_CONFIGURED
        else:
            redis = pb.REDIS_STATE_UP if shared.is_up else pb.REDIS_STATE_DOWN
        return pb.CacheStatus(
            memory_entries=memory.entry_count,
            memory_bytes=memory.size_bytes,
            memory_limit_bytes=memory.limit_bytes,
            redis=redis,
            is_following=self._changes.is_following,
            invalidations=self._changes.invalidations,
            **vars(counts),
        )


def _process(process: Process) -> pb.ProcessStatus:
    if process.is_serving is None:
        state = pb.PROCESS_STATE_UNREACHABLE
    elif process.is_serving:
        state = pb.PROCESS_STATE_SERVING
    else:
        state = pb.PROCESS_STATE_NOT_SERVING
    return pb.ProcessStatus(name=process.name, state=state, latency_ms=round(process.latency_ms, 3))


def _recall(recall: Recall) -> pb.Recall:
    measure_time = Timestamp()
    measure_time.FromDatetime(recall.measured_at)
    return pb.Recall(
        recall=recall.recall,
        k=recall.k,
        queries=recall.queries,
        worst=recall.worst,
        measure_time=measure_time,
    )


def _collection(collection: Collection, catalog: CatalogState | None) -> pb.CollectionStatus:
    # The index knows the head only as far as it has read the feed.
    head = max(collection.head_revision, catalog.revision if catalog else 0)
    return pb.CollectionStatus(
        space=collection.space,
        is_ready=collection.is_ready,
        applied_revision=collection.applied_revision,
        lag=max(0, head - collection.applied_revision),
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
        is_pinned=collection.is_pinned,
        recall=_recall(collection.recall) if collection.recall else None,
    )
