"""Passes every call of a service on to another process, as bytes: requests are not parsed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from services.common.rpc_status import calling

# Of unary calls whose caller set no deadline.
DEFAULT_TIMEOUT_SECONDS = 30.0


Answered = Callable[[Any], Awaitable[None]]


def add_proxy(
    service: ServiceDescriptor,
    upstream: str,
    channel: grpc.aio.Channel,
    when_answered: dict[str, Answered],
    server: grpc.aio.Server,
) -> None:
    """Register all methods of `service`, answered by the process behind `channel`.

    A unary method that is named in `when_answered` hands its response over
    before the caller gets it.
    """
    handlers = {
        method.name: _handler(
            method,
            f"/{service.full_name}/{method.name}",
            upstream,
            channel,
            when_answered.get(method.name),
        )
        for method in service.methods
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service.full_name, handlers)]
    )


def _handler(
    method: MethodDescriptor,
    path: str,
    upstream: str,
    channel: grpc.aio.Channel,
    when_answered: Answered | None,
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

    response_class = GetMessageClass(method.output_type)

    async def unary(request: bytes, _context: Any) -> bytes:
        with calling(upstream):
            response = await call(request, timeout=DEFAULT_TIMEOUT_SECONDS)
        if when_answered is not None:
            await when_answered(response_class.FromString(response))
        return response

    return grpc.unary_unary_rpc_method_handler(unary)
