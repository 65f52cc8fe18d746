"""The pictures of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Latency
from benchmarks.scale.curves import Curve, curves_of
from benchmarks.scale.figures import Outcome
from benchmarks.scale.growth import power_law
from benchmarks.scale.tables import raw_bytes
from services.cli.judgment.plotting import settle_matplotlib

_COLORS = ("#2a7f62", "#b5413b", "#4a6fa5", "#c9b458", "#7d5ba6", "#d08c60", "#5c6670")
_FLOOR = "#8a94a6"
_MIB = 2**20


def drawn(outcome: Outcome, folder: Path) -> list[str]:
    """Write the pictures into a folder; return their names."""
    settle_matplotlib()
    curves = curves_of(outcome)
    pictures = {
        "latency.png": lambda axes: _growing(axes, _of_unit(curves, "ms"), "ms"),
        "seconds.png": lambda axes: _growing(axes, _of_unit(curves, "s"), "seconds"),
        "memory.png": lambda axes: _memory(axes, outcome, curves),
    }
    if outcome.index:
        pictures |= {
            "filters.png": lambda axes: _filters(axes, outcome),
            "recall.png": lambda axes: _recall(axes, outcome),
            "changes.png": lambda axes: _changes(axes, outcome),
        }
    sizes = sorted({size for curve in curves for size in curve.products})
    for name, draw in pictures.items():
        _save(folder / name, draw, sizes)
    return list(pictures)


def _save(path: Path, draw: Any, sizes: Sequence[float]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(10, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    draw(axes)
    axes.set_xlabel("products")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:,.10g}")
    if axes.get_yscale() == "log":
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, format="png")


def _of_unit(curves: Sequence[Curve], unit: str) -> list[Curve]:
    return [curve for curve in curves if curve.unit == unit]


def _growing(axes: Any, curves: Sequence[Curve], label: str) -> None:
    """Draw points, and the power laws through them."""
    for number, curve in enumerate(curves):
        color = _COLORS[number % len(_COLORS)]
        name = curve.name
        if len(curve.products) > 1:
            law = power_law(curve.products, curve.figures)
            name = f"{name}: n^{law.exponent:.2f}, R2 {law.r_squared:.2f}"
            ends = np.geomspace(min(curve.products), max(curve.products), 50)
            axes.plot(ends, law.at(ends), color=color, linewidth=1)
        axes.plot(curve.products, curve.figures, "o", color=color, markersize=5, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylabel(label)


def _memory(axes: Any, outcome: Outcome, curves: Sequence[Curve]) -> None:
    _growing(axes, _of_unit(curves, "MiB"), "MiB")
    if outcome.index:
        products = [each.products for each in outcome.index]
        raw = [raw_bytes(each, int(outcome.shop["dimensions"])) / _MIB for each in products]
        axes.plot(products, raw, "--", color=_FLOOR, label="vectors in float16")


def _filters(axes: Any, outcome: Outcome) -> None:
    products = [each.products for each in outcome.index]
    for kind, color in zip(outcome.index[0].searches.seconds, _cycle(), strict=False):
        latencies = [Latency.of(each.searches.seconds[kind]) for each in outcome.index]
        axes.plot(products, [each.p50 for each in latencies], "o-", color=color, label=kind)
        axes.plot(products, [each.p99 for each in latencies], ":", color=color)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylabel("ms: p50, and p99 dotted")


def _recall(axes: Any, outcome: Outcome) -> None:
    products = [each.products for each in outcome.index]
    for name, color in zip(outcome.index[0].recall, _cycle(), strict=False):
        means = [each.recall[name].mean for each in outcome.index]
        axes.plot(products, means, "o-", color=color, label=f"filter: {name}")
    axes.axhline(0.97, color=_FLOOR, linewidth=1)
    axes.set_xscale("log")
    axes.set_ylabel("recall@10")


def _changes(axes: Any, outcome: Outcome) -> None:
    products = [each.products for each in outcome.index]
    for name, color in zip(outcome.index[0].changes, _cycle(), strict=False):
        rates = [each.changes[name].per_second for each in outcome.index]
        axes.plot(products, rates, "o-", color=color, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylabel("changes applied a second, while searched")


def _cycle() -> list[str]:
    return [*_COLORS, _FLOOR, "#000000"]
