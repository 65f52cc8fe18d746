"""`make bench`: import, search, memory and time to ready, each beside its floor."""

import argparse
import asyncio
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.processes import Stack, running_echo, running_stack, vitrina
from benchmarks.queries import Latency, queries_from, search_latencies

console = Console(width=100)


def read_products(file: Path, limit: int) -> list[dict[str, str]]:
    """Return the first products of a JSONL file, packed or not."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for _, line in zip(range(limit), lines, strict=False)]


def bare_onnx_rate(products: list[dict[str, str]]) -> float:
    """Return documents per second of onnxruntime alone over the same texts."""
    texts = (
        ". ".join(
            filter(None, (p.get(f, "") for f in ("name", "brand", "category", "description")))
        )
        for p in products
    )
    lines = "\n".join(" ".join(text.split()) for text in texts)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare_onnx"],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def table(title: str, *columns: str) -> Table:
    """Return an empty table whose figures stand to the right."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made


def print_import(summary: dict[str, object], bare_before: float, bare_after: float) -> None:
    """Print rates of the import beside those of the bare model before and after it."""
    rows = int(str(summary["stored"]))
    # From the first row read to the last one searchable.
    seconds = sum(float(str(summary[part])) for part in ("seconds", "searchable_seconds"))
    rate, bare = rows / seconds, (bare_before + bare_after) / 2
    shown = table("Import", "", "documents/s", "ratio")
    shown.add_row("bare onnxruntime, 2 threads, before and after", f"{bare:.0f}", "1.00")
    shown.add_row(f"import of {rows:,}, until searchable", f"{rate:.0f}", f"{rate / bare:.2f}")
    stored = float(str(summary["rows_per_second"]))
    shown.add_row("of this: stored in the catalog", f"{stored:.0f}", f"{stored / bare:.2f}")
    console.print(shown)


def print_search(latencies: dict[str, Latency], count: int) -> None:
    """Print percentiles as milliseconds and as ratios to the echo."""
    echo = latencies["echo"]
    shown = table(
        f"Search, ten products, {count} queries, one at a time",
        "",
        "p50 ms",
        "p99 ms",
        "p50 / echo",
    )
    names = {
        "echo": "bare grpc.aio echo of the same reply",
        "cached": "search, from memory",
        "hybrid": "search, computed, hybrid",
        "semantic": "search, computed, by meaning alone",
        "lexical": "search, computed, by words alone",
    }
    for kind, name in names.items():
        latency = latencies[kind]
        shown.add_row(
            name, f"{latency.p50:.2f}", f"{latency.p99:.2f}", f"{latency.p50 / echo.p50:.1f}"
        )
    console.print(shown)


def print_memory(stack: Stack) -> None:
    """Print the memory of each process and of all."""
    shown = table("Memory", "process", "resident MiB", "proportional MiB")
    sizes = stack.memory_mib()
    for name, (resident, proportional) in sizes.items():
        shown.add_row(name, f"{resident:.0f}", f"{proportional:.0f}")
    shown.add_section()
    totals = [sum(size[n] for size in sizes.values()) for n in (0, 1)]
    shown.add_row("all", f"{totals[0]:.0f}", f"{totals[1]:.0f}")
    console.print(shown)


def main() -> None:
    """Run all measurements on one catalog."""
    parser = argparse.ArgumentParser(description="Measure Vitrina beside its floors.")
    parser.add_argument("catalog", type=Path, help="JSONL, .gz or not")
    parser.add_argument("--limit", type=int, default=10**9, help="products at most")
    parser.add_argument("--queries", type=int, default=1000)
    options = parser.parse_args()
    products = read_products(options.catalog, options.limit)
    queries = queries_from([product["name"] for product in products], options.queries)
    with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as folder:
        data_dir = Path(folder) / "data"
        sample = Path(folder) / "catalog.jsonl"
        sample.write_text("".join(json.dumps(p) + "\n" for p in products), encoding="utf-8")
        bare_before = bare_onnx_rate(products)
        with running_stack(data_dir) as stack:
            empty_ready = stack.seconds_to_ready
            summary = vitrina("import", str(sample), "--wait", address=stack.grpc)
        bare_after = bare_onnx_rate(products)
        print_import(summary, bare_before, bare_after)
        with running_stack(data_dir) as stack, running_echo() as echo:
            latencies = asyncio.run(search_latencies(stack.grpc, echo, queries))
            print_search(latencies, len(queries))
            print_memory(stack)
            full_ready = stack.seconds_to_ready
    shown = table("From start to ready", "", "seconds")
    shown.add_row("empty", f"{empty_ready:.2f}")
    shown.add_row(f"with {len(products):,} products", f"{full_ready:.2f}")
    console.print(shown)


if __name__ == "__main__":
    main()
