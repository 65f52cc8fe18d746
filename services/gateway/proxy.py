"""Passes every call of a service on to another process, as bytes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass

from services.common.rpc_status import calling

# Of unary calls whose caller set no deadline.
DEFAULT_TIMEOUT_SECONDS = 30.0


# Is handed the request and the response of a call.
Answered = Callable[[Any, Any], Awaitable[None]]


def add_proxy(
    service: ServiceDescriptor,
    upstream: str,
    channel: grpc.aio.Channel,
    when_answered: dict[str, Answered],
    timeouts_seconds: dict[str, float],
    server: grpc.aio.Server,
) -> None:
    """Register all methods of `service`, answered by the process behind `channel`.

    A unary method that is named in `when_answered` hands request and response over
    before the caller gets it. `timeouts_seconds` are of methods whose caller sets no
    deadline, where they differ from DEFAULT_TIMEOUT_SECONDS.
    """
    handlers = {
        method.name: _handler(
            method,
            f"/{service.full_name}/{method.name}",
            upstream,
            channel,
            when_answered.get(method.name),
            timeouts_seconds.get(method.name, DEFAULT_TIMEOUT_SECONDS),
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
    timeout_seconds: float,
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

    request_class = GetMessageClass(method.input_type)
    response_class = GetMessageClass(method.output_type)

    async def unary(request: bytes, _context: Any) -> bytes:
        with calling(upstream):
            response = await call(request, timeout=timeout_seconds)
        if when_answered is not None:
            await when_answered(
                request_class.FromString(request), response_class.FromString(response)
            )
        return response

    return grpc.unary_unary_rpc_method_handler(unary)
