"""A gateway that says what a test wants, and rest in front of it, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import httpx
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from services.common.server import Service, serving
from services.common.telemetry import TRACEPARENT, metadata_value
from services.gateway.rest import __main__ as rest
from services.gateway.rest.settings import RestSettings


@dataclass
class Call:
    """What the gateway got."""

    rpc: str
    request: Any
    traceparent: str | None
    remaining_seconds: float | None


class FakeGateway:
    """Answers each rpc by `answers[rpc](request)`, or with an empty response; keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}

    def service(self, listen: str = "127.0.0.1:0") -> Service:
        return Service(
            name="gateway",
            listen=listen,
            service_names=[service.full_name for service in rest.SERVICES],
            registrations=[self._register],
            adapters=[],
            grace_seconds=0,
        )

    def _register(self, server: grpc.aio.Server) -> None:
        for service in rest.SERVICES:
            handlers = {rpc.name: self._handler(rpc) for rpc in service.methods}
            generic = grpc.method_handlers_generic_handler(service.full_name, handlers)
            server.add_generic_rpc_handlers([generic])

    def _handler(self, rpc: MethodDescriptor) -> Any:
        request, response = (
            message_factory.GetMessageClass(each) for each in (rpc.input_type, rpc.output_type)
        )
        codec: Any = {
            "request_deserializer": request.FromString,
            "response_serializer": response.SerializeToString,
        }
        if rpc.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(rpc.name, response), **codec)
        return grpc.unary_unary_rpc_method_handler(self._unary(rpc.name, response), **codec)

    def _note(self, rpc: str, request: Message, context: Any) -> None:
        traceparent = metadata_value(context.invocation_metadata(), TRACEPARENT)
        self.calls.append(Call(rpc, request, traceparent, context.time_remaining()))

    def _unary(self, rpc: str, empty: Callable[[], Message]) -> Any:
        async def answer(request: Message, context: Any) -> Message:
            self._note(rpc, request, context)
            if rpc not in self.answers:
                return empty()
            reply: Message = await self.answers[rpc](request)
            return reply

        return answer

    def _stream(self, rpc: str, empty: Callable[[], Message]) -> Any:
        async def answer(request: Message, context: Any) -> AsyncIterator[Message]:
            self._note(rpc, request, context)
            if rpc not in self.answers:
                yield empty()
                return
            async for reply in self.answers[rpc](request):
                yield reply

        return answer


@asynccontextmanager
async def rest_before(address: str, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run rest before the gateway at an address; give a client of it."""
    chosen: dict[str, Any] = {"listen": "127.0.0.1:0", "gateway_address": address}
    async with (
        rest.serving(RestSettings(**chosen, **settings)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client,
    ):
        yield client


@asynccontextmanager
async def shop(gateway: FakeGateway, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Run the gateway and rest before it; give a client of rest."""
    async with (
        serving(gateway.service()) as port,
        rest_before(f"127.0.0.1:{port}", **settings) as client,
    ):
        yield client


async def raw(client: httpx.AsyncClient, request: bytes) -> bytes:
    """Send bytes as they are to where a client sends to; return the head of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.close()
    return answer
