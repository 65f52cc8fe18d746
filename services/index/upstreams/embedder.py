"""The embedder over gRPC."""

from collections.abc import Sequence

import grpc
import grpc.aio

from services.common.errors import InvalidArgument, VitrinaError
from services.common.rpc_status import calling, error_from_call
from services.index.model import Embedding, Space
from vitrina.embedder.v1 import embedder_pb2, embedder_pb2_grpc

_LIST_TIMEOUT_SECONDS = 5.0


class EmbedderClient:
    """See `Embedder`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._embedder = embedder_pb2_grpc.EmbedderServiceStub(channel)

    async def spaces(self) -> Sequence[Space]:
        """Return the embedder's spaces."""
        with calling("embedder"):
            response = await self._embedder.ListSpaces(
                embedder_pb2.ListSpacesRequest(), timeout=_LIST_TIMEOUT_SECONDS
            )
        return [
            Space(space.id, space.dimensions, space.document_template) for space in response.spaces
        ]

    async def embed(
        self, space_id: str, texts: Sequence[str], *, timeout_seconds: float
    ) -> Embedding:
        """Embed documents in this very space."""
        request = embedder_pb2.EmbedRequest(
            texts=texts, spaces=[space_id], purpose=embedder_pb2.PURPOSE_DOCUMENT
        )
        try:
            response = await self._embedder.Embed(request, timeout=timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise _meaning(error) from error
        return Embedding(
            space=response.space,
            dimensions=response.dimensions,
            vectors=response.vectors,
            truncated_texts=response.truncated_texts,
        )


def _meaning(error: grpc.aio.AioRpcError) -> VitrinaError:
    meant = error_from_call(error, "embedder")
    is_refusal = error.code() is grpc.StatusCode.INVALID_ARGUMENT
    if is_refusal and not isinstance(meant, InvalidArgument):
        # it did not say which field: of what we send, only the texts are not ours
        return InvalidArgument("texts", "refused by the embedder")
    return meant
