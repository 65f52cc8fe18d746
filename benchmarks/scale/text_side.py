"""The catalog with so many products: how fast it takes them, and how it finds them by words."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benchmarks.scale.asking import Call, asker
from benchmarks.scale.figures import TextFigures
from benchmarks.scale.running import Folder, Running, running
from benchmarks.scale.shop import Passing, Shop
from services.common.channel import channel_to
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc, retrieval_pb2, retrieval_pb2_grpc

# As many as the gateway takes from the words.
_LIMIT = 200
_PRODUCTS_PER_BATCH = 500
_BATCHES_AT_ONCE = 2
_SETTLED_WITHIN_SECONDS = 600.0
_BATCH_SECONDS = 120.0
TEXT = "by words"


async def measure_writes(folder: Folder, shop: Shop, figures: TextFigures) -> None:
    """Fill an empty catalog by its public rpc."""
    async with running("catalog", folder) as process:
        started, cpu_before = time.perf_counter(), process.cpu_seconds
        await _fill(process.address, shop)
        figures.write_seconds = time.perf_counter() - started
        figures.settled_seconds = await process.settled(_SETTLED_WITHIN_SECONDS) - started
        figures.write_cpu_seconds = process.cpu_seconds - cpu_before
        figures.written = process.memory
    files = (folder.data / "catalog").rglob("*")
    figures.database_bytes = sum(file.stat().st_size for file in files if file.is_file())


async def _fill(address: str, shop: Shop) -> None:
    at_once = asyncio.Semaphore(_BATCHES_AT_ONCE)
    async with channel_to(address) as channel, asyncio.TaskGroup() as group:
        stub: catalog_pb2_grpc.CatalogServiceAsyncStub
        stub = catalog_pb2_grpc.CatalogServiceStub(channel)

        async def write(batch: catalog_pb2.BatchUpsertProductsRequest) -> None:
            try:
                answer = await stub.BatchUpsertProducts(batch, timeout=_BATCH_SECONDS)
            finally:
                at_once.release()
            refused = [result.error.message for result in answer.results if result.error.message]
            if refused:
                raise RuntimeError(f"refused: {refused[0]}")

        for batch in shop.batches(_PRODUCTS_PER_BATCH):
            await at_once.acquire()
            group.create_task(write(batch))


@asynccontextmanager
async def measured_catalog(
    folder: Folder,
    queries: Sequence[str],
    filters: Sequence[Passing],
    echo: str,
    figures: TextFigures,
) -> AsyncIterator[Running]:
    """Start the catalog again, time its searches, and leave it running."""
    async with running("catalog", folder) as process, channel_to(process.address) as channel:
        figures.restart_seconds = process.serving_seconds
        stub: retrieval_pb2_grpc.RetrievalServiceAsyncStub
        stub = retrieval_pb2_grpc.RetrievalServiceStub(channel)

        def call(filter_text: str) -> Call:
            async def ask(query: int) -> retrieval_pb2.SearchTextResponse:
                request = retrieval_pb2.SearchTextRequest(
                    query=queries[query], limit=_LIMIT, filter=filter_text
                )
                return await stub.SearchText(request, timeout=60.0)

            return ask

        await call("")(0)
        figures.first_answer_seconds = time.perf_counter() - process.started
        await process.settled(_SETTLED_WITHIN_SECONDS)
        kinds = {TEXT: call(""), **{passing.name: call(passing.text) for passing in filters}}
        async with asker(kinds, len(queries), echo) as asking:
            await asking.warm_up()
            figures.searches = await asking.ask_all()
        figures.restarted = process.memory
        yield process
