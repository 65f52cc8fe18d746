"""The figures that are followed from size to size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Latency
from benchmarks.scale.asking import Asked
from benchmarks.scale.figures import IndexFigures, Outcome, TextFigures
from benchmarks.scale.index_side import GATEWAY, TEN
from benchmarks.scale.text_side import TEXT

_MIB = 2**20


@dataclass(frozen=True)
class Curve:
    """A figure above 0 by number of products."""

    name: str
    unit: str
    products: Sequence[float]
    figures: Sequence[float]


def p50(asked: Asked, kind: str) -> float:
    """Return the median of a kind in milliseconds."""
    return Latency.of(asked.seconds[kind]).p50


def curves_of(outcome: Outcome) -> list[Curve]:
    """Return all curves of a run, in order of the report."""
    index: dict[str, tuple[str, Callable[[IndexFigures], float]]] = {
        f"search, {TEN}, p50": ("ms", lambda each: p50(each.searches, TEN)),
        f"search, {GATEWAY}, p50": ("ms", lambda each: p50(each.searches, GATEWAY)),
        f"search, {GATEWAY}, p99": (
            "ms", lambda each: Latency.of(each.searches.seconds[GATEWAY]).p99
        ),
        f"search, {GATEWAY}, processor": ("ms", lambda each: each.search_cpu_ms),
        "index, resident": ("MiB", lambda each: each.restarted.resident / _MIB),
        "index, told by itself": ("MiB", lambda each: each.memory_bytes / _MIB),
        "index, empty to READY": ("s", lambda each: each.ready_seconds),
        "index, empty to rest": ("s", lambda each: each.settled_seconds),
        "index, restart to READY": ("s", lambda each: each.restart_seconds),
    }  # fmt: skip
    text: dict[str, tuple[str, Callable[[TextFigures], float]]] = {
        "search by words, p50": ("ms", lambda each: p50(each.searches, TEXT)),
        "search by words, p99": (
            "ms", lambda each: Latency.of(each.searches.seconds[TEXT]).p99
        ),
        "catalog, writing all": ("s", lambda each: each.write_seconds),
        "catalog, files": ("MiB", lambda each: each.database_bytes / _MIB),
        "catalog, start": ("s", lambda each: each.restart_seconds),
    }  # fmt: skip
    return [*_curves(outcome.index, index), *_curves(outcome.text, text)]


def _curves(
    figures: Sequence[Any], read: dict[str, tuple[str, Callable[[Any], float]]]
) -> list[Curve]:
    if not figures:
        return []
    products = [each.products for each in figures]
    return [
        Curve(name, unit, products, [of(each) for each in figures])
        for name, (unit, of) in read.items()
    ]
