"""A gateway over real gRPC before upstreams that hang: what is late or unwanted ends there, too."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message_factory import GetMessageClass

from services.common.channel import channel_to
from services.common.server import Service, serving
from services.gateway.__main__ import compose
from services.gateway.settings import GatewaySettings
from tests.support import until
from vitrina.catalog.v1 import catalog_pb2, retrieval_pb2
from vitrina.embedder.v1 import embedder_pb2
from vitrina.index.v1 import index_pb2
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

LAMP = catalog_pb2.Product(id="lamp", name="lamp")
SERVICES: list[ServiceDescriptor] = [
    catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    retrieval_pb2.DESCRIPTOR.services_by_name["RetrievalService"],
    embedder_pb2.DESCRIPTOR.services_by_name["EmbedderService"],
    index_pb2.DESCRIPTOR.services_by_name["IndexService"],
]


class Upstreams:
    """Embedder, index and catalog in one process; each method answers the same, or hangs."""

    def __init__(self) -> None:
        self.hanging: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.cancelled: Counter[str] = Counter()
        self._answers: dict[str, Any] = {
            "ListSpaces": embedder_pb2.ListSpacesResponse(
                spaces=[embedder_pb2.Space(id="s", state=embedder_pb2.SPACE_STATE_READY)]
            ),
            "Embed": embedder_pb2.EmbedResponse(space="s", dimensions=1, vectors=bytes(4)),
            "ListCollections": index_pb2.ListCollectionsResponse(
                collections=[
                    index_pb2.Collection(
                        space="s", state=index_pb2.COLLECTION_STATE_READY, applied_revision=1
                    )
                ]
            ),
            "Search": index_pb2.SearchResponse(product_ids=["lamp"], cosines=[0.5], revision=1),
            "GetCatalogStatus": retrieval_pb2.GetCatalogStatusResponse(catalog_id="c", revision=1),
            "SearchText": retrieval_pb2.SearchTextResponse(
                product_ids=["lamp"], scores=[1.0], revision=1
            ),
            "BatchGetProducts": retrieval_pb2.BatchGetProductsResponse(products=[LAMP]),
            "RecordQueries": retrieval_pb2.RecordQueriesResponse(),
        }

    def register(self, server: grpc.aio.Server) -> None:
        for service in SERVICES:
            handlers: dict[str, Any] = {
                method.name: grpc.unary_unary_rpc_method_handler(
                    self._answering(method.name),
                    GetMessageClass(method.input_type).FromString,
                    GetMessageClass(method.output_type).SerializeToString,
                )
                for method in service.methods
                if method.name in self._answers
            }
            if service.name == "CatalogService":
                handlers["WatchChanges"] = grpc.unary_stream_rpc_method_handler(
                    self._watch,
                    catalog_pb2.WatchChangesRequest.FromString,
                    catalog_pb2.WatchChangesResponse.SerializeToString,
                )
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service.full_name, handlers),)
            )

    def _answering(self, name: str) -> Callable[[Any, Any], Awaitable[Any]]:
        async def answer(request: Any, context: Any) -> Any:
            self.calls[name] += 1
            if name in self.hanging:
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled[name] += 1
            return self._answers[name]

        return answer

    async def _watch(
        self, request: Any, context: Any
    ) -> AsyncIterator[catalog_pb2.WatchChangesResponse]:
        yield catalog_pb2.WatchChangesResponse(catalog_id="c", head_revision=1)
        await asyncio.Event().wait()


Search = Callable[..., Any]


@asynccontextmanager
async def gateway(upstreams: Upstreams, **changes: Any) -> AsyncIterator[Search]:
    """A gateway that is ready to search."""
    behind = Service("upstreams", "127.0.0.1:0", [], [upstreams.register], [], grace_seconds=0)
    async with serving(behind) as port:
        address = f"127.0.0.1:{port}"
        settings = GatewaySettings(
            listen="127.0.0.1:0",
            embedder_address=address,
            index_address=address,
            catalog_address=address,
            grace_seconds=0,
            **changes,
        )
        async with (
            serving(compose(settings)) as gateway_port,
            channel_to(f"127.0.0.1:{gateway_port}") as channel,
        ):
            stub: Any = search_pb2_grpc.SearchServiceStub(channel)

            def search(query: str, seconds: float = 30.0) -> Any:
                timeout = Duration()
                timeout.FromMilliseconds(int(seconds * 1000))
                return stub.Search(pb.SearchRequest(query=query, timeout=timeout), timeout=60)

            async def is_sound() -> bool:
                return not (await search("ready?")).info.degraded

            await until(is_sound)
            yield search


@pytest.mark.parametrize(
    ("method", "stage", "label"),
    [
        ("Embed", "embed", pb.DEGRADATION_LEXICAL_ONLY),
        ("Search", "index", pb.DEGRADATION_LEXICAL_ONLY),
        ("SearchText", "text", pb.DEGRADATION_SEMANTIC_ONLY),
    ],
)
async def test_a_late_stage_is_named_and_ends_where_it_runs(
    method: str, stage: str, label: pb.Degradation.ValueType
) -> None:
    upstreams = Upstreams()
    async with gateway(upstreams) as search:
        upstreams.hanging = {method}
        answer = await search("lamp", seconds=1.0)
        assert [result.product for result in answer.results] == [LAMP]
        assert list(answer.info.degraded) == [label]
        assert [(out.stage, out.reason) for out in answer.info.left_out] == [
            (stage, "DEADLINE_EXCEEDED")
        ]
        await until(lambda: upstreams.cancelled[method] == 1, what="the call ended")


async def test_a_catalog_that_hangs_is_told_in_time_and_its_calls_end() -> None:
    upstreams = Upstreams()
    async with gateway(upstreams) as search:
        upstreams.hanging = {"SearchText", "BatchGetProducts"}
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await search("lamp", seconds=0.5)
        assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await search("ready?")).info.provenance == pb.PROVENANCE_MEMORY
        await until(lambda: upstreams.cancelled == Counter(upstreams.hanging))


async def test_when_its_last_caller_goes_away_a_query_costs_nothing_further() -> None:
    upstreams = Upstreams()
    # Their own deadlines lie beyond the end of the test.
    async with gateway(upstreams, embed_budget_seconds=30) as search:
        upstreams.hanging = {"Embed"}
        before = upstreams.calls.copy()
        first, second = search("lamp"), search("lamp")
        both = asyncio.gather(first, second, return_exceptions=True)
        await until(lambda: upstreams.calls["Embed"] > before["Embed"])
        # Of the same connection: what is answered was sent after the second search.
        await search("ready?")
        first.cancel()
        await search("ready?")
        assert not upstreams.cancelled
        second.cancel()
        await both
        await until(lambda: upstreams.cancelled["Embed"] == 1, what="the call ended")
        assert upstreams.calls["Embed"] == before["Embed"] + 1
        assert upstreams.calls["BatchGetProducts"] == before["BatchGetProducts"]


async def test_beyond_the_bound_searches_are_refused_and_kept_answers_are_served() -> None:
    upstreams = Upstreams()
    async with gateway(upstreams, embed_budget_seconds=30, max_searches_in_flight=2) as search:
        upstreams.hanging = {"Embed"}
        before = upstreams.calls["Embed"]
        under_way = [search(f"lamp {number}") for number in range(4)]
        await until(lambda: upstreams.calls["Embed"] == before + 2)

        async def is_refused() -> bool:
            try:
                await search("one more", seconds=0.1)
            except grpc.aio.AioRpcError as error:
                return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            return False

        await until(is_refused)
        assert upstreams.calls["Embed"] == before + 2
        assert (await search("ready?")).info.provenance == pb.PROVENANCE_MEMORY
        for call in under_way:
            call.cancel()
        upstreams.hanging = set()
        await until(lambda: upstreams.cancelled["Embed"] == 2)
        assert not (await search("one more")).info.degraded


async def test_a_part_that_hangs_is_left_alone_and_used_again_when_it_is_back() -> None:
    upstreams = Upstreams()
    async with gateway(upstreams) as search:
        upstreams.hanging = {"Search"}
        number = 0

        async def reasons() -> list[str]:
            nonlocal number
            number += 1
            answer = await search(f"lamp {number}", seconds=0.5)
            return [out.reason for out in answer.info.left_out]

        seen = [await reasons() for _ in range(3)]
        assert seen == [["DEADLINE_EXCEEDED"]] * 3
        asked = upstreams.calls["Search"]
        assert await reasons() == ["CIRCUIT_OPEN"]
        assert upstreams.calls["Search"] == asked
        upstreams.hanging = set()

        async def is_back() -> bool:
            return not await reasons()

        await until(is_back, seconds=5)
