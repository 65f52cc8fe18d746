"""WatchChanges: every revision once, in order, as soon as it is committed."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from services.catalog.__main__ import compose
from services.catalog.settings import CatalogSettings
from services.common.server import serving
from tests.catalog_support import Stubs, field_of, message, reason_of, serving_catalog, stubs_of
from tests.support import until
from vitrina.catalog.v1 import catalog_pb2 as pb


@pytest.fixture
async def stubs(tmp_path: Path) -> AsyncIterator[Stubs]:
    async with serving_catalog(tmp_path) as running:
        yield running


async def upsert(stubs: Stubs, *ids: str, stock: int = 0) -> int:
    request = pb.BatchUpsertProductsRequest(products=[message(i, stock=stock) for i in ids])
    return (await stubs.catalog.BatchUpsertProducts(request)).revision


async def test_the_first_response_comes_at_once_even_if_there_is_nothing(stubs: Stubs) -> None:
    watching = stubs.catalog.WatchChanges(pb.WatchChangesRequest())
    async with asyncio.timeout(5):
        first = await anext(aiter(watching))
    assert (list(first.changes), first.head_revision) == ([], 0)
    assert first.catalog_id
    watching.cancel()


async def test_history_comes_first_and_then_what_is_new(stubs: Stubs) -> None:
    await upsert(stubs, "a", "b")
    await upsert(stubs, "a", stock=1)
    responses = aiter(stubs.catalog.WatchChanges(pb.WatchChangesRequest(after_revision=1)))
    async with asyncio.timeout(5):
        history = await anext(responses)
        assert [(c.revision, c.product_id, c.HasField("product")) for c in history.changes] == [
            (2, "b", True),
            (3, "a", True),
        ]
        assert history.head_revision == 3
        await stubs.catalog.DeleteProduct(pb.DeleteProductRequest(id="b"))
        news = await anext(responses)
    (change,) = news.changes
    assert (change.revision, change.kind, change.product_id) == (4, pb.CHANGE_KIND_DELETE, "b")
    assert not change.HasField("product")
    assert change.HasField("category_before")
    assert not change.HasField("category_after")


async def test_products_can_be_left_out(stubs: Stubs) -> None:
    await upsert(stubs, "a")
    request = pb.WatchChangesRequest(omit_products=True)
    first = await anext(aiter(stubs.catalog.WatchChanges(request)))
    assert [c.product_id for c in first.changes] == ["a"]
    assert not first.changes[0].HasField("product")
    assert not first.changes[0].HasField("category_before")
    assert first.changes[0].category_after == ""


async def test_news_come_within_milliseconds(stubs: Stubs) -> None:
    responses = aiter(stubs.catalog.WatchChanges(pb.WatchChangesRequest()))
    await anext(responses)
    delays = []
    for number in range(20):
        await upsert(stubs, "a", stock=number)
        acknowledged = time.perf_counter()
        await anext(responses)
        delays.append(time.perf_counter() - acknowledged)
    assert sorted(delays)[10] < 0.05


async def test_a_revision_of_another_catalog_is_refused(stubs: Stubs) -> None:
    await upsert(stubs, "a")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(aiter(stubs.catalog.WatchChanges(pb.WatchChangesRequest(after_revision=2))))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason_of(refused.value) == "REVISION_UNKNOWN"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await anext(aiter(stubs.catalog.WatchChanges(pb.WatchChangesRequest(after_revision=-1))))
    assert field_of(refused.value) == "after_revision"


@pytest.mark.parametrize("seed", range(3))
async def test_a_watcher_sees_each_revision_once_in_order(stubs: Stubs, seed: int) -> None:
    chance = random.Random(seed)
    await upsert(stubs, *(f"p{i}" for i in range(40)))
    last_revision = 0

    async def write() -> None:
        nonlocal last_revision
        for number in range(12):
            ids = [f"p{i}" for i in chance.sample(range(60), chance.randint(1, 6))]
            if chance.random() < 0.3:
                request = pb.DeleteProductRequest(id=ids[0], allow_missing=True)
                revision = (await stubs.catalog.DeleteProduct(request)).revision
            else:
                revision = await upsert(stubs, *ids, stock=chance.randint(0, number))
            last_revision = max(last_revision, revision)

    seen: dict[int, list[int]] = {}

    async def watch(watcher: int, after: int, *, is_slow: bool) -> None:
        revisions = seen[watcher] = [after]
        request = pb.WatchChangesRequest(after_revision=after, omit_products=watcher % 2 == 0)
        async for response in stubs.catalog.WatchChanges(request):
            revisions += [change.revision for change in response.changes]
            assert response.head_revision >= revisions[-1]
            if is_slow:
                await asyncio.sleep(0.002)

    watchers = [
        asyncio.ensure_future(watch(i, chance.randint(0, 40), is_slow=i % 3 == 0)) for i in range(6)
    ]
    await asyncio.gather(*(write() for _ in range(4)))
    late = asyncio.ensure_future(watch(6, last_revision - 1, is_slow=False))
    await until(
        lambda: (
            len(seen) == 7 and all(revisions[-1] == last_revision for revisions in seen.values())
        ),
        what="every watcher at the head",
    )
    for watcher in (*watchers, late):
        watcher.cancel()
    await asyncio.gather(*watchers, late, return_exceptions=True)
    for revisions in seen.values():
        assert revisions == list(range(revisions[0], last_revision + 1))


async def test_watchers_end_at_once_when_the_catalog_drains(tmp_path: Path) -> None:
    settings = CatalogSettings(data_dir=tmp_path, listen="127.0.0.1:0", grace_seconds=30)
    ended: list[grpc.aio.AioRpcError] = []

    async def watch(stubs: Stubs) -> None:
        responses = stubs.catalog.WatchChanges(pb.WatchChangesRequest())
        first.set()
        try:
            async for _ in responses:
                watched.release()
        except grpc.aio.AioRpcError as error:
            ended.append(error)

    first, watched = asyncio.Event(), asyncio.Semaphore(0)
    running = serving(compose(settings))
    port = await running.__aenter__()
    async with stubs_of(f"127.0.0.1:{port}") as stubs:
        watchers = [asyncio.ensure_future(watch(stubs)) for _ in range(5)]
        for _ in watchers:
            await watched.acquire()
        began = time.monotonic()
        await running.__aexit__(None, None, None)
        await asyncio.gather(*watchers)
    assert time.monotonic() - began < 2
    assert [error.code() for error in ended] == [grpc.StatusCode.UNAVAILABLE] * 5
    assert {reason_of(error) for error in ended} == {"UPSTREAM_UNAVAILABLE"}


async def test_a_watcher_that_leaves_is_forgotten(stubs: Stubs) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(20):
        watching = stubs.catalog.WatchChanges(pb.WatchChangesRequest())
        await anext(aiter(watching))
        watching.cancel()
    await upsert(stubs, "a")
    await until(lambda: len(asyncio.all_tasks()) <= before + 2, what="no tasks left of watchers")
