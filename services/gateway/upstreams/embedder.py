"""The embedder over gRPC."""

from collections.abc import Sequence

import grpc.aio

from services.common.rpc_status import calling
from services.gateway.ports import QueryVector, Space
from services.gateway.upstreams.health import HealthCheck
from vitrina.embedder.v1 import embedder_pb2 as pb
from vitrina.embedder.v1 import embedder_pb2_grpc


class GrpcEmbedder(HealthCheck):
    """See ports.Embedder."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel, "embedder")
        self._stub: embedder_pb2_grpc.EmbedderServiceAsyncStub
        self._stub = embedder_pb2_grpc.EmbedderServiceStub(channel)

    async def embed_query(
        self, text: str, spaces: Sequence[str], timeout_seconds: float
    ) -> QueryVector:
        """Return the vector in the first of the spaces that works in time."""
        request = pb.EmbedRequest(texts=[text], spaces=spaces, purpose=pb.PURPOSE_QUERY)
        with calling("embedder"):
            response = await self._stub.Embed(request, timeout=timeout_seconds)
        return QueryVector(response.space, response.vectors)

    async def list_spaces(self, timeout_seconds: float) -> Sequence[Space]:
        """Return all spaces, the most preferred first."""
        with calling("embedder"):
            response = await self._stub.ListSpaces(pb.ListSpacesRequest(), timeout=timeout_seconds)
        return [
            Space(
                space.id,
                space.provider,
                space.model,
                space.dimensions,
                space.state == pb.SPACE_STATE_READY,
            )
            for space in response.spaces
        ]
