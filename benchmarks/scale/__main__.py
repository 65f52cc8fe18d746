"""`make bench-scale`: how latency, memory, recall, starts and changes grow with the products.

A catalog and an index as real processes, filled with a synthetic shop. Its products are
shaped like those of a real catalog (`shop`), their vectors lie as real ones do
(`drawing`) and are given at once by a stand-in for the embedder; the queries, and their
vectors, are real. With `--catalog stand-in` the index follows a feed that has its products
from the start, and the changes cost no catalog.

The report, its pictures and every single figure go into a folder, after each size anew.
"""

import argparse
import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import running_echo
from benchmarks.report import machine
from benchmarks.scale.drawing import Drawing
from benchmarks.scale.figures import IndexFigures, Outcome, TextFigures
from benchmarks.scale.index_side import measure_recall, measure_searches, running_index
from benchmarks.scale.likeness import QUANTILES, likenesses
from benchmarks.scale.plots import drawn
from benchmarks.scale.real_shop import RealShop, embedded_shop
from benchmarks.scale.report import as_markdown
from benchmarks.scale.running import Folder, Running, stand_in
from benchmarks.scale.shop import Shop
from benchmarks.scale.text_side import measure_writes, measured_catalog
from benchmarks.scale.updating import Load, measure_changes

_DEFAULT_CATALOG = Path("examples/catalog.jsonl")
_DEFAULT_REPORT = Path("benchmarks/results/scale")
_DEFAULT_SIZES = "10k,30k,100k,300k,1M"
_MULTIPLES = {"k": 1_000, "m": 1_000_000}
# Of all waits for the index: so many products a second are the least that it must take.
_LEAST_PRODUCTS_PER_SECOND = 100
_LEAST_WAIT_SECONDS = 300.0
# Beside changes, one filter is searched with too.
_FILTER_BESIDE_CHANGES = "price, 10%"


@dataclass(frozen=True)
class Run:
    """What a run is made of."""

    file: Path
    real: RealShop
    drawing: Drawing
    scratch: Path
    echo: str
    options: argparse.Namespace


def main() -> None:
    """Measure size after size."""
    options = _parser().parse_args()
    if options.text_sizes is None:
        options.text_sizes = options.sizes
    with asyncio.Runner() as runner:
        runner.run(_until_terminated(options))


async def _until_terminated(options: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    # so that no process is left behind
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="vitrina-scale-") as name, running_echo() as echo:
        await _measure(options, Path(name), echo)


async def _measure(options: argparse.Namespace, scratch: Path, echo: str) -> None:
    options.report.mkdir(parents=True, exist_ok=True)
    file = await embedded_shop(
        options.products, options.real, options.queries, options.report, Folder(scratch / "real")
    )
    real = RealShop.load(file)
    run = Run(file, real, Drawing(real.vectors, real.neighbours), scratch, echo, options)
    outcome = Outcome(machine(), _told(run), quantiles=QUANTILES)
    outcome.likeness = await asyncio.to_thread(likenesses, real)
    for size in sorted({*options.sizes, *options.text_sizes}):
        await _measure_size(run, size, outcome)
        outcome.save(options.report / "figures.json")
        pictures = drawn(outcome, options.report)
        text = as_markdown(outcome, pictures)
        (options.report / "report.md").write_text(text, encoding="utf-8")
    print(f"report: {options.report}/report.md")


def _told(run: Run) -> dict[str, str | int]:
    return {
        "catalog": run.options.products.name,
        "real products": len(run.real.products),
        "queries": len(run.real.queries),
        "model": run.real.space,
        "dimensions": run.real.dimensions,
    }


async def _measure_size(run: Run, size: int, outcome: Outcome) -> None:
    print(f"{size:,} products", flush=True)
    shop = Shop(run.real.products, size)
    with tempfile.TemporaryDirectory(dir=run.scratch) as name:
        folder = Folder(Path(name))
        if size not in run.options.sizes:
            async with _text_measured(run, folder, shop, outcome):
                return
        if run.options.catalog == "real":
            async with _text_measured(run, folder, shop, outcome) as catalog:
                await _measure_index(run, folder, shop, catalog, outcome)
            return
        async with stand_in(
            "benchmarks.scale.stand_in_catalog", folder, str(run.file), str(size)
        ) as catalog:
            await _measure_index(run, folder, shop, catalog, outcome)
        if size in run.options.text_sizes:
            async with _text_measured(run, folder, shop, outcome):
                pass


@asynccontextmanager
async def _text_measured(
    run: Run, folder: Folder, shop: Shop, outcome: Outcome
) -> AsyncIterator[Running]:
    """Fill a catalog, time it, and leave it running."""
    figures = TextFigures(shop.size)
    await measure_writes(folder, shop, figures)
    filters = [passing for passing in shop.filters() if passing.name == _FILTER_BESIDE_CHANGES]
    async with measured_catalog(folder, run.real.queries, filters, run.echo, figures) as catalog:
        outcome.text.append(figures)
        yield catalog


async def _measure_index(
    run: Run, folder: Folder, shop: Shop, catalog: Running, outcome: Outcome
) -> None:
    options, filters, queries = run.options, shop.filters(), run.real.query_vectors
    within = _LEAST_WAIT_SECONDS + shop.size / _LEAST_PRODUCTS_PER_SECOND
    figures = IndexFigures(shop.size, options.catalog)
    async with stand_in("benchmarks.scale.stand_in_embedder", folder, str(run.file)) as embedder:
        processes = {"catalog": catalog, "embedder": embedder}
        before = {name: process.cpu_seconds for name, process in processes.items()}
        async with running_index(folder, catalog.address, embedder.address) as index:
            figures.ready_seconds = await index.until_ready(shop.size, within)
            settled = await index.process.settled(within)
            figures.settled_seconds = settled - index.process.started
            figures.build_cpu_seconds = {
                name: process.cpu_seconds - before[name] for name, process in processes.items()
            } | {"index": index.process.cpu_seconds}
            figures.built = index.process.memory
            figures.recall = await measure_recall(
                index, run.drawing, shop.size, queries[: options.recall_queries], filters
            )
        async with running_index(folder, catalog.address, embedder.address) as index:
            figures.restart_seconds = await index.until_ready(shop.size, within)
            await index.process.settled(within)
            await measure_searches(index, queries, filters, run.echo, figures)
            figures.restarted = index.process.memory
            collection = await index.collection()
            assert collection is not None
            figures.memory_bytes = collection.memory_bytes
            figures.graph_vectors = collection.graph_vectors
            beside = [passing for passing in filters if passing.name == _FILTER_BESIDE_CHANGES]
            load = Load(options.seconds, options.change_rate, options.changes)
            await measure_changes(
                index,
                catalog.address,
                shop=shop,
                drawing=run.drawing,
                queries=queries,
                filters=beside,
                load=load,
                echo=run.echo,
                figures=figures,
            )
    outcome.index.append(figures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure how Vitrina grows.")
    parser.add_argument(
        "products", type=Path, nargs="?", default=_DEFAULT_CATALOG, help="JSONL, .gz or not"
    )
    parser.add_argument("--sizes", type=_sizes, default=_sizes(_DEFAULT_SIZES))
    parser.add_argument(
        "--text-sizes", type=_sizes, help='of the catalog; as --sizes by default, "" for none'
    )
    parser.add_argument("--catalog", choices=("real", "stand-in"), default="real")
    parser.add_argument("--report", type=Path, default=_DEFAULT_REPORT, help="folder")
    parser.add_argument("--real", type=int, default=10**9, help="real products at most")
    parser.add_argument("--queries", type=int, default=400)
    parser.add_argument("--recall-queries", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0, help="of searches beside changes")
    parser.add_argument("--change-rate", type=float, default=500.0, help="changes a second")
    parser.add_argument("--changes", type=int, default=20_000, help="at once")
    return parser


def _sizes(text: str) -> list[int]:
    return [_size(part.strip()) for part in text.split(",") if part.strip()]


def _size(text: str) -> int:
    multiple = _MULTIPLES.get(text[-1].lower(), 1)
    return int(float(text.rstrip("kKmM")) * multiple)


if __name__ == "__main__":
    main()
