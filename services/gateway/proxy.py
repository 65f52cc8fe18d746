"""Passes every call of a service on to another process, as bytes: nothing is parsed on the way."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from services.common.rpc_status import calling

# Of unary calls whose caller set no deadline.
DEFAULT_TIMEOUT_SECONDS = 30.0


def add_proxy(
    service: ServiceDescriptor, upstream: str, channel: grpc.aio.Channel, server: grpc.aio.Server
) -> None:
    """Register all methods of `service`, answered by the process behind `channel`."""
    handlers = {
        method.name: _handler(method, f"/{service.full_name}/{method.name}", upstream, channel)
        for method in service.methods
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service.full_name, handlers)]
    )


def _handler(
    method: MethodDescriptor, path: str, upstream: str, channel: grpc.aio.Channel
) -> "grpc.RpcMethodHandler[bytes, bytes]":
    if method.client_streaming:
        raise NotImplementedError(f"{path}: client streams are not passed on")
    if method.server_streaming:
        open_stream: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)

        async def stream(request: bytes, _context: Any) -> AsyncIterator[bytes]:
            with calling(upstream):
                async for response in open_stream(request):
                    yield response

        return grpc.unary_stream_rpc_method_handler(stream)
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)

    async def unary(request: bytes, _context: Any) -> bytes:
        with calling(upstream):
            return await call(request, timeout=DEFAULT_TIMEOUT_SECONDS)

    return grpc.unary_unary_rpc_method_handler(unary)
