"""What every service has, over a real connection: errors, health, reflection, drain, limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from services.common import deadlines, server, telemetry
from services.common.channel import MAX_MESSAGE_BYTES, channel_to
from services.common.errors import InvalidArgument, Unavailable
from services.common.rpc_status import calling, error_from_call
from services.common.server import Service, serving
from tests.support import until
from vitrina.index.v1 import index_pb2 as pb
from vitrina.index.v1 import index_pb2_grpc

NAME = "vitrina.index.v1.IndexService"


class Servicer(index_pb2_grpc.IndexServiceServicer):
    """Does what the limit of the request says."""

    def __init__(self) -> None:
        self.is_waiting = asyncio.Event()
        self.may_end = asyncio.Event()
        self.next_address = ""

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        if request.limit == 1:
            raise InvalidArgument("limit", "1 given")
        if request.limit == 2:
            raise ValueError("password=hunter2")
        if request.limit == 3:
            self.is_waiting.set()
            await self.may_end.wait()
        if request.limit == 4:  # calls on to the next process
            async with channel_to(self.next_address) as channel:
                stub: index_pb2_grpc.IndexServiceAsyncStub
                stub = index_pb2_grpc.IndexServiceStub(channel)
                with calling("next"):
                    return await stub.Search(pb.SearchRequest(limit=5))
        left_ms = int(deadlines.remaining_seconds(default=3600) * 1000)
        trace = (telemetry.current_traceparent() or "").split("-")[1]
        return pb.SearchResponse(revision=left_ms, product_ids=[trace])

    async def Similar(self, request: pb.SimilarRequest, context: Any) -> pb.SimilarResponse:
        return pb.SimilarResponse(space=context.peer())

    async def GetVectors(
        self, request: pb.GetVectorsRequest, context: Any
    ) -> pb.GetVectorsResponse:
        raise NotImplementedError

    async def WaitForRevision(
        self, request: pb.WaitForRevisionRequest, context: Any
    ) -> pb.WaitForRevisionResponse:
        raise NotImplementedError

    async def UseSpace(self, request: pb.UseSpaceRequest, context: Any) -> pb.UseSpaceResponse:
        raise NotImplementedError

    async def DropCollection(
        self, request: pb.DropCollectionRequest, context: Any
    ) -> pb.DropCollectionResponse:
        raise NotImplementedError

    async def CheckRecall(
        self, request: pb.CheckRecallRequest, context: Any
    ) -> pb.CheckRecallResponse:
        raise NotImplementedError

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: Any
    ) -> pb.ListCollectionsResponse:
        raise NotImplementedError


def service(
    servicer: Servicer | None = None,
    adapter: AbstractAsyncContextManager[Any] | None = None,
    grace_seconds: float = 5.0,
) -> Service:
    register = partial(index_pb2_grpc.add_IndexServiceServicer_to_server, servicer or Servicer())
    return Service(
        "sample", "127.0.0.1:0", [NAME], [register], [adapter or nullcontext()], grace_seconds
    )


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    async with serving(service()) as port, channel_to(f"127.0.0.1:{port}") as opened:
        yield opened


def stub_of(channel: grpc.aio.Channel) -> "index_pb2_grpc.IndexServiceAsyncStub":
    return index_pb2_grpc.IndexServiceStub(channel)


@pytest.mark.parametrize("connections", [1, 3])
async def test_calls_take_turns_over_the_connections_of_a_channel(connections: int) -> None:
    async with (
        serving(service()) as port,
        channel_to(f"127.0.0.1:{port}", connections) as channel,
    ):
        peers = [
            (await stub_of(channel).Similar(pb.SimilarRequest(), wait_for_ready=True)).space
            for _ in range(6)
        ]
    assert len(set(peers)) == connections
    assert peers == peers[:connections] * (6 // connections)


async def test_connections_to_a_shared_port_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SHARED_CONNECTION_AGE_MS", 200)
    peers: set[str] = set()
    async with (
        serving(replace(service(), shares_port=True)) as port,
        channel_to(f"127.0.0.1:{port}") as channel,
    ):
        stub = stub_of(channel)

        async def another_connection() -> bool:
            peers.add((await stub.Similar(pb.SimilarRequest(), wait_for_ready=True)).space)
            return len(peers) > 1

        await until(another_connection, what="another connection")


async def test_a_domain_error_arrives_with_field_and_reason(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await stub_of(channel).Search(pb.SearchRequest(limit=1))
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = error_from_call(failure.value, "sample")
    assert isinstance(error, InvalidArgument)
    assert (error.field, error.problem, error.reason) == ("limit", "1 given", "INVALID_FIELD")


async def test_an_unforeseen_error_leaves_without_its_text(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await stub_of(channel).Search(pb.SearchRequest(limit=2))
    assert failure.value.code() is grpc.StatusCode.INTERNAL
    assert failure.value.details() == "internal error"
    assert "hunter2" not in str(failure.value.trailing_metadata())


async def test_an_unreachable_process_is_unavailable_without_its_address() -> None:
    async with channel_to("127.0.0.1:1") as nowhere:
        with pytest.raises(Unavailable) as failure, calling("index"):
            await stub_of(nowhere).Search(pb.SearchRequest(), timeout=5)
    assert failure.value.message == "index cannot be reached"


async def test_deadline_and_trace_reach_the_process_after_the_next() -> None:
    first = Servicer()
    async with serving(service()) as last_port, serving(service(first)) as port:
        first.next_address = f"127.0.0.1:{last_port}"
        async with channel_to(f"127.0.0.1:{port}") as channel:
            trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            response = await stub_of(channel).Search(
                pb.SearchRequest(limit=4),
                timeout=7,
                metadata=[("traceparent", f"00-{trace}-00f067aa0ba902b7-01")],
            )
    assert response.product_ids[0] == trace
    # gRPC rounds a timeout up on the wire; without one it would be an hour
    assert 1000 < response.revision <= 8000


async def test_health_is_told_per_service(channel: grpc.aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)
    for name in ("", NAME):
        response = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert response.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await health.Check(health_pb2.HealthCheckRequest(service="nothing"))
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_until_the_adapters_are_open_health_says_so_and_calls_are_unavailable() -> None:
    may_open = asyncio.Event()
    port_known: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def slow_adapter() -> AsyncIterator[None]:
        await may_open.wait()
        yield

    def remember_port(server: grpc.aio.Server) -> None:
        port_known.set_result(server.add_insecure_port("127.0.0.1:0"))

    base = service(adapter=slow_adapter())
    slow = Service(
        base.name, base.listen, [NAME], [*base.registrations, remember_port], base.adapters
    )
    async with asyncio.TaskGroup() as tasks:

        async def live() -> None:
            async with serving(slow):
                pass

        tasks.create_task(live())
        async with channel_to(f"127.0.0.1:{await port_known}") as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            response = await health.Check(
                health_pb2.HealthCheckRequest(service=NAME), wait_for_ready=True
            )
            assert response.status == health_pb2.HealthCheckResponse.NOT_SERVING
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await stub_of(channel).Search(pb.SearchRequest(limit=5))
            assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
            may_open.set()


async def test_draining_lets_the_calls_in_flight_end() -> None:
    servicer = Servicer()
    async with asyncio.TaskGroup() as tasks:
        drain = asyncio.Event()
        port_known: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            async with serving(service(servicer)) as port:
                port_known.set_result(port)
                await drain.wait()

        living = tasks.create_task(live())
        async with channel_to(f"127.0.0.1:{await port_known}") as channel:
            call = asyncio.ensure_future(_answer(stub_of(channel), pb.SearchRequest(limit=3)))
            await servicer.is_waiting.wait()
            drain.set()
            done, _ = await asyncio.wait([living], timeout=0.2)
            assert not done
            servicer.may_end.set()
            assert (await call).revision > 0


async def _answer(
    stub: "index_pb2_grpc.IndexServiceAsyncStub", request: pb.SearchRequest
) -> pb.SearchResponse:
    return await stub.Search(request)


async def test_a_message_above_the_limit_is_refused(channel: grpc.aio.Channel) -> None:
    # A client of ours would refuse to send it, so this one has no limit.
    unlimited = [("grpc.max_send_message_length", -1)]
    async with (
        serving(service()) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=unlimited) as big,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub_of(big).Search(pb.SearchRequest(vector=b"x" * (MAX_MESSAGE_BYTES + 1)))
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with serving(service()) as port:
        second = Service("second", f"127.0.0.1:{port}", [], [], [])
        with pytest.raises(RuntimeError):
            async with serving(second):
                pass


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_a_client_without_stubs_learns_everything(
    channel: grpc.aio.Channel, version: str
) -> None:
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )

    async def answer(**question: Any) -> reflection_pb2.ServerReflectionResponse:
        async def questions() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(**question)

        async for response in ask(questions()):
            return response
        raise AssertionError("no answer")

    listed = (await answer(list_services="")).list_services_response.service
    assert {service.name for service in listed} == {
        NAME,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    for service in listed:
        described = await answer(file_containing_symbol=service.name)
        files = [
            descriptor_pb2.FileDescriptorProto.FromString(data)
            for data in described.file_descriptor_response.file_descriptor_proto
        ]
        package, _, short = service.name.rpartition(".")
        assert any(
            file.package == package and short in [found.name for found in file.service]
            for file in files
        )
