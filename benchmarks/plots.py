"""The pictures of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.outcome import Outcome
from benchmarks.report import medians_of
from benchmarks.searching import FLOORS, Stages
from services.cli.judgment.plotting import settle_matplotlib

_FLOOR, _SEARCH, _LATE = "#8a94a6", "#2a7f62", "#b5413b"
_STAGES = {
    "cache": "#c9b458", "embed": "#4a6fa5", "index": "#2a7f62", "text": "#b5413b",
    "arrange": "#7d5ba6", "hydrate": "#d08c60", "rest of the gateway": "#5c6670",
    "client and transport": "#b9c0ca",
}  # fmt: skip


def drawn(outcome: Outcome, folder: Path) -> list[str]:
    """Write the pictures into a folder; return their names."""
    settle_matplotlib()
    names = ["latency.png", "stages.png", "memory.png"]
    _save(folder / names[0], lambda axes: _latencies(axes, outcome), height=5)
    _save(folder / names[1], lambda axes: _stages(axes, outcome), height=3.5)
    _save(folder / names[2], lambda axes: _memory(axes, outcome), height=3.5)
    if outcome.mixed is not None:
        names.append("mixed.png")
        _save(folder / names[3], lambda axes: _mixed(axes, outcome), height=4)
    return names


def _save(path: Path, draw: Any, height: float) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.subplots())
    figure.savefig(path, format="png")


def _latencies(axes: Any, outcome: Outcome) -> None:
    kinds = list(outcome.searches.seconds)[::-1]
    for place, kind in enumerate(kinds):
        ms = np.array(outcome.searches.seconds[kind]) * 1000
        p10, p50, p90, p99 = np.percentile(ms, [10, 50, 90, 99])
        color = _FLOOR if kind in FLOORS else _SEARCH
        axes.barh(place, p90 - p10, left=p10, height=0.6, color=color)
        axes.plot([p50, p50], [place - 0.3, place + 0.3], color="black", linewidth=1.5)
        axes.plot(p99, place, marker="|", color=_LATE, markersize=9, markeredgewidth=2)
        axes.annotate(f" {p50:.2f}", (p90, place), va="center", fontsize=8)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("ms: p10 to p90, p50 in black and as a figure, p99 in red")


def _stages(axes: Any, outcome: Outcome) -> None:
    medians = {kind: medians_of(rows) for kind, rows in outcome.searches.stages.items()}
    for place, kind in enumerate(reversed(medians)):
        left = 0.0
        for stage, milliseconds in _way(medians[kind]).items():
            axes.barh(place, milliseconds, left=left, height=0.6, color=_STAGES[stage])
            left += milliseconds
    axes.set_yticks(range(len(medians)), list(reversed(medians)))
    axes.set_xlabel("ms, medians; of words and meaning the longer way")
    handles = [axes.barh(0, 0, color=color) for color in _STAGES.values()]
    axes.legend(handles, list(_STAGES), frameon=False, fontsize=8, loc="center left",
                bbox_to_anchor=(1, 0.5))  # fmt: skip


def _way(stages: Stages) -> Stages:
    """Return the stages that follow each other: those of the shorter way are hidden."""
    hidden = ("text",) if stages["embed"] + stages["index"] > stages["text"] else ("embed", "index")
    return {stage: stages[stage] for stage in _STAGES if stage not in hidden}


def _memory(axes: Any, outcome: Outcome) -> None:
    parts = list(reversed(outcome.memory))
    _stacked(axes, [part.name for part in parts], {
        "libraries": [part.libraries for part in parts],
        "model; vectors and graph; cached answers": [part.held for part in parts],
        "all else": [part.rest for part in parts],
    })  # fmt: skip
    axes.set_xlabel("MiB resident")


def _stacked(axes: Any, names: Sequence[str], values: dict[str, list[float]]) -> None:
    left = np.zeros(len(names))
    for (label, row), color in zip(values.items(), (_FLOOR, _SEARCH, "#c9b458"), strict=True):
        axes.barh(names, row, left=left, height=0.6, label=label, color=color)
        left += row
    axes.legend(frameon=False, fontsize=8)


def _mixed(axes: Any, outcome: Outcome) -> None:
    assert outcome.mixed is not None
    shown = (("alone", outcome.mixed.alone, _FLOOR), ("import beside", outcome.mixed.beside, _LATE))
    for name, seconds, color in shown:
        ms = np.sort(np.array(seconds)) * 1000
        axes.step(ms, np.arange(1, len(ms) + 1) / len(ms), label=name, color=color)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.axhline(0.99, color="black", linewidth=0.5)
    axes.set_xlabel("ms of a hybrid search")
    axes.set_ylabel("share of searches")
    axes.legend(frameon=False, loc="lower right")
