"""Protobuf to domain and back."""

import grpc.aio

from services.common.errors import InvalidArgument
from services.embedder.embedding import Embedder, SpaceStatus
from services.embedder.spaces import Purpose, SkipReason
from vitrina.embedder.v1 import embedder_pb2, embedder_pb2_grpc

_PURPOSES = {
    embedder_pb2.PURPOSE_QUERY: Purpose.QUERY,
    embedder_pb2.PURPOSE_DOCUMENT: Purpose.DOCUMENT,
}


class EmbedderServicer(embedder_pb2_grpc.EmbedderServiceServicer):
    """vitrina.embedder.v1.EmbedderService."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def Embed(
        self,
        request: embedder_pb2.EmbedRequest,
        context: grpc.aio.ServicerContext[embedder_pb2.EmbedRequest, embedder_pb2.EmbedResponse],
    ) -> embedder_pb2.EmbedResponse:
        purpose = _PURPOSES.get(request.purpose)
        if purpose is None:
            raise InvalidArgument("purpose", "neither PURPOSE_QUERY nor PURPOSE_DOCUMENT")
        outcome = await self._embedder.embed(list(request.texts), list(request.spaces), purpose)
        return embedder_pb2.EmbedResponse(
            space=outcome.space.id,
            dimensions=outcome.space.dimensions,
            vectors=outcome.vectors.astype("<f4", copy=False).tobytes(),
            truncated_texts=outcome.truncated_texts,
            skipped=[
                embedder_pb2.SkippedSpace(space=each.space_id, reason=_skip_reason(each.reason))
                for each in outcome.skipped
            ],
        )

    async def ListSpaces(
        self,
        request: embedder_pb2.ListSpacesRequest,
        context: grpc.aio.ServicerContext[
            embedder_pb2.ListSpacesRequest, embedder_pb2.ListSpacesResponse
        ],
    ) -> embedder_pb2.ListSpacesResponse:
        return embedder_pb2.ListSpacesResponse(
            spaces=[_space_message(status) for status in self._embedder.spaces()]
        )


def _skip_reason(reason: SkipReason) -> embedder_pb2.SkipReason.ValueType:
    return embedder_pb2.SkipReason.Value(f"SKIP_REASON_{reason.value}")


def _space_message(status: SpaceStatus) -> embedder_pb2.Space:
    space = status.space
    return embedder_pb2.Space(
        id=space.id,
        provider=space.provider,
        model=space.model,
        dimensions=space.dimensions,
        document_template=space.document_template,
        max_tokens=space.max_tokens,
        state=(
            embedder_pb2.SPACE_STATE_FAILING
            if status.is_failing
            else embedder_pb2.SPACE_STATE_READY
        ),
    )
