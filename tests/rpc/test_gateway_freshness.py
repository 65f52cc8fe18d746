"""A write that is waited for is found, and a wait that is too short says how far searches are."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from services.common.channel import channel_to
from services.common.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Unavailable,
    VitrinaError,
)
from services.common.rpc_status import calling
from tests.shop import GatewayStubs, Shop, running_shop
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with running_shop(tmp_path) as shop:
        await wait(shop.gateways[0], 0)
        yield shop


@pytest.fixture
def gateway(shop: Shop) -> GatewayStubs:
    return shop.gateways[0]


async def wait(
    gateway: GatewayStubs,
    min_revision: int,
    *,
    timeout_ms: int | None = 20_000,
    deadline: float | None = None,
) -> pb.WaitForRevisionResponse:
    timeout = None if timeout_ms is None else Duration()
    if timeout is not None and timeout_ms is not None:
        timeout.FromMilliseconds(timeout_ms)
    request = pb.WaitForRevisionRequest(min_revision=min_revision, timeout=timeout)
    with calling("gateway"):
        return await gateway.search.WaitForRevision(request, timeout=deadline)


async def found_by_meaning(
    gateway: GatewayStubs, query: str, min_revision: int = 0
) -> list[tuple[str, str]]:
    request = pb.SearchRequest(query=query, mode=pb.MODE_SEMANTIC, min_revision=min_revision)
    response = await gateway.search.Search(request, timeout=20)
    assert not response.info.degraded
    return [(result.product.id, result.product.name) for result in response.results]


async def test_a_wait_ends_with_the_write(shop: Shop, gateway: GatewayStubs) -> None:
    waiting = asyncio.create_task(wait(gateway, 2))
    await gateway.put("a", "a lamp")
    await wait(gateway, 1)
    assert not waiting.done()
    await gateway.put("b", "a cup")
    reached = await waiting
    assert reached.revision == 2
    assert reached.space.startswith("hashing-")
    assert {id_ for id_, _ in await found_by_meaning(gateway, "cup")} == {"a", "b"}


async def test_a_wait_ends_in_time_and_tells_the_revision(
    shop: Shop, gateway: GatewayStubs
) -> None:
    await gateway.put("a", "a lamp", wait_searchable=True)
    for limits in ({"timeout_ms": 400}, {"timeout_ms": None, "deadline": 0.4}):
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            await wait(gateway, 9, **limits)
        assert 0.2 < time.monotonic() - started < 3, "of 5 s by default"
        error = caught.value
        assert (error.reason, error.metadata) == ("REVISION_NOT_REACHED", {"revision": "1"})


@pytest.mark.parametrize(
    ("min_revision", "timeout_ms", "field"),
    [(-1, None, "min_revision"), (0, -1, "timeout"), (0, 0, "timeout"), (0, 60_001, "timeout")],
)
async def test_a_wrong_wait_names_the_field(
    gateway: GatewayStubs, min_revision: int, timeout_ms: int | None, field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await wait(gateway, min_revision, timeout_ms=timeout_ms)
    assert caught.value.field == field


async def test_a_write_waits_until_it_is_searchable_only_if_asked(
    shop: Shop, gateway: GatewayStubs
) -> None:
    await shop.stop_embedder()
    await gateway.put("a", "a lamp")  # returns, although nothing embeds it
    waiting = asyncio.create_task(gateway.put("b", "a cup", wait_searchable=True))
    with pytest.raises(DeadlineExceeded):
        await wait(gateway, 1, timeout_ms=100)
    assert not waiting.done()
    await shop.start_embedder()
    assert await waiting == 2
    assert ("b", "a cup") in await found_by_meaning(gateway, "cup")


async def test_every_write_that_waited_is_found_at_once(gateway: GatewayStubs) -> None:
    for number in range(30):
        name = f"kettle number {number}"
        await gateway.put("k", name, wait_searchable=True)
        assert await found_by_meaning(gateway, "kettle") == [("k", name)]


async def test_a_batch_and_a_removal_wait_too(gateway: GatewayStubs) -> None:
    products = [catalog_pb2.Product(id=f"p{n}", name=f"a cup {n}") for n in range(40)]
    batch = catalog_pb2.BatchUpsertProductsRequest(products=products, wait_searchable=True)
    assert (await gateway.catalog.BatchUpsertProducts(batch)).revision == 40
    request = pb.SearchRequest(query="cup", mode=pb.MODE_SEMANTIC, page_size=100)
    response = await gateway.search.Search(request)
    assert {result.product.id for result in response.results} == {p.id for p in products}
    removal = catalog_pb2.DeleteProductRequest(id="p7", wait_searchable=True)
    assert (await gateway.catalog.DeleteProduct(removal)).revision == 41
    response = await gateway.search.Search(request)
    assert response.info.revision == 41
    assert "p7" not in {result.product.id for result in response.results}


async def test_what_is_not_searchable_in_time_is_stored_and_said_so(
    shop: Shop, gateway: GatewayStubs
) -> None:
    await gateway.put("a", "a lamp", wait_searchable=True)
    await shop.stop_embedder()
    with pytest.raises(VitrinaError) as caught, calling("gateway"):
        await gateway.put("b", "a cup", wait_searchable=True, timeout=0.5)
    error = caught.value
    assert isinstance(error, DeadlineExceeded)
    assert error.reason == "REVISION_NOT_REACHED"
    assert error.metadata == {"stored_revision": "2", "revision": "1"}
    assert "stored as revision 2" in error.message
    found = await gateway.catalog.GetProduct(catalog_pb2.GetProductRequest(id="b"))
    assert (found.product.name, found.revision) == ("a cup", 2)


async def test_a_refused_write_waits_for_nothing(shop: Shop, gateway: GatewayStubs) -> None:
    await shop.stop_index()
    with pytest.raises(InvalidArgument) as wrong, calling("gateway"):
        await gateway.put("a", "", wait_searchable=True)
    assert wrong.value.field == "product.name"
    removal = catalog_pb2.DeleteProductRequest(id="a", wait_searchable=True)
    with pytest.raises(NotFound), calling("gateway"):
        await gateway.catalog.DeleteProduct(removal)


async def test_a_wait_survives_an_index_that_restarts(shop: Shop, gateway: GatewayStubs) -> None:
    await shop.stop_embedder()
    writing = asyncio.create_task(gateway.put("a", "a lamp", wait_searchable=True))
    with pytest.raises(DeadlineExceeded):
        await wait(gateway, 1, timeout_ms=200)
    started = time.monotonic()
    await shop.stop_index()
    assert time.monotonic() - started < 0.9, "who waits held the stop up"
    await shop.start_embedder()
    await shop.start_index()
    assert await writing == 1
    assert await found_by_meaning(gateway, "lamp") == [("a", "a lamp")]


async def test_who_waits_does_not_hold_up_a_gateway_that_stops(shop: Shop) -> None:
    await shop.stop_embedder()
    async with AsyncExitStack() as running:
        port = await running.enter_async_context(shop.serving_gateway())
        async with channel_to(f"127.0.0.1:{port}") as channel:
            gateway = GatewayStubs(channel)
            waits = [
                asyncio.create_task(wait(gateway, 9)),
                asyncio.create_task(gateway.put("a", "a lamp", wait_searchable=True)),
            ]
            with pytest.raises(DeadlineExceeded):
                await wait(gateway, 9, timeout_ms=200)
            started = time.monotonic()
            await running.aclose()
            assert time.monotonic() - started < 0.9, "of one second of grace"
            with pytest.raises(Unavailable):
                await waits[0]
            with pytest.raises(Unavailable), calling("gateway"):
                await waits[1]
    found = await shop.gateways[0].catalog.GetProduct(catalog_pb2.GetProductRequest(id="a"))
    assert found.product.name == "a lamp"


async def test_a_wait_begins_before_there_is_a_space(tmp_path: Path) -> None:
    async with running_shop(tmp_path, without=["index", "embedder"]) as shop:
        gateway = shop.gateways[0]
        writing = asyncio.create_task(gateway.put("a", "a lamp", wait_searchable=True))
        with pytest.raises(DeadlineExceeded) as caught:
            await wait(gateway, 1, timeout_ms=200)
        assert caught.value.metadata == {"revision": "0"}
        await shop.start_embedder()
        await shop.start_index()
        assert await writing == 1
        assert await found_by_meaning(gateway, "lamp") == [("a", "a lamp")]


async def test_a_search_waits_for_its_revision(shop: Shop, gateway: GatewayStubs) -> None:
    await gateway.put("a", "a lamp", wait_searchable=True)
    searching = asyncio.create_task(found_by_meaning(gateway, "lamp", 2))
    await gateway.put("a", "a better lamp")
    assert await searching == [("a", "a better lamp")]


async def test_a_search_beyond_the_head_fails_in_time_with_the_revision(
    shop: Shop, gateway: GatewayStubs
) -> None:
    await gateway.put("a", "a lamp", wait_searchable=True)
    budget = Duration()
    budget.FromMilliseconds(700)
    for mode in (pb.MODE_HYBRID, pb.MODE_LEXICAL, pb.MODE_SEMANTIC):
        request = pb.SearchRequest(query="lamp", min_revision=5, timeout=budget, mode=mode)
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught, calling("gateway"):
            await gateway.search.Search(request, timeout=20)
        assert time.monotonic() - started < 3, "of 5 s by default"
        error = caught.value
        assert (error.reason, error.metadata) == ("REVISION_NOT_REACHED", {"revision": "1"})
    similar = pb.SimilarRequest(product_id="a", min_revision=5, timeout=budget)
    with pytest.raises(DeadlineExceeded) as caught, calling("gateway"):
        await gateway.search.Similar(similar, timeout=20)
    assert caught.value.metadata == {"revision": "1"}


async def test_words_answer_where_the_index_is_behind(shop: Shop, gateway: GatewayStubs) -> None:
    await gateway.put("a", "a lamp", wait_searchable=True)
    await shop.stop_embedder()
    revision = await gateway.put("a", "a better lamp")
    budget = Duration()
    budget.FromMilliseconds(700)
    request = pb.SearchRequest(query="lamp", min_revision=revision, timeout=budget)
    response = await gateway.search.Search(request, timeout=20)
    assert [result.product.name for result in response.results] == ["a better lamp"]
    assert response.info.revision >= revision
    assert list(response.info.degraded) == [pb.DEGRADATION_LEXICAL_ONLY]


async def test_a_product_is_read_at_its_revision(shop: Shop, gateway: GatewayStubs) -> None:
    reading = asyncio.ensure_future(
        gateway.catalog.GetProduct(
            catalog_pb2.GetProductRequest(id="a", min_revision=1), timeout=20
        )
    )
    await gateway.put("a", "a lamp")
    assert (await reading).product.name == "a lamp"
    with pytest.raises(DeadlineExceeded) as caught, calling("gateway"):
        await gateway.catalog.GetProduct(
            catalog_pb2.GetProductRequest(id="a", min_revision=2), timeout=0.4
        )
    error = caught.value
    assert (error.reason, error.metadata) == ("REVISION_NOT_REACHED", {"revision": "1"})
