"""A bare grpc.aio server that answers with bytes that it was told before: the floor of any rpc."""

import asyncio

import grpc.aio
import uvloop

SET = "/echo.Echo/Set"
GET = "/echo.Echo/Get"


async def main() -> None:
    """Serve on a free port of 127.0.0.1, which is printed, until terminated."""
    reply = b""

    async def set_reply(request: bytes, _context: object) -> bytes:
        nonlocal reply
        reply = request
        return b""

    async def get(_request: bytes, _context: object) -> bytes:
        return reply

    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Set": grpc.unary_unary_rpc_method_handler(set_reply),
        "Get": grpc.unary_unary_rpc_method_handler(get),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("echo.Echo", handlers)])
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
