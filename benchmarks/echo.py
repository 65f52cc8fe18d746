"""A bare grpc.aio server that answers with bytes that it was told before: the floor of any rpc.

`python -m benchmarks.echo PORT [FILE]`: with a file, its bytes are the reply from the start.
"""

import asyncio
import sys
from pathlib import Path

import grpc.aio
import uvloop

SET = "/echo.Echo/Set"
GET = "/echo.Echo/Get"


async def main(port: int, reply: bytes) -> None:
    """Serve on a port of 127.0.0.1, any free one for 0, which is printed, until terminated."""

    async def set_reply(request: bytes, _context: object) -> bytes:
        nonlocal reply
        reply = request
        return b""

    async def get(_request: bytes, _context: object) -> bytes:
        return reply

    # Several processes may share a port: the default of gRPC.
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Set": grpc.unary_unary_rpc_method_handler(set_reply),
        "Get": grpc.unary_unary_rpc_method_handler(get),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", handlers)])
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print(bound, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes() if sys.argv[2:] else b""))
