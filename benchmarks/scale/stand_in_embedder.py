"""An embedder that answers at once, with vectors drawn as in `drawing`.

python -m benchmarks.scale.stand_in_embedder FILE      a file of `RealShop`; the port is printed
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

from benchmarks.scale.drawing import Drawing
from benchmarks.scale.real_shop import RealShop
from services.common.channel import MAX_MESSAGE_BYTES
from vitrina.embedder.v1 import embedder_pb2 as pb
from vitrina.embedder.v1 import embedder_pb2_grpc

# Its vectors are not those of the model.
SPACE = "stand-in"

_SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
]
Context = grpc.aio.ServicerContext[Any, Any]


class StandInEmbedder(embedder_pb2_grpc.EmbedderServiceServicer):
    """One space, with the document template of the real one."""

    def __init__(self, shop: RealShop) -> None:
        self._drawing = Drawing(shop.vectors, shop.neighbours)
        self._dimensions = shop.dimensions
        self._template = shop.template

    async def Embed(  # noqa: N802, D102
        self, request: pb.EmbedRequest, _context: Context
    ) -> pb.EmbedResponse:
        vectors = self._drawing.vectors_of(request.texts)
        return pb.EmbedResponse(
            space=SPACE, dimensions=self._dimensions, vectors=vectors.astype("<f4").tobytes()
        )

    async def ListSpaces(  # noqa: N802, D102
        self, _request: pb.ListSpacesRequest, _context: Context
    ) -> pb.ListSpacesResponse:
        space = pb.Space(
            id=SPACE,
            dimensions=self._dimensions,
            document_template=self._template,
            state=pb.SPACE_STATE_READY,
        )
        return pb.ListSpacesResponse(spaces=[space])


async def serve(register: Any) -> None:
    """Serve on a free port of 127.0.0.1, which is printed, until terminated or stdin ends."""
    server = grpc.aio.server(options=_SERVER_OPTIONS)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


async def _main() -> None:
    servicer = StandInEmbedder(RealShop.load(Path(sys.argv[1])))
    await serve(
        lambda server: embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(servicer, server)
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
