"""An evaluation as a picture."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

from services.cli.failures import WRONG_USE, Failure
from services.cli.judgment.evaluation import Evaluation
from services.cli.judgment.measures import NAMES, NDCG
from services.cli.output import inert

_BETTER, _WORSE, _OTHER = "#2a7f62", "#b5413b", "#8a94a6"
# With more queries than this their ids would overlap.
_MAX_NAMED_BARS = 80
_MAX_LABEL = 60


def settle_matplotlib() -> None:
    """Make it draw into files, and without notes of its own; to be done before its import."""
    os.environ["MPLBACKEND"] = "Agg"
    # On its first start it says that it collects fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def check_plot_path(path: Path) -> None:
    """Refuse a file that cannot become a picture, before anything is asked."""
    if path.suffix.lower() != ".png":
        raise Failure(f"--plot {path}: must end with .png", exit_code=WRONG_USE)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise Failure(f"--plot {path}: cannot be written there", exit_code=WRONG_USE)


def draw(evaluation: Evaluation, path: Path) -> None:
    """Write a PNG: queries in order of nDCG@10, or of its difference, above the means.

    `settle_matplotlib` must have been called.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a sign that the font lacks is drawn as a box
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        # A "$" in a query's id is no formula.
        with mpl.rc_context({"text.parse_math": False}):
            figure = Figure(figsize=(11, 7.5), dpi=120, layout="constrained")
            FigureCanvasAgg(figure)
            by_query, means = figure.subplots(2, 1, height_ratios=(3, 2))
            _draw_queries(by_query, evaluation)
            _draw_means(means, evaluation)
            try:
                figure.savefig(path, format="png")
            except OSError as error:
                raise Failure(f"--plot {path}: {(error.strerror or 'failed').lower()}") from None


def _draw_queries(axes: Any, evaluation: Evaluation) -> None:
    is_compared = len(evaluation.sides) > 1
    pairs = (evaluation.gaps() if is_compared else evaluation.worst())[::-1]
    values = [value for _, value in pairs]
    axes.bar(
        range(len(pairs)), values, width=0.85,
        color=[_WORSE if value < 0 else _BETTER for value in values],
    )  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.8)
    axes.margins(x=0.01)
    if len(pairs) <= _MAX_NAMED_BARS:
        axes.set_xticks(
            range(len(pairs)), [_label(query, 16) for query, _ in pairs], rotation=90, fontsize=7
        )
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(pairs):,} queries")
    axes.set_ylabel(f"{NDCG}, A - B" if is_compared else NDCG)
    if is_compared:
        won, lost = sum(v > 0 for v in values), sum(v < 0 for v in values)
        axes.set_title(f"A better on {won:,} queries, B on {lost:,} of {len(values):,}")
    else:
        axes.set_title(f"{NDCG} of {len(values):,} queries")


def _draw_means(axes: Any, evaluation: Evaluation) -> None:
    sides = evaluation.sides
    width = 0.8 / len(sides)
    for place, own in enumerate(sides):
        heights = [evaluation.means(place)[name] or 0.0 for name in NAMES]
        name = f"{own.side.name}: " if len(sides) > 1 else ""
        bars = axes.bar(
            [x + (place - (len(sides) - 1) / 2) * width for x in range(len(NAMES))], heights,
            width=width * 0.95, color=(_BETTER, _OTHER)[place],
            label=_label(f"{name}{own.side.config}", _MAX_LABEL),
        )  # fmt: skip
        axes.bar_label(bars, fmt="%.3f", fontsize=8)
    axes.set_xticks(range(len(NAMES)), NAMES)
    axes.set_ylim(0, 1.1)
    axes.set_ylabel("mean")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), frameon=False, fontsize=8)


def _label(text: str, longest: int) -> str:
    text = inert(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"
