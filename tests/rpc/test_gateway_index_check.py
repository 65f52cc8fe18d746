"""CheckIndex: the gateway embeds the queries and asks the index; what it says arrives whole."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.channel import channel_to
from services.common.errors import FailedPrecondition, InvalidArgument, VitrinaError
from services.common.rpc_status import calling
from services.common.server import Service, serving
from services.embedder.__main__ import compose as compose_embedder
from services.embedder.settings import EmbedderSettings
from services.gateway.__main__ import compose as compose_gateway
from services.gateway.settings import GatewaySettings
from tests.shop import running_shop
from tests.support import free_port, until
from vitrina.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from vitrina.index.v1 import index_pb2, index_pb2_grpc
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

MEASURED_AT = Timestamp(seconds=1_900_000_000, nanos=123_456_000)


@dataclass
class ToldIndex(index_pb2_grpc.IndexServiceServicer):
    """Says what it is told, and keeps what it was asked."""

    spaces: Sequence[str] = ()
    refusal: VitrinaError | None = None
    checks: list[index_pb2.CheckRecallRequest] = field(default_factory=list)

    async def CheckRecall(
        self, request: index_pb2.CheckRecallRequest, context: Any
    ) -> index_pb2.CheckRecallResponse:
        self.checks.append(request)
        if self.refusal:
            raise self.refusal
        return index_pb2.CheckRecallResponse(
            recall=index_pb2.Recall(
                recall=0.975, k=20, queries=3, worst=0.5, measure_time=MEASURED_AT
            ),
            plan=index_pb2.Plan(
                strategy=index_pb2.STRATEGY_GRAPH, vectors=1_000_000, passing=500_000
            ),
            search_ms=1.5,
            scan_ms=250.25,
        )

    async def ListCollections(
        self, request: index_pb2.ListCollectionsRequest, context: Any
    ) -> index_pb2.ListCollectionsResponse:
        measured = index_pb2.Recall(
            recall=0.99, k=10, queries=100, worst=0.8, measure_time=MEASURED_AT
        )
        state = index_pb2.COLLECTION_STATE_READY
        return index_pb2.ListCollectionsResponse(
            collections=[
                *(
                    index_pb2.Collection(space=space, state=state, recall=measured)
                    for space in self.spaces
                ),
                index_pb2.Collection(space="gone", state=state),
            ]
        )

    async def Search(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    Similar = GetVectors = WaitForRevision = UseSpace = DropCollection = Search


@dataclass
class World:
    """A gateway before a told index and a true embedder."""

    index: ToldIndex
    search: "search_pb2_grpc.SearchServiceAsyncStub"
    embedder: "embedder_pb2_grpc.EmbedderServiceAsyncStub"
    space: str

    async def check(self, **fields: Any) -> pb.CheckIndexResponse:
        with calling("gateway"):
            return await self.search.CheckIndex(pb.CheckIndexRequest(**fields), timeout=20)

    async def vector(self, text: str) -> bytes:
        request = embedder_pb2.EmbedRequest(texts=[text], purpose=embedder_pb2.PURPOSE_QUERY)
        return (await self.embedder.Embed(request)).vectors


@pytest.fixture
async def world() -> AsyncIterator[World]:
    index = ToldIndex()
    told = Service(
        name="told",
        listen="127.0.0.1:0",
        service_names=[],
        registrations=[lambda s: index_pb2_grpc.add_IndexServiceServicer_to_server(index, s)],
        adapters=[],
        grace_seconds=0,
    )
    hashing = EmbedderSettings(listen="127.0.0.1:0", providers=("hashing",))
    async with AsyncExitStack() as stack:
        addresses = {"catalog_address": f"127.0.0.1:{free_port()}"}
        for name, service in (("index", told), ("embedder", compose_embedder(hashing))):
            port = await stack.enter_async_context(serving(service))
            addresses[f"{name}_address"] = f"127.0.0.1:{port}"
        settings = GatewaySettings.model_validate({"listen": "127.0.0.1:0", **addresses})
        port = await stack.enter_async_context(serving(compose_gateway(settings)))
        search: search_pb2_grpc.SearchServiceAsyncStub = search_pb2_grpc.SearchServiceStub(
            await stack.enter_async_context(channel_to(f"127.0.0.1:{port}"))
        )
        embedder: embedder_pb2_grpc.EmbedderServiceAsyncStub
        embedder = embedder_pb2_grpc.EmbedderServiceStub(
            await stack.enter_async_context(channel_to(addresses["embedder_address"]))
        )
        spaces = await embedder.ListSpaces(embedder_pb2.ListSpacesRequest())
        yield World(index, search, embedder, spaces.spaces[0].id)


@pytest.fixture
async def ready(world: World) -> World:
    world.index.spaces = [world.space]

    async def is_found() -> bool:
        try:
            return bool((await world.check(queries=["lamp"])).space)
        except FailedPrecondition:
            return False

    await until(is_found, what="the space searched in")
    world.index.checks.clear()
    return world


async def test_queries_reach_the_index_as_their_vectors_in_their_order(ready: World) -> None:
    response = await ready.check(
        queries=["red  lamp", "chair"], k=20, filter="price<5 AND brand=X", space=ready.space
    )
    [asked] = ready.index.checks
    assert asked.vectors == await ready.vector("red lamp") + await ready.vector("chair")
    assert (asked.space, asked.limit, asked.sample) == (ready.space, 20, 0)
    assert asked.filter == 'price < 5 AND brand = "X"'
    assert response == pb.CheckIndexResponse(
        space=ready.space,
        recall=pb.Recall(recall=0.975, k=20, queries=3, worst=0.5, measure_time=MEASURED_AT),
        plan=pb.Plan(strategy=pb.STRATEGY_GRAPH, vectors=1_000_000, passing=500_000),
        search_ms=1.5,
        scan_ms=250.25,
    )


async def test_without_queries_the_index_takes_its_own_in_the_preferred_space(
    ready: World,
) -> None:
    response = await ready.check(sample=7)
    [asked] = ready.index.checks
    assert asked == index_pb2.CheckRecallRequest(space=ready.space, sample=7)
    assert response.space == ready.space


async def test_a_collection_that_no_model_embeds_for_any_more_is_checked_by_its_own_vectors(
    ready: World,
) -> None:
    assert (await ready.check(space="gone")).space == "gone"
    with pytest.raises(FailedPrecondition) as caught:
        await ready.check(space="gone", queries=["lamp"])
    assert caught.value.reason == "SPACE_MISMATCH"
    assert caught.value.message.startswith("space: gone cannot answer")


async def test_what_is_not_ready_is_told(world: World) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await world.check()
    assert caught.value.reason == "COLLECTION_NOT_READY"
    world.index.refusal = FailedPrecondition("space: it is another", reason="SPACE_MISMATCH")
    with pytest.raises(FailedPrecondition) as caught:
        await world.check(space="elsewhere")
    assert caught.value.reason == "SPACE_MISMATCH"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"queries": ["x"] * 1001}, "queries: 1001 given, at most 1000"),
        ({"queries": ["x", " "]}, r"queries\[1\]: must not be empty"),
        ({"queries": ["x" * 1001]}, r"queries\[0\]: 1001 characters given, at most 1000"),
        ({"sample": -1}, "sample: -1 given, must be 1 to 1000"),
        ({"sample": 1001}, "sample: 1001 given, must be 1 to 1000"),
        ({"sample": 5, "queries": ["x"]}, "sample: goes without queries only"),
        ({"k": 101}, "k: 101 given, must be 1 to 100"),
        ({"k": -1}, "k: -1 given, must be 1 to 100"),
        ({"filter": "colour = 1"}, "filter: at position 1: unknown field"),
        ({"space": "s" * 201}, "space: 201 characters given, at most 200"),
    ],
)
async def test_bad_input_is_refused_by_field_and_limit(
    world: World, fields: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidArgument, match=problem):
        await world.check(**fields)
    assert not world.index.checks


async def test_status_tells_the_recall_of_each_collection_that_was_measured(ready: World) -> None:
    status = await ready.search.GetStatus(pb.GetStatusRequest(), timeout=5)
    measured, unmeasured = status.collections
    assert measured.recall == pb.Recall(
        recall=0.99, k=10, queries=100, worst=0.8, measure_time=MEASURED_AT
    )
    assert not unmeasured.HasField("recall")


async def test_a_small_shop_finds_all_that_is_nearest(tmp_path: Path) -> None:
    names = [f"{colour} {thing}" for colour in ("red", "blue") for thing in ("lamp", "chair")]
    async with running_shop(tmp_path) as shop:
        gateway = shop.gateways[0]
        for number, name in enumerate(names):
            await gateway.put(f"p-{number}", name, wait_searchable=True)
        for request in (
            pb.CheckIndexRequest(queries=["red lamp", "a chair"], k=3),
            pb.CheckIndexRequest(sample=2, k=3),
        ):
            checked = await gateway.search.CheckIndex(request, timeout=20)
            assert (checked.recall.recall, checked.recall.worst) == (1.0, 1.0)
            assert (checked.recall.k, checked.recall.queries) == (3, 2)
            assert checked.plan.strategy == pb.STRATEGY_EXACT
            assert (checked.plan.vectors, checked.plan.passing) == (4, 4)
            assert np.isfinite([checked.search_ms, checked.scan_ms]).all()
