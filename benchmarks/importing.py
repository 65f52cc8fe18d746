"""Imports: beside the bare model over the same texts, and what they cost searches meanwhile."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio

from benchmarks.figures import Latency
from benchmarks.processes import Stack, children_cpu_seconds, vitrina
from benchmarks.queries import Product, computed, write_products
from benchmarks.searching import HYBRID
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

# A calm shop's pace. What is planned is timed from when it was planned, so that a call
# that is held up does not hide those behind it.
QUERIES_PER_SECOND = 25.0
_TEXT_FIELDS = ("name", "brand", "category", "description")


@dataclass(frozen=True)
class Rate:
    """Documents in a time, and the processor that they took."""

    documents: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Documents per second."""
        return self.documents / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor per document."""
        return 1000 * self.cpu_seconds / self.documents


@dataclass
class Imported:
    """The bare model before and after each import, and the imports."""

    bare: list[Rate] = field(default_factory=list)
    imports: list[Rate] = field(default_factory=list)
    # Rows per second until all were stored, not yet searchable by meaning.
    stored_per_second: list[float] = field(default_factory=list)


def bare_rate(products: Sequence[Product]) -> Rate:
    """Embed the products' texts with onnxruntime alone."""
    texts = (". ".join(filter(None, (p.get(f, "") for f in _TEXT_FIELDS))) for p in products)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_onnx"],
        input="\n".join(" ".join(text.split()) for text in texts),
        capture_output=True,
        text=True,
        check=True,
    )
    return Rate(len(products), **json.loads(done.stdout))


def import_all(stack: Stack, file: Path, imported: Imported) -> None:
    """Import a file into an empty stack; from the first row read to the last one searchable."""
    cpu_before = sum(stack.cpu_seconds().values()) + children_cpu_seconds()
    summary = vitrina("import", str(file), "--wait", address=stack.grpc)
    cpu_seconds = sum(stack.cpu_seconds().values()) + children_cpu_seconds() - cpu_before
    seconds = sum(float(str(summary[part])) for part in ("seconds", "searchable_seconds"))
    imported.imports.append(Rate(int(str(summary["stored"])), seconds, cpu_seconds))
    imported.stored_per_second.append(float(str(summary["rows_per_second"])))


@dataclass
class Mixed:
    """Seconds of hybrid searches while nothing else goes on, and beside an import."""

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    # Documents per second of each import beside which searches went on.
    rates: list[float] = field(default_factory=list)
    windows: list[tuple[Latency, Latency]] = field(default_factory=list)
    # Answers that a stage was left out of.
    partial: int = 0


async def mixed_load(
    stack: Stack,
    products: Sequence[Product],
    queries: Sequence[str],
    folder: Path,
    *,
    windows: int,
    documents: int,
) -> Mixed:
    """Search at a steady pace: as long as an import of fresh products takes, then as long without.

    `windows` pairs of both, each with `documents` products that the index has not seen.
    """
    mixed = Mixed()
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        pacer = _Pacer(channel, queries)
        await pacer.run_until(asyncio.create_task(asyncio.sleep(2.0)))  # warm up
        for window in range(windows):
            file = write_products(
                folder / f"fresh-{window}.jsonl", fresh(products, window, documents)
            )
            started = time.perf_counter()
            beside = await pacer.run_until(asyncio.create_task(_import(file, stack.grpc)))
            seconds = time.perf_counter() - started
            alone = await pacer.run_until(asyncio.create_task(asyncio.sleep(seconds)))
            mixed.alone += alone
            mixed.beside += beside
            mixed.rates.append(documents / seconds)
            mixed.windows.append((Latency.of(alone), Latency.of(beside)))
            mixed.partial = pacer.partial
    return mixed


def fresh(products: Sequence[Product], window: int, documents: int) -> list[Product]:
    """Return products that differ from all others by their id and their text."""
    chosen = [products[(window * documents + n) % len(products)] for n in range(documents)]
    return [
        product | {"id": f"fresh-{window}-{n}", "name": f"{product['name']} {window}{n:04d}"}
        for n, product in enumerate(chosen)
    ]


async def _import(file: Path, address: str) -> None:
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "import", str(file), "--wait", "--json"),
        env=os.environ | {"VITRINA_ADDRESS": address},
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await command.wait():
        raise RuntimeError(f"the import of {file.name} failed")


class _Pacer:
    """Sends a search at each beat, whether or not those before it have come back."""

    def __init__(self, channel: grpc.aio.Channel, queries: Sequence[str]) -> None:
        self._search: search_pb2_grpc.SearchServiceAsyncStub
        self._search = search_pb2_grpc.SearchServiceStub(channel)
        self._queries = queries
        self._asked = 0
        self.partial = 0

    async def run_until(self, other: "asyncio.Task[None]") -> list[float]:
        """Return the seconds of each search that was planned before the other work ended."""
        calls: list[asyncio.Task[float]] = []
        planned = time.perf_counter()
        while not other.done():
            calls.append(asyncio.create_task(self._timed(planned)))
            planned += 1 / QUERIES_PER_SECOND
            await asyncio.sleep(max(0.0, planned - time.perf_counter()))
        await other
        return await asyncio.gather(*calls)

    async def _timed(self, planned: float) -> float:
        query = self._queries[self._asked % len(self._queries)]
        self._asked += 1
        response = await self._search.Search(computed(query, "")[HYBRID])
        # That the index is behind is what an import does; all else would be a stage left out.
        self.partial += bool({*response.info.degraded} - {pb.DEGRADATION_STALE_INDEX})
        return time.perf_counter() - planned
