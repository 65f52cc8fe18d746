"""What one caller of the catalog does to others: huge batches, streams that nobody reads."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.catalog_support import Stubs, message, serving_catalog
from vitrina.catalog.v1 import catalog_pb2 as pb

BATCH = 500
LONG_TEXT = "lámpara de mesa plegable " * 100


@pytest.fixture
async def stubs(tmp_path: Path) -> AsyncIterator[Stubs]:
    """A catalog with a single reader, which nobody may keep."""
    async with serving_catalog(tmp_path, readers=1) as running:
        yield running


def batch(number: int) -> pb.BatchUpsertProductsRequest:
    return pb.BatchUpsertProductsRequest(
        products=[message(f"p-{number}-{i}", description=LONG_TEXT) for i in range(BATCH)]
    )


async def test_reads_go_on_while_huge_batches_are_written(stubs: Stubs) -> None:
    await stubs.catalog.UpsertProduct(pb.UpsertProductRequest(product=message("known")))
    writing = asyncio.gather(*(stubs.catalog.BatchUpsertProducts(batch(n)) for n in range(3)))
    reads_meanwhile = 0
    while not writing.done():
        await stubs.catalog.GetProduct(pb.GetProductRequest(id="known"), timeout=5)
        reads_meanwhile += 1
    await writing
    # One batch after the other is hundreds of reads long.
    assert reads_meanwhile > 20


async def test_watchers_that_do_not_read_hold_up_neither_readers_nor_other_watchers(
    stubs: Stubs,
) -> None:
    idle = [stubs.catalog.WatchChanges(pb.WatchChangesRequest()) for _ in range(8)]
    for stream in idle:
        await stream.read()
    # More than flow control lets through, so that each of them is stuck in the middle.
    for number in range(4):
        await stubs.catalog.BatchUpsertProducts(batch(number))
    async with asyncio.timeout(20):
        watching = stubs.catalog.WatchChanges(pb.WatchChangesRequest())
        seen = 0
        async for page in watching:
            seen += len(page.changes)
            if seen == 4 * BATCH:
                break
        watching.cancel()
        await stubs.catalog.GetProduct(pb.GetProductRequest(id="p-3-499"))
    # Who reads again after all has lost nothing.
    seen = 0
    async with asyncio.timeout(20):
        while seen < 4 * BATCH:
            late = await idle[0].read()
            assert isinstance(late, pb.WatchChangesResponse)
            seen += len(late.changes)
    for stream in idle:
        stream.cancel()
