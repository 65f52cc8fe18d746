"""HTTP requests to gRPC calls and back: unary as JSON, server streams as lines of JSON."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc.aio
from google.protobuf import message_factory
from google.protobuf.message import Message
from google.rpc import code_pb2
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.common import deadlines
from services.common.errors import DeadlineExceeded, InvalidArgument, Unavailable
from services.gateway.rest.access import JSON, ROUTE
from services.gateway.rest.bindings import Binding, Routes
from services.gateway.rest.errors import ClientGone, HttpError, error_line
from services.gateway.rest.replies import json_reply
from services.gateway.rest.requests import build_request

TIMEOUT_HEADER = "x-request-timeout"
JSON_LINES = "application/x-ndjson"

# Converting so much takes milliseconds, in which the event loop would stand still.
_LARGE_BYTES = 64 * 1024

T = TypeVar("T")


class Transcoder:
    """ASGI application: a request that a binding matches becomes a call on the channel."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        routes: Routes,
        *,
        timeout_seconds: float,
        max_body_bytes: int,
    ) -> None:
        self._routes = routes
        self._timeout_seconds = timeout_seconds
        self._max_body_bytes = max_body_bytes
        self._stubs = {binding.rpc_path: _stub(channel, binding) for binding in routes.bindings}
        self._streams: set[Any] = set()
        self._is_draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises what `errors.http_answer` turns into an answer."""
        headers = Headers(scope=scope)
        binding, variables = self._routes.find(scope["method"], scope["raw_path"])
        scope[ROUTE] = binding.template.text
        asked_seconds = _asked_seconds(headers)
        timeout_seconds = min(self._timeout_seconds, asked_seconds or math.inf)
        deadlines.start(timeout_seconds)
        if binding.body:
            _require_json(headers)
        body = await self._read_body(headers, receive, timeout_seconds)
        request = await _aside(
            len(body), build_request, binding, variables, scope["query_string"], body
        )
        if binding.rpc.server_streaming:
            # A feed has no end, so it gets a deadline only where the client asks for one.
            if asked_seconds is None:
                deadlines.start(None)
            await self._stream(binding, request, scope, receive, send)
        else:
            async with self._call(binding, request, receive) as call:
                message = await call
            content = await _aside(message.ByteSize(), json_reply, binding, message)
            await Response(content, media_type=JSON)(scope, receive, send)

    def drain(self) -> None:
        """End every stream with UNAVAILABLE; they would hold up the end of the process."""
        self._is_draining = True
        for call in self._streams:
            call.cancel()

    async def _read_body(self, headers: Headers, receive: Receive, timeout_seconds: float) -> bytes:
        body = bytearray()
        announced = headers.get("content-length", "0")
        try:
            async with asyncio.timeout(timeout_seconds):
                while int(announced) <= self._max_body_bytes:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    body += message.get("body", b"")
                    if len(body) > self._max_body_bytes:
                        break
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise DeadlineExceeded("the body did not arrive in time") from None
        raise HttpError(
            413,
            code_pb2.INVALID_ARGUMENT,
            "BODY_TOO_LARGE",
            f"body: more than {self._max_body_bytes} bytes",
        )

    @asynccontextmanager
    async def _call(
        self, binding: Binding, request: Message, receive: Receive
    ) -> AsyncIterator[Any]:
        """Give the call, cancelled when the client goes; then the block ends by ClientGone."""
        call = self._stubs[binding.rpc_path](request)

        async def cancel_when_client_goes() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            call.cancel()

        watcher = asyncio.create_task(cancel_when_client_goes())
        try:
            yield call
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this task was cancelled but the call: by the watcher, by `drain`,
            # or by the upstream, whose CANCELLED the call raises in the same way.
            if watcher.done():
                raise ClientGone from None
            if self._is_draining:
                raise Unavailable("not serving any more", reason="NOT_SERVING") from None
            raise HttpError(
                499, code_pb2.CANCELLED, "CANCELLED", "the call was cancelled"
            ) from None
        finally:
            watcher.cancel()
            call.cancel()
            await asyncio.wait([watcher])

    async def _stream(
        self, binding: Binding, request: Message, scope: Scope, receive: Receive, send: Send
    ) -> None:
        has_begun = False

        async def send_line(line: bytes) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                content_type = (b"content-type", JSON_LINES.encode())
                await send(
                    {"type": "http.response.start", "status": 200, "headers": [content_type]}
                )
            await send({"type": "http.response.body", "body": line, "more_body": True})

        try:
            async with self._call(binding, request, receive) as call:
                self._streams.add(call)
                try:
                    if self._is_draining:
                        call.cancel()
                    async for message in call:
                        line = await _aside(message.ByteSize(), json_reply, binding, message)
                        await send_line(line + b"\n")
                        if scope["method"] == "HEAD":
                            break
                finally:
                    self._streams.discard(call)
        except (grpc.aio.AioRpcError, Unavailable, HttpError) as error:
            if not has_begun:
                raise
            await send_line(error_line(error))
        if not has_begun:
            await send_line(b"")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _stub(channel: grpc.aio.Channel, binding: Binding) -> Callable[[Message], Any]:
    is_stream = binding.rpc.server_streaming
    make = channel.unary_stream if is_stream else channel.unary_unary
    request = message_factory.GetMessageClass(binding.rpc.input_type)
    response = message_factory.GetMessageClass(binding.rpc.output_type)
    return make(
        binding.rpc_path,
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )


def _asked_seconds(headers: Headers) -> float | None:
    text = headers.get(TIMEOUT_HEADER)
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidArgument(TIMEOUT_HEADER, "must be seconds, above 0")
    return seconds


def _require_json(headers: Headers) -> None:
    """Refuse what is not JSON; a web page cannot send JSON to another origin unasked."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if kind != JSON and not (kind.startswith("application/") and kind.endswith("+json")):
        problem = f"content-type: must be {JSON}"
    elif encoding != "identity":
        problem = "content-encoding: must be identity"
    else:
        return
    raise HttpError(415, code_pb2.INVALID_ARGUMENT, "UNSUPPORTED_MEDIA_TYPE", problem)


async def _aside(size_bytes: int, convert: Callable[..., T], *arguments: Any) -> T:
    if size_bytes < _LARGE_BYTES:
        return convert(*arguments)
    return await asyncio.to_thread(convert, *arguments)
