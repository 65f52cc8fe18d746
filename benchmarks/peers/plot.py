"""The latencies of a run as a picture."""

from pathlib import Path
from typing import Any

from benchmarks.peers.results import VITRINA, Outcome, Spread
from services.cli.judgment.plotting import settle_matplotlib

_OURS, _THEIRS = "#2a7f62", "#8a94a6"


def drawn(outcome: Outcome, file: Path) -> None:
    """Draw medians with their quartiles: a panel without a filter, and one for each filter."""
    settle_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    filters = ["", *outcome.task.bounds]
    rows = list(dict.fromkeys((case.system, case.way) for case in outcome.answers))[::-1]
    height = 1.5 + 0.32 * len(rows)
    figure = Figure(figsize=(5.2 * len(filters), height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(filters), sharey=True, sharex=True, squeeze=False)[0]
    for axes, name in zip(panels, filters, strict=True):
        _panel(axes, outcome, rows, name)
    panels[0].set_yticks(range(len(rows)), [f"{system}, {way}" for system, way in rows])
    figure.suptitle(f"{outcome.products:,} products, text in, {outcome.task.k} products out")
    figure.savefig(file, format="png")


def _panel(axes: Any, outcome: Outcome, rows: list[Any], name: str) -> None:
    for place, (system, way) in enumerate(rows):
        answers = next(
            (found for case, found in outcome.answers.items()
             if (case.system, case.way, case.filter) == (system, way, name)), None,
        )  # fmt: skip
        if not answers:
            continue
        spread = Spread.of(answers)
        reach = [[spread.median - spread.q1], [spread.q3 - spread.median]]
        color = _OURS if system == VITRINA else _THEIRS
        axes.barh(place, spread.median, xerr=reach, color=color, height=0.7, capsize=2)
        axes.annotate(f"  {spread.median:.1f}", (spread.q3, place), va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_xlabel("median, ms; whiskers: quartiles")
    axes.set_title(f"{outcome.passing[name]:.0%} pass" if name else "no filter")
    axes.margins(x=0.15)
