"""What a service takes on at once, what is retried, and what becomes of callers who go away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.channel import channel_to
from services.common.errors import Overloaded, Unavailable, VitrinaError
from services.common.rpc_status import error_from_call
from services.common.server import Service, serving
from tests.support import free_port, until
from vitrina.catalog.v1 import catalog_pb2 as pb
from vitrina.catalog.v1 import catalog_pb2_grpc

LIMIT = 3
PAGE = pb.WatchChangesResponse(
    changes=[pb.Change(product_id="p", product=pb.Product(description="x" * 100_000))]
)


class Servicer:
    """Two methods of a catalog: holds calls until told otherwise, and counts what is under way."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.error: VitrinaError | None = None
        self.delay_seconds = 0.0
        self.calls = self.under_way = self.cancelled = self.pages = 0

    async def GetProduct(
        self, request: pb.GetProductRequest, context: Any
    ) -> pb.GetProductResponse:
        self.calls += 1
        self.under_way += 1
        try:
            if self.error:
                await asyncio.sleep(self.delay_seconds)
                raise self.error
            if request.id == "hold":
                await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        return pb.GetProductResponse()

    async def WatchChanges(
        self, request: pb.WatchChangesRequest, context: Any
    ) -> AsyncIterator[pb.WatchChangesResponse]:
        self.under_way += 1
        try:
            while True:
                self.pages += 1
                yield PAGE
        finally:
            self.under_way -= 1

    def register(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, Any] = {
            "GetProduct": grpc.unary_unary_rpc_method_handler(
                self.GetProduct,
                pb.GetProductRequest.FromString,
                pb.GetProductResponse.SerializeToString,
            ),
            "WatchChanges": grpc.unary_stream_rpc_method_handler(
                self.WatchChanges,
                pb.WatchChangesRequest.FromString,
                pb.WatchChangesResponse.SerializeToString,
            ),
        }
        name = pb.DESCRIPTOR.services_by_name["CatalogService"].full_name
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))


Stub = Any


@asynccontextmanager
async def serving_sample(servicer: Servicer) -> AsyncIterator[tuple[Stub, grpc.aio.Channel]]:
    sample = Service("sample", "127.0.0.1:0", [], [servicer.register], [], grace_seconds=0)
    async with (
        serving(sample, max_calls_in_flight=LIMIT) as port,
        channel_to(f"127.0.0.1:{port}") as channel,
    ):
        yield catalog_pb2_grpc.CatalogServiceStub(channel), channel


async def held(servicer: Servicer, stub: Stub) -> list[Any]:
    """Begin as many calls as are allowed."""
    calls = [stub.GetProduct(pb.GetProductRequest(id="hold")) for _ in range(LIMIT)]
    await until(lambda: servicer.under_way == LIMIT)
    return calls


async def test_beyond_the_bound_calls_are_refused_at_once_and_health_still_answers() -> None:
    servicer = Servicer()
    async with serving_sample(servicer) as (stub, channel):
        calls = await held(servicer, stub)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.GetProduct(pb.GetProductRequest(id="one more"))
        error = error_from_call(failure.value, "sample")
        assert isinstance(error, Overloaded)
        assert error.reason == "OVERLOADED"
        assert f"{LIMIT} calls" in error.message
        assert servicer.calls == LIMIT
        health: Any = health_pb2_grpc.HealthStub(channel)
        status = await health.Check(health_pb2.HealthCheckRequest())
        assert status.status == health_pb2.HealthCheckResponse.SERVING
        servicer.may_end.set()
        await asyncio.gather(*calls)
        await stub.GetProduct(pb.GetProductRequest(id="one more"))


async def test_an_answer_at_once_takes_no_place_but_waits_until_the_service_serves() -> None:
    servicer = Servicer()
    method = "/sample.Sample/Say"

    async def say(data: bytes, context: Any) -> bytes:
        await servicer.GetProduct(pb.GetProductRequest(id=data.decode()), context)
        return b"late"

    def register(server: grpc.aio.Server) -> None:
        handlers: dict[str, Any] = {"Say": grpc.unary_unary_rpc_method_handler(say)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("sample.Sample", handlers),)
        )

    address = f"127.0.0.1:{free_port()}"
    sample = Service(
        *("sample", address, [], [register], [refusing(address, method)]),
        grace_seconds=0,
        at_once={method: {b"hot": b"at once"}.get},
    )
    async with serving(sample, max_calls_in_flight=LIMIT), channel_to(address) as channel:
        call: Any = channel.unary_unary(method)
        held = [call(b"hold") for _ in range(LIMIT)]
        await until(lambda: servicer.under_way == LIMIT)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(b"cold")
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await call(b"hot") == b"at once"
        servicer.may_end.set()
        assert await asyncio.gather(*held) == [b"late"] * LIMIT


@asynccontextmanager
async def refusing(address: str, method: str) -> AsyncIterator[None]:
    """While it is opened, the service refuses even what it could answer at once."""
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(b"hot")
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    yield


async def test_streams_do_not_take_the_places_of_calls_and_have_a_bound_too() -> None:
    servicer = Servicer()
    async with serving_sample(servicer) as (stub, _):
        streams = [stub.WatchChanges(pb.WatchChangesRequest()) for _ in range(LIMIT)]
        for stream in streams:
            await stream.read()
        await stub.GetProduct(pb.GetProductRequest())
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.WatchChanges(pb.WatchChangesRequest()).read()
        assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        streams[0].cancel()
        await until(lambda: servicer.under_way == LIMIT - 1)
        await stub.WatchChanges(pb.WatchChangesRequest()).read()


async def test_who_does_not_read_a_stream_holds_up_nobody_and_fills_no_memory() -> None:
    servicer = Servicer()
    async with serving_sample(servicer) as (stub, _):
        idle = stub.WatchChanges(pb.WatchChangesRequest())
        await idle.read()
        await until(lambda: servicer.pages > 1)

        async def is_held_up() -> bool:
            seen = servicer.pages
            for _ in range(20):
                await asyncio.wait_for(stub.GetProduct(pb.GetProductRequest()), 5)
            return servicer.pages == seen

        await until(is_held_up, what="flow control")
        # Some 65 KB to 4 MB lie in windows and buffers, which HTTP/2 bounds.
        assert servicer.pages < 200
        idle.cancel()
        await until(lambda: servicer.under_way == 0, what="the stream closed")


async def test_a_caller_who_gives_up_ends_the_call_in_the_service() -> None:
    servicer = Servicer()
    async with serving_sample(servicer) as (stub, _):
        calls = await held(servicer, stub)
        calls[0].cancel()
        await until(lambda: servicer.cancelled == 1)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetProduct(pb.GetProductRequest(id="hold"), timeout=0.1)
        await until(lambda: servicer.cancelled == 2)
        assert servicer.under_way == LIMIT - 1


async def outcome(stub: Stub, timeout: float = 10.0) -> grpc.StatusCode:
    try:
        await stub.GetProduct(pb.GetProductRequest(), timeout=timeout)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_an_upstream_that_is_overloaded_gets_every_call_once() -> None:
    servicer = Servicer()
    servicer.error = Overloaded("too much")
    async with serving_sample(servicer) as (stub, _):
        for _ in range(10):
            assert await outcome(stub) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert servicer.calls == 10


async def test_one_call_that_cannot_be_served_is_retried_twice() -> None:
    servicer = Servicer()
    servicer.error = Unavailable("not now")
    async with serving_sample(servicer) as (stub, _):
        assert await outcome(stub) is grpc.StatusCode.UNAVAILABLE
        assert servicer.calls == 3


async def test_an_upstream_in_trouble_does_not_get_three_calls_for_each_one() -> None:
    servicer = Servicer()
    servicer.error = Unavailable("not now")
    async with serving_sample(servicer) as (stub, _):
        for _ in range(30):
            assert await outcome(stub) is grpc.StatusCode.UNAVAILABLE
        # The first ten failures use up what may be retried.
        assert servicer.calls <= 30 + 10


async def test_retries_end_with_the_time_of_the_call() -> None:
    servicer = Servicer()
    servicer.error = Unavailable("not now")
    servicer.delay_seconds = 0.2
    async with serving_sample(servicer) as (stub, _):
        # Three attempts would take twice as long, and end with UNAVAILABLE.
        assert await outcome(stub, timeout=0.3) is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: servicer.under_way == 0)
        assert servicer.calls < 3
