"""The tables of a run."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

from benchmarks.figures import Latency, free_ratio, paired_ratio
from benchmarks.importing import QUERIES_PER_SECOND, Imported, Mixed, Rate
from benchmarks.memory import ProcessMemory
from benchmarks.outcome import Outcome, Start
from benchmarks.quality.sheets import Sheet
from benchmarks.searching import CLIENT, ECHO, FLOOR_OF, HYBRID, Measured, Stages

_LIBRARIES = ("grpcio", "protobuf", "faiss-cpu", "onnxruntime", "numpy")


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(),
        "cores": str(cores),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.system(),
        "Python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def told(on: Mapping[str, str]) -> str:
    """Return what the figures depend on as a sentence."""
    return ", ".join(f"{name} {value}" for name, value in on.items()) + "."


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def sheets_of(outcome: Outcome) -> list[Sheet]:
    """Return all tables, the most telling first."""
    sheets = [
        _searches(outcome),
        _stages(outcome.searches.stages),
        _one_process(outcome.searches, outcome.cpu_ms[HYBRID]),
        _cpu(outcome.cpu_ms),
    ]
    if outcome.imported is not None:
        sheets.append(_import(outcome.imported))
    if outcome.mixed is not None:
        sheets.append(_mixed(outcome.mixed))
    disk = _disk(outcome.disk_bytes, outcome.products)
    return [*sheets, _memory(outcome.memory), disk, _starts(outcome.starts)]


def _searches(outcome: Outcome) -> Sheet:
    measured = outcome.searches
    sheet = Sheet(
        f"Search, ten products, {outcome.queries:,} queries, one at a time, ms",
        ("", "p10", "p50", "p90", "p99", "p50 / echo", "p50 / its floor"),
        notes=(
            "All kinds of calls are made in turn, each at another query at a time. In brackets: "
            "95 % bootstrap intervals over the queries. The floor of cached answers is the echo, "
            "that of hybrid ones the same steps in one process. Of computed answers the products "
            f"are read from the catalog, but for one row. The filter is {outcome.filter_text}; a "
            f"reply has {np.median(measured.reply_bytes):,.0f} bytes.",
        ),
    )
    for kind, seconds in measured.seconds.items():
        latency = Latency.of(seconds)
        floor = FLOOR_OF.get(kind)
        sheet.rows.append(
            (
                kind,
                *(f"{p:.2f}" for p in (latency.p10, latency.p50, latency.p90, latency.p99)),
                str(paired_ratio(seconds, measured.seconds[ECHO])),
                str(paired_ratio(seconds, measured.seconds[floor])) if floor else "",
            )
        )
    return sheet


def medians_of(stages: Sequence[Stages]) -> Stages:
    """Return the median of each stage."""
    return {stage: float(np.median([each[stage] for each in stages])) for stage in stages[0]}


def _stages(stages: Mapping[str, Sequence[Stages]]) -> Sheet:
    medians = {kind: medians_of(rows) for kind, rows in stages.items()}
    names = list(medians[HYBRID])
    return Sheet(
        "Stages as the answers tell them, medians, ms",
        ("", *names),
        [
            (kind, *(f"{stages[name]:.2f}" if stages[name] else "" for name in names))
            for kind, stages in medians.items()
        ],
        notes=(
            "Text goes beside embed and index, and the longer of both ways counts; each stage "
            "holds its call's way there and back.",
        ),
    )


def _one_process(measured: Measured, cpu_ms: Mapping[str, float]) -> Sheet:
    """Return the table of a hybrid search; the processor of four processes is that of all."""
    alone = medians_of(measured.stages_of_one)
    served = medians_of(measured.stages[HYBRID])
    served |= {"total": served["gateway, total"], "processor": _of_servers(cpu_ms)}
    rows = (("one process", alone), ("four processes, at the gateway", served))
    return Sheet(
        "A hybrid search in four processes beside one, medians, ms",
        ("", *alone),
        [
            (name, *(f"{stages[stage]:.2f}" if stage in stages else "" for stage in alone))
            for name, stages in rows
        ],
        notes=("The totals have no transport to a caller.",),
    )


def _cpu(cpu_ms: Mapping[str, Mapping[str, float]]) -> Sheet:
    names = list(cpu_ms[HYBRID])
    return Sheet(
        "Processor per query, ms",
        ("", *names, "all but client"),
        [
            (kind, *(f"{spent[name]:.2f}" for name in names), f"{_of_servers(spent):.2f}")
            for kind, spent in cpu_ms.items()
        ],
    )


def _of_servers(spent: Mapping[str, float]) -> float:
    return sum(milliseconds for name, milliseconds in spent.items() if name != CLIENT)


def _import(imported: Imported) -> Sheet:
    bare = _mean_rate(imported.bare)
    sheet = Sheet(
        f"Import of {imported.imports[0].documents:,} products, until searchable",
        ("", "documents/s", "ratio", "processor, ms/document", "ratio"),
        [("bare onnxruntime, 2 threads, before and after", *_rate_cells(bare, bare))],
        notes=(
            "Of the processor the second ratio is told the same way round: below 1 is what the "
            "import takes beyond the bare model. It is all processes and the client.",
        ),
    )
    for number, rate in enumerate(imported.imports):
        name = "import" if len(imported.imports) == 1 else f"import {number + 1}"
        sheet.rows.append((name, *_rate_cells(rate, bare)))
    stored = float(np.mean(imported.stored_per_second))
    sheet.rows.append(("of this: stored in the catalog", f"{stored:.0f}", "", "", ""))
    return sheet


def _mean_rate(rates: Sequence[Rate]) -> Rate:
    return Rate(
        sum(rate.documents for rate in rates),
        sum(rate.seconds for rate in rates),
        sum(rate.cpu_seconds for rate in rates),
    )


def _rate_cells(rate: Rate, bare: Rate) -> tuple[str, str, str, str]:
    return (
        f"{rate.per_second:.0f}",
        f"{rate.per_second / bare.per_second:.2f}",
        f"{rate.cpu_ms:.2f}",
        f"{bare.cpu_ms / rate.cpu_ms:.2f}",
    )


def _mixed(mixed: Mixed) -> Sheet:
    sheet = Sheet(
        f"Hybrid searches beside an import of fresh products, {QUERIES_PER_SECOND:g} a second, ms",
        ("", "searches", "p50", "p90", "p99"),
        notes=(
            f"{len(mixed.windows)} windows of each, in turn; the imports ran at "
            f"{np.mean(mixed.rates):.0f} documents/s. A call is timed from when it was "
            f"planned. A stage was left out of {mixed.partial:,} answers.",
        ),
    )
    for name, seconds in (("alone", mixed.alone), ("beside an import", mixed.beside)):
        latency = Latency.of(seconds)
        percentiles = (latency.p50, latency.p90, latency.p99)
        sheet.rows.append((name, f"{latency.count:,}", *(f"{p:.1f}" for p in percentiles)))
    ratios = (str(free_ratio(mixed.beside, mixed.alone, p)) for p in (50, 90, 99))
    sheet.rows.append(("ratio", "", *ratios))
    return sheet


def _memory(parts: Sequence[ProcessMemory]) -> Sheet:
    sheet = Sheet(
        "Memory, MiB",
        ("process", "resident", "proportional", "libraries", "what it holds", "all else"),
        notes=(
            "After the searches above. Libraries: a process that only imports the same. "
            "Proportional: pages that processes share are divided among them.",
        ),
    )
    for part in parts:
        held = f"{part.held:.0f} ({part.holding})" if part.holding else ""
        sheet.rows.append(
            (
                part.name,
                f"{part.resident:.0f}",
                f"{part.proportional:.0f}",
                f"{part.libraries:.0f}",
                held,
                f"{part.rest:.0f}",
            )
        )
    totals = (sum(p.resident for p in parts), sum(p.proportional for p in parts))
    sheet.rows.append(("all", *(f"{total:.0f}" for total in totals), "", "", ""))
    return sheet


def _disk(sizes: Mapping[str, int], products: int) -> Sheet:
    return Sheet(
        "Disk, as a stack leaves it",
        ("file", "MiB", "bytes a product"),
        [(kind, f"{size / 2**20:.1f}", f"{size / products:,.0f}") for kind, size in sizes.items()],
    )


def _starts(starts: Mapping[str, Sequence[Start]]) -> Sheet:
    sheet = Sheet(
        "From start to ready, seconds",
        ("", "starts", "median", "fastest", "slowest", "until a whole answer, median"),
    )
    for name, each in starts.items():
        ready = [start.ready_seconds for start in each]
        answered = [start.answer_seconds for start in each if start.answer_seconds is not None]
        figures = (np.median(ready), min(ready), max(ready))
        until_answer = f"{np.median(answered):.2f}" if answered else ""
        sheet.rows.append(
            (name, str(len(ready)), *(f"{figure:.2f}" for figure in figures), until_answer)
        )
    return sheet


def as_markdown(outcome: Outcome, pictures: Sequence[str]) -> str:
    """Return the whole report."""
    parts = [
        "# Vitrina, measured",
        "",
        f"{outcome.products:,} products, {outcome.queries:,} queries. {told(outcome.machine)}",
        "",
        *(sheet.as_markdown() for sheet in sheets_of(outcome)),
        *(f"![{name}]({name})\n" for name in pictures),
    ]
    return "\n".join(parts)
