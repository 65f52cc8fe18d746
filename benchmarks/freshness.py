"""`make bench-freshness`: from a write until searches by meaning find it, and that none is stale.

python -m benchmarks.freshness latency CATALOG     beside one bare embedding call
python -m benchmarks.freshness stale --rounds N    two gateways with warm caches
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import grpc.aio

from benchmarks.figures import Latency
from benchmarks.processes import Stack, running_gateway, running_stack, vitrina
from benchmarks.quality.sheets import Sheet
from benchmarks.queries import Product, read_products, write_products
from benchmarks.staleness import Gateway, Rounds, Tally
from vitrina.catalog.v1 import catalog_pb2
from vitrina.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from vitrina.search.v1 import search_pb2

# A write behind a whole import waits for it.
PATIENCE_SECONDS = 900.0
# Beside new products each write takes as long as what is before it: more at once, or it never ends.
WRITERS_BEHIND_NEW_PRODUCTS = 20
NEW_PRODUCTS = 2_000


@dataclass
class Spent:
    """Seconds of each call."""

    embedding: list[float] = field(default_factory=list)
    # Until the write is stored and a search by words reflects it.
    words: list[float] = field(default_factory=list)
    # Until the write is stored and searches by meaning reflect it.
    meaning: list[float] = field(default_factory=list)


class Writer:
    """Writes one product again and again, each time with the text of another."""

    def __init__(self, product_id: str, gateway: Gateway, embedder: grpc.aio.Channel) -> None:
        self._product_id = product_id
        self._gateway = gateway
        self._embedder: embedder_pb2_grpc.EmbedderServiceAsyncStub
        self._embedder = embedder_pb2_grpc.EmbedderServiceStub(embedder)

    async def embed(self, text: str, spent: Spent) -> None:
        """Embed one text of such a product, without anything around it."""
        request = embedder_pb2.EmbedRequest(
            texts=[f"freshness. {text}"], purpose=embedder_pb2.PURPOSE_DOCUMENT
        )
        started = time.perf_counter()
        await self._embedder.Embed(request, timeout=PATIENCE_SECONDS)
        spent.embedding.append(time.perf_counter() - started)

    async def write(self, text: str, spent: Spent) -> None:
        """Write, and wait until searches by meaning reflect it."""
        started = time.perf_counter()
        await self._upsert(text, waits=True)
        spent.meaning.append(time.perf_counter() - started)

    async def write_and_find_by_words(self, text: str, spent: Spent) -> None:
        """Write, and search by words at the revision of the write."""
        started = time.perf_counter()
        revision = (await self._upsert(text, waits=False)).revision
        request = search_pb2.SearchRequest(
            query="freshness", mode=search_pb2.MODE_LEXICAL, min_revision=revision
        )
        found = await self._gateway.search.Search(request)
        spent.words.append(time.perf_counter() - started)
        assert found.info.revision >= revision
        assert not {*found.info.degraded} - {search_pb2.DEGRADATION_STALE_INDEX}

    async def _upsert(self, text: str, *, waits: bool) -> catalog_pb2.UpsertProductResponse:
        product = catalog_pb2.Product(
            id=self._product_id, name="freshness", description=text[:19_000]
        )
        request = catalog_pb2.UpsertProductRequest(product=product, wait_searchable=waits)
        return await self._gateway.catalog.UpsertProduct(request, timeout=PATIENCE_SECONDS)


def texts_of(products: list[Product]) -> Iterator[str]:
    """Yield texts as long as the products', each another one."""
    for number in count():
        product = products[number * 7919 % len(products)]
        yield f"{product.get('description') or product['name']} {number}"


@asynccontextmanager
async def importing(files: list[Path], address: str) -> AsyncIterator[None]:
    """Import the files again and again beside the block, as a shop does every night."""

    async def run() -> None:
        while True:
            for file in files:
                command = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "services.cli", "import", str(file), "--json"),
                    env=os.environ | {"VITRINA_ADDRESS": address},
                    stdout=asyncio.subprocess.DEVNULL,
                )
                try:
                    if await command.wait():
                        raise RuntimeError(f"import of {file.name} failed")
                finally:
                    if command.returncode is None:
                        command.terminate()
                        await command.wait()

    task = asyncio.create_task(run())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def measure(
    stack: Stack, products: list[Product], folder: Path, times: int
) -> dict[str, Spent]:
    """Measure idle, and beside imports of three kinds."""
    same = write_products(folder / "same.jsonl", products)
    prices = [
        write_products(
            folder / f"prices-{price}.jsonl",
            [product | {"price": price, "currency": "EUR"} for product in products],
        )
        for price in ("9.95", "10.95")
    ]
    new = write_products(
        folder / "new.jsonl",
        [
            product | {"id": f"new-{product['id']}", "name": f"{product['name']} II"}
            for product in products[:NEW_PRODUCTS]
        ],
    )
    texts = texts_of(products)
    found: dict[str, Spent] = {}
    async with (
        grpc.aio.insecure_channel(stack.grpc) as channel,
        grpc.aio.insecure_channel(stack.addresses["embedder"]) as embedder,
    ):
        writers = [
            Writer(f"freshness-{number}", Gateway(channel), embedder)
            for number in range(WRITERS_BEHIND_NEW_PRODUCTS)
        ]
        writer = writers[0]
        for _ in range(20):  # warm up
            await writer.write(next(texts), Spent())

        async def one_by_one(kind: str) -> None:
            spent = found[kind] = Spent()
            for _ in range(times):
                await writer.embed(next(texts), spent)
                await writer.write(next(texts), spent)
            for _ in range(times):
                await writer.write_and_find_by_words(next(texts), spent)

        await one_by_one("idle")
        async with importing([same], stack.grpc):
            await one_by_one("import of the same beside")
        async with importing(prices, stack.grpc):
            await one_by_one("import of prices beside")
        async with importing([new], stack.grpc):
            spent = Spent()
            while await lag(channel) < len(products[:NEW_PRODUCTS]) / 2:
                await writer.write_and_find_by_words(next(texts), spent)
            found[f"behind {await lag(channel):,} new products"] = spent
            await asyncio.gather(
                *(each.write(next(texts), spent) for each in writers),
                *(each.embed(next(texts), spent) for each in writers),
            )
    return found


async def lag(channel: grpc.aio.Channel) -> int:
    """Return how many revisions searches by meaning are behind."""
    status = await Gateway(channel).search.GetStatus(search_pb2.GetStatusRequest())
    return max(collection.lag for collection in status.collections)


def print_latencies(found: dict[str, Spent]) -> None:
    """Print percentiles, and the ratios to the bare embedding call."""
    sheet = Sheet(
        "From a write until it is found",
        ("ms, p50 and p99", "embedding", "", "by words", "", "by meaning", "", "/ embedding"),
    )
    for kind, spent in found.items():
        embedding, words, meaning = (
            Latency.of(seconds) for seconds in (spent.embedding, spent.words, spent.meaning)
        )
        figures = (
            f"{value:.1f}"
            for latency in (embedding, words, meaning)
            for value in (latency.p50, latency.p99)
        )
        ratio = f"{meaning.p50 / embedding.p50:.1f}"
        sheet.rows.append((f"{kind} ({len(spent.meaning)})", *figures, ratio))
    sheet.show()


async def play(addresses: list[str], rounds: int) -> Tally:
    """Play rounds against gateways."""
    channels = [grpc.aio.insecure_channel(address) for address in addresses]
    gateways = [Gateway(channel) for channel in channels]
    try:
        for gateway in gateways:
            await gateway.search.WaitForRevision(search_pb2.WaitForRevisionRequest())
        return await Rounds(gateways).play(rounds)
    finally:
        for channel in channels:
            await channel.close()


def print_tally(tally: Tally) -> None:
    """Print what came of the rounds."""
    counts = (
        ("rounds: a write, then both gateways", tally.rounds),
        ("answers older than asked for", tally.stale_answers),
        ("answers that failed", tally.failed),
        ("answers", tally.answers),
        ("of these from the cache", tally.from_cache),
        ("of these degraded", tally.degraded),
        ("caches that were warm before the write", tally.warm),
    )
    Sheet(
        "Two gateways, warm caches",
        ("", ""),
        [(name, f"{value:,}") for name, value in counts],
        notes=tally.stale,
    ).show()


def main() -> None:
    """Run one of the two on a stack of its own."""
    parser = argparse.ArgumentParser(description="Measure how fresh answers are.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    latency = kinds.add_parser("latency")
    latency.add_argument("catalog", type=Path, help="JSONL, .gz or not")
    latency.add_argument("--limit", type=int, default=10**9, help="products at most")
    latency.add_argument("--times", type=int, default=300)
    stale = kinds.add_parser("stale")
    stale.add_argument("--rounds", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as name:
        folder = Path(name)
        with running_stack(folder / "data") as stack:
            if options.kind == "stale":
                with running_gateway(stack) as other:
                    tally = asyncio.run(play([stack.grpc, other.grpc], options.rounds))
                print_tally(tally)
                sys.exit(bool(tally.stale_answers or tally.failed))
            products = read_products(options.catalog, options.limit)
            held = write_products(folder / "catalog.jsonl", products)
            vitrina("import", str(held), "--wait", address=stack.grpc)
            print_latencies(asyncio.run(measure(stack, products, folder, options.times)))


if __name__ == "__main__":
    main()
