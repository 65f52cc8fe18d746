"""Runs of a load: their table, their picture, and whether any call failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load.h2load import Level, Load
from benchmarks.quality.sheets import Sheet
from services.cli.judgment.plotting import settle_matplotlib

_COLORS = ("#8a94a6", "#2a7f62", "#b9c0ca", "#7fb69f")


@dataclass
class Loads:
    """The runs of each server at each level, round by round."""

    # Server → the one that it is held against in the same round, each with its own name.
    beside: Mapping[str, str]
    reply_bytes: int
    seconds: int
    by_level: dict[Level, dict[str, list[Load]]] = field(default_factory=dict)

    def add(self, level: Level, server: str, load: Load) -> None:
        """Add a run."""
        self.by_level.setdefault(level, {}).setdefault(server, []).append(load)

    @property
    def failed(self) -> int:
        """Calls of all runs that failed."""
        return sum(
            load.failed
            for by_server in self.by_level.values()
            for loads in by_server.values()
            for load in loads
        )

    def ratios(self, level: Level, server: str) -> list[float]:
        """Return requests per second beside the other server, round by round; maybe none."""
        runs = self.by_level[level]
        own, others = _rates(runs[server]), _rates(runs.get(self.beside.get(server, ""), []))
        return [rate / other for rate, other in zip(own, others, strict=bool(others))]


def _rates(loads: Sequence[Load]) -> list[float]:
    return [load.requests_per_second for load in loads]


def sheet_of(loads: Loads) -> Sheet:
    """Return the table: medians over the rounds, and the ratio with its extremes."""
    rounds = max(len(runs) for by in loads.by_level.values() for runs in by.values())
    sheet = Sheet(
        f"Cached answers of {loads.reply_bytes:,} bytes under h2load",
        (
            *("connections x calls", "requests/s", "p50 ms", "p99 ms"),
            *("processor, ms/call", "of h2load", "failed", "ratio", "to"),
        ),
        notes=(
            f"Medians of {rounds} rounds of {loads.seconds} s; the servers take turns. The ratio "
            "is of requests/s in the same round: median, lowest and highest. h2load needs a core "
            "of its own at the most: what its processor and the server's add up to shows whether "
            "there was one.",
        ),
    )
    for level, by_server in loads.by_level.items():
        for server, runs in by_server.items():
            figures = (
                f"{np.median(_rates(runs)):,.0f}",
                f"{np.median([run.latency.p50 for run in runs]):.2f}",
                f"{np.median([run.latency.p99 for run in runs]):.2f}",
                f"{np.median([run.cpu_ms for run in runs]):.3f}",
                f"{np.median([run.own_cpu_ms for run in runs]):.3f}",
                f"{sum(run.failed for run in runs):,}",
            )
            ratios, other = loads.ratios(level, server), loads.beside.get(server, "")
            told = (
                f"{np.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else ""
            )
            sheet.rows.append((f"{level}, {server}", *figures, told, other if ratios else ""))
    return sheet


def drawn(loads: Loads, path: Path) -> None:
    """Write a picture: requests per second at each level, each round as a dot."""
    settle_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    rates, latencies = figure.subplots(1, 2)
    _bars(rates, loads, _rates)
    rates.set_title("requests/s")
    _bars(latencies, loads, lambda runs: [run.latency.p99 for run in runs])
    latencies.set_title("p99, ms")
    latencies.set_yscale("log")
    latencies.yaxis.set_major_formatter("{x:g}")
    rates.legend(frameon=False, fontsize=8)
    figure.savefig(path, format="png")


def _bars(axes: Any, loads: Loads, values_of: Any) -> None:
    levels = list(loads.by_level)
    servers = list(loads.by_level[levels[0]])
    width = 0.8 / len(servers)
    for place, server in enumerate(servers):
        left = [n + (place - (len(servers) - 1) / 2) * width for n in range(len(levels))]
        values = [values_of(loads.by_level[level][server]) for level in levels]
        axes.bar(left, [np.median(each) for each in values], width * 0.92, label=server,
                 color=_COLORS[place % len(_COLORS)])  # fmt: skip
        for x, each in zip(left, values, strict=True):
            axes.plot([x] * len(each), each, ".", color="black", markersize=3)
    axes.set_xticks(range(len(levels)), [str(level) for level in levels])
    axes.set_xlabel("connections x calls in flight")
