"""vitrina.index.v1 to the domain and back."""

from typing import Any

import grpc.aio

from services.index.collection import Collection
from services.index.model import Found, Strategy
from services.index.queries import Queries
from services.index.recall import CheckedRecall, Recall
from services.index.spaces import Collections
from vitrina.index.v1 import index_pb2, index_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

_STRATEGIES = {
    Strategy.EXACT: index_pb2.STRATEGY_EXACT,
    Strategy.GRAPH: index_pb2.STRATEGY_GRAPH,
    Strategy.SIFT: index_pb2.STRATEGY_SIFT,
}


class IndexServicer(index_pb2_grpc.IndexServiceServicer):
    """Serves the index."""

    def __init__(self, queries: Queries, collections: Collections) -> None:
        self._queries = queries
        self._collections = collections

    async def Search(
        self, request: index_pb2.SearchRequest, context: Context
    ) -> index_pb2.SearchResponse:
        found = await self._queries.search(
            request.space,
            request.vector,
            request.limit,
            request.filter,
            request.min_revision,
            feedback_products=request.feedback_products,
        )
        return index_pb2.SearchResponse(
            product_ids=found.product_ids,
            cosines=found.cosines,
            revision=found.revision,
            plan=_plan(found),
        )

    async def Similar(
        self, request: index_pb2.SimilarRequest, context: Context
    ) -> index_pb2.SimilarResponse:
        found, space_id = await self._queries.similar(
            request.spaces,
            request.product_id,
            request.unlike_product_ids,
            request.limit,
            request.filter,
            request.min_revision,
        )
        return index_pb2.SimilarResponse(
            product_ids=found.product_ids,
            cosines=found.cosines,
            revision=found.revision,
            plan=_plan(found),
            space=space_id,
        )

    async def GetVectors(
        self, request: index_pb2.GetVectorsRequest, context: Context
    ) -> index_pb2.GetVectorsResponse:
        vectors, revision = await self._queries.vectors(request.space, request.product_ids)
        return index_pb2.GetVectorsResponse(
            vectors=vectors.astype("<f4", copy=False).tobytes(), revision=revision
        )

    async def WaitForRevision(
        self, request: index_pb2.WaitForRevisionRequest, context: Context
    ) -> index_pb2.WaitForRevisionResponse:
        revision, space_id = await self._queries.wait_for_revision(
            request.spaces, request.min_revision
        )
        return index_pb2.WaitForRevisionResponse(revision=revision, space=space_id)

    async def CheckRecall(
        self, request: index_pb2.CheckRecallRequest, context: Context
    ) -> index_pb2.CheckRecallResponse:
        checked = await self._queries.check_recall(
            request.space, request.vectors, request.sample, request.limit, request.filter
        )
        return index_pb2.CheckRecallResponse(
            recall=_recall(checked.recall),
            plan=_plan(checked),
            search_ms=checked.search_ms,
            scan_ms=checked.scan_ms,
        )

    async def ListCollections(
        self, request: index_pb2.ListCollectionsRequest, context: Context
    ) -> index_pb2.ListCollectionsResponse:
        return index_pb2.ListCollectionsResponse(
            collections=[_collection(collection) for collection in self._collections.all()],
            pinned_space=self._collections.pinned_space,
        )

    async def UseSpace(
        self, request: index_pb2.UseSpaceRequest, context: Context
    ) -> index_pb2.UseSpaceResponse:
        await self._collections.use(request.space)
        return index_pb2.UseSpaceResponse()

    async def DropCollection(
        self, request: index_pb2.DropCollectionRequest, context: Context
    ) -> index_pb2.DropCollectionResponse:
        freed_bytes = await self._collections.drop(
            request.space, allow_missing=request.allow_missing
        )
        return index_pb2.DropCollectionResponse(freed_bytes=freed_bytes)


def _plan(found: Found | CheckedRecall) -> index_pb2.Plan:
    return index_pb2.Plan(
        strategy=_STRATEGIES[found.strategy], vectors=found.vectors, passing=found.passing
    )


def _recall(recall: Recall) -> index_pb2.Recall:
    message = index_pb2.Recall(
        recall=recall.recall, k=recall.k, queries=recall.queries, worst=recall.worst
    )
    message.measure_time.FromDatetime(recall.measured_at)
    return message


def _collection(collection: Collection) -> index_pb2.Collection:
    progress = collection.progress
    snapshot = collection.snapshot
    message = index_pb2.Collection(
        space=collection.space.id,
        dimensions=collection.space.dimensions,
        state=(
            index_pb2.COLLECTION_STATE_READY
            if collection.is_ready
            else index_pb2.COLLECTION_STATE_BUILDING
        ),
        applied_revision=collection.applied_revision,
        head_revision=max(progress.head_revision, collection.applied_revision),
        vectors=snapshot.vectors,
        graph_vectors=snapshot.graph_rows,
        embedded_documents=progress.embedded_documents,
        unchanged_documents=progress.unchanged_documents,
        truncated_documents=progress.truncated_documents,
        memory_bytes=collection.memory_bytes,
        stalled_by=progress.stalled_by.value,
        pending_documents=progress.pending_documents,
        pending_tokens=progress.pending_tokens,
        pending_seconds=progress.pending_seconds,
        embedded_tokens=progress.embedded_tokens,
        is_followed=progress.is_followed,
    )
    if collection.recall is not None:
        message.recall.CopyFrom(_recall(collection.recall))
    if collection.graph_save_time is not None:
        message.graph_save_time.FromDatetime(collection.graph_save_time)
    return message
