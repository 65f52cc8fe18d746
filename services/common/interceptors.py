"""What every rpc of every service gets: trace, deadline, log, and errors mapped once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from services.common import deadlines, telemetry
from services.common.errors import InvalidArgument, Overloaded, Unavailable, VitrinaError
from services.common.rpc_status import status_of

log = telemetry.get_logger()

_ALWAYS_SERVED = ("/grpc.health.", "/grpc.reflection.")
# Unary, but as long as a stream.
_WAITS = "/WaitForRevision"

Deserialize: TypeAlias = Callable[[bytes], Any]
# The reply to a serialised request that can be had without waiting; None: call the method.
AtOnce: TypeAlias = Callable[[bytes], bytes | None]
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ServiceInterceptor(grpc.aio.ServerInterceptor):
    """Wraps unary calls and server streams. Until `is_serving`, calls end with UNAVAILABLE.

    Beyond so many calls in flight they end with RESOURCE_EXHAUSTED, before they
    cost anything. Streams and waits have a bound of the same size to themselves.

    Methods (by their paths) in `at_once` answer with bytes, some of them without waiting.
    Those answers need neither a deadline nor a bound nor a line in the log.
    """

    def __init__(
        self, max_calls_in_flight: int, at_once: Mapping[str, AtOnce] | None = None
    ) -> None:
        self.is_serving = False
        self._max_calls_in_flight = max_calls_in_flight
        self._at_once = at_once or {}
        self._in_flight: Counter[str] = Counter()
        # Handlers by method. Only methods that are there get in.
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler of the rpc, wrapped."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None or method.startswith(_ALWAYS_SERVED):
                return handler
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Any) -> Any:
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary, handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream, handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        return handler

    def _begin(self, context: Context) -> float:
        telemetry.start_trace(
            telemetry.metadata_value(context.invocation_metadata(), telemetry.TRACEPARENT)
        )
        deadlines.start(context.time_remaining())
        if not self.is_serving:
            raise Unavailable("not serving yet, or not any more", reason="NOT_SERVING")
        return time.perf_counter()

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        if self._in_flight[kind] >= self._max_calls_in_flight:
            raise Overloaded(f"{self._in_flight[kind]} {kind} are in flight already")
        self._in_flight[kind] += 1
        try:
            yield
        finally:
            self._in_flight[kind] -= 1

    def _unary(self, method: str, behavior: Any, deserialize: Deserialize | None) -> Any:
        kind = "long calls" if method.endswith(_WAITS) else "calls"
        at_once = self._at_once.get(method)

        async def call(data: bytes, context: Context) -> Any:
            if at_once is not None and self.is_serving:
                reply = at_once(data)
                if reply is not None:
                    return reply
            try:
                started = self._begin(context)
                with self._counted(kind):
                    response = await behavior(_request(data, deserialize), context)
            except (grpc.aio.AbortError, asyncio.CancelledError):
                raise
            except Exception as error:
                await _abort(method, error, context)
            log.debug("rpc", method=method, ms=_ms_since(started))
            return response

        return call

    def _stream(self, method: str, behavior: Any, deserialize: Deserialize | None) -> Any:
        async def call(data: bytes, context: Context) -> AsyncIterator[Any]:
            try:
                started = self._begin(context)
                request = _request(data, deserialize)
                # Closed at once when the caller is gone, and not when it is collected.
                with self._counted("long calls"):
                    async with aclosing(behavior(request, context)) as responses:
                        async for response in responses:
                            yield response
            except (grpc.aio.AbortError, asyncio.CancelledError):
                raise
            except Exception as error:
                await _abort(method, error, context)
            log.debug("rpc", method=method, ms=_ms_since(started))

        return call


def _request(data: bytes, deserialize: Deserialize | None) -> Any:
    """Return the message. Here, since gRPC itself would answer UNKNOWN with the error's text."""
    if deserialize is None:
        return data
    try:
        return deserialize(data)
    except DecodeError:
        raise InvalidArgument("request", "the bytes are not a message of this type") from None


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


async def _abort(method: str, error: Exception, context: Context) -> NoReturn:
    if isinstance(error, VitrinaError):
        log.info("rpc refused", method=method, reason=error.reason, problem=error.message)
    else:
        log.error("rpc failed", method=method, exc_info=error)
    await context.abort_with_status(rpc_status.to_status(status_of(error)))
    raise AssertionError("abort_with_status raises")
