"""`make bench`: search, import, memory and start, each beside its floor, in one run.

The report, its pictures and every single figure go into a folder.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from pathlib import Path

import grpc.aio

from benchmarks.floors import BareTables
from benchmarks.importing import Imported, bare_rate, import_all, mixed_load
from benchmarks.memory import memory_by_part
from benchmarks.outcome import Outcome, Start, as_json, disk_bytes
from benchmarks.plots import drawn
from benchmarks.processes import (
    Stack,
    running_echo,
    running_gateway,
    running_one_process,
    running_stack,
)
from benchmarks.queries import (
    Product,
    computed,
    price_filter,
    queries_from,
    read_products,
    write_products,
)
from benchmarks.report import as_markdown, machine, sheets_of
from benchmarks.searching import HYBRID, cpu_per_query, measure
from vitrina.search.v1 import search_pb2_grpc

_DEFAULT_REPORT = Path("benchmarks/results/bench")
_ANSWER_SECONDS = 60.0
# Queries that do not count.
_WARM_UP = 50


def main() -> None:
    """Run what is asked for on one catalog."""
    options = _parser().parse_args()
    products = read_products(options.catalog, options.limit)
    with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as name:
        outcome = run(products, Path(name), options)
    options.report.mkdir(parents=True, exist_ok=True)
    pictures = drawn(outcome, options.report)
    (options.report / "report.md").write_text(as_markdown(outcome, pictures), encoding="utf-8")
    (options.report / "figures.json").write_text(as_json(outcome), encoding="utf-8")
    for sheet in sheets_of(outcome):
        sheet.show()
    print(f"report: {options.report}/report.md")


def run(products: list[Product], folder: Path, options: argparse.Namespace) -> Outcome:
    """Measure in a scratch folder."""
    told = machine()
    data_dir = folder / "data"
    file = write_products(folder / "catalog.jsonl", products)
    names = [product["name"] for product in products]
    queries = queries_from(names, options.queries + _WARM_UP)
    queries, warm_up = queries[: options.queries], queries[-_WARM_UP:]
    passing = price_filter(products)
    starts: dict[str, list[Start]] = {"empty": [], "full": []}
    imported = None
    if options.data_dir:
        shutil.copytree(options.data_dir, data_dir)
    else:
        for _ in range(options.starts):
            with running_stack(folder / "empty") as stack:
                starts["empty"].append(Start(stack.seconds_to_ready))
            shutil.rmtree(folder / "empty")
        imported = _imports(products, data_dir, file, options.imports)
    for _ in range(options.starts):
        with running_stack(data_dir) as stack:
            started = time.perf_counter() - stack.seconds_to_ready
            asyncio.run(_answered_whole(stack, queries[0]))
            seconds = time.perf_counter() - started
            starts["full"].append(Start(stack.seconds_to_ready, seconds))
    shutil.copytree(data_dir, folder / "one-process")
    disk = disk_bytes(data_dir)
    with running_stack(data_dir) as stack:
        asyncio.run(_answered_whole(stack, queries[0]))
        with (
            running_gateway(stack, "benchmarks.reading_gateway") as reading,
            running_echo() as echo,
            running_one_process(folder / "one-process") as one_process,
            BareTables(folder / "floor.db", products) as tables,
        ):
            searches = asyncio.run(
                measure(
                    *(stack, reading, echo, one_process, tables, queries, passing),
                    warm_up=warm_up,
                )
            )
            cpu_ms = asyncio.run(cpu_per_query(stack, reading, queries, passing))
        memory = asyncio.run(memory_by_part(stack))
        mixed = None
        if options.windows:
            mixed = asyncio.run(
                mixed_load(
                    stack,
                    products,
                    queries,
                    folder,
                    windows=options.windows,
                    documents=options.window_products,
                )
            )
    return Outcome(
        len(products),
        len(queries),
        passing,
        searches,
        cpu_ms,
        memory,
        {name: seconds for name, seconds in starts.items() if seconds},
        disk,
        imported,
        mixed,
        told,
    )


def _imports(products: list[Product], data_dir: Path, file: Path, rounds: int) -> Imported:
    """Import as often as asked, the last time into the data folder that is measured then."""
    imported = Imported([bare_rate(products)])
    for number in range(rounds):
        if number:
            shutil.rmtree(data_dir)
        with running_stack(data_dir) as stack:
            import_all(stack, file, imported)
        imported.bare.append(bare_rate(products))
    return imported


async def _answered_whole(stack: Stack, query: str) -> None:
    """Return when a hybrid search is answered with nothing left out."""
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub: search_pb2_grpc.SearchServiceAsyncStub = search_pb2_grpc.SearchServiceStub(channel)
        give_up_at = time.monotonic() + _ANSWER_SECONDS
        while time.monotonic() < give_up_at:
            try:
                response = await stub.Search(computed(query, "")[HYBRID])
            except grpc.aio.AioRpcError:
                response = None
            if response is not None and not response.info.degraded:
                return
            await asyncio.sleep(0.02)
    raise RuntimeError(f"no whole answer within {_ANSWER_SECONDS:g} s")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("catalog", type=Path, help="JSONL, .gz or not")
    parser.add_argument("--limit", type=int, default=10**9, help="products at most")
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--starts", type=int, default=5, help="empty, and full")
    parser.add_argument("--imports", type=int, default=1, help="each beside the bare model")
    parser.add_argument("--windows", type=int, default=4, help="searches beside imports; 0: none")
    parser.add_argument("--window-products", type=int, default=1_000, help="of each such import")
    parser.add_argument(
        "--data-dir", type=Path, help="of a stack that is down, with the catalog in it: no import"
    )
    parser.add_argument("--report", type=Path, default=_DEFAULT_REPORT, metavar="FOLDER")
    return parser


if __name__ == "__main__":
    main()
