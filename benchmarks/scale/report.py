"""The report of a run: what was found against the bounds, growth, tables, and how it was made."""

from collections.abc import Sequence

from benchmarks.figures import Latency
from benchmarks.quality.sheets import Sheet
from benchmarks.report import told
from benchmarks.scale import drawing
from benchmarks.scale.asking import Asked
from benchmarks.scale.curves import Curve, curves_of, p50
from benchmarks.scale.figures import Outcome
from benchmarks.scale.growth import between, logarithmic, power_law
from benchmarks.scale.index_side import GATEWAY
from benchmarks.scale.tables import index_sheets, likeness_sheet, raw_bytes, text_sheets
from benchmarks.scale.updating import PACED

# Latency is held against the one with so many products.
_REFERENCE_PRODUCTS = 20_000
_MOST_LATENCY_RATIO, _LEAST_RECALL, _MOST_MEMORY_RATIO = 1.5, 0.97, 1.5
_MOST_RESTART_SECONDS, _LEAST_CHANGES_PER_SECOND, _MOST_P99_RATIO = 15.0, 500.0, 2.0


def as_markdown(outcome: Outcome, pictures: Sequence[str]) -> str:
    """Return the whole report."""
    sheets = [
        *_bounds(outcome),
        *_growth(curves_of(outcome)),
        *index_sheets(outcome.index, int(outcome.shop["dimensions"])),
        *text_sheets(outcome.text),
        likeness_sheet(outcome),
    ]
    return "\n".join(
        [
            "# Vitrina by size",
            "",
            f"{told(outcome.machine)} Shop: {told(outcome.shop)}",
            "",
            *(f"![{name}]({name})\n" for name in pictures),
            *(sheet.as_markdown() for sheet in sheets),
            "### How the vectors were made",
            "",
            "A stand-in for the embedder gives them; the queries and their vectors are real.",
            "",
            (drawing.__doc__ or "").strip(),
            "",
        ]
    )


def _bounds(outcome: Outcome) -> list[Sheet]:
    """Return the largest size against what is asked of a million products."""
    if not outcome.index:
        return []
    largest = outcome.index[-1]
    sheet = Sheet(f"Against the bounds, {largest.products:,} products", ("", "found", "bound"))
    latency = p50(largest.searches, GATEWAY)
    at_reference = between(
        [each.products for each in outcome.index],
        [p50(each.searches, GATEWAY) for each in outcome.index],
        _REFERENCE_PRODUCTS,
    )
    if at_reference is not None:
        sheet.rows.append(
            (
                f"search p50, as the gateway asks, as a multiple of that at "
                f"{_REFERENCE_PRODUCTS:,} (between the sizes beside it)",
                f"{latency / at_reference:.2f}",
                f"<= {_MOST_LATENCY_RATIO}",
            )
        )
    worst = min(largest.recall, key=lambda name: largest.recall[name].mean)
    raw = raw_bytes(largest.products, int(outcome.shop["dimensions"]))
    sheet.rows += [
        (f"recall@10, the least of all filters ({worst})",
         f"{largest.recall[worst].mean:.3f}", f">= {_LEAST_RECALL}"),
        ("memory told by the index / vectors in float16",
         f"{largest.memory_bytes / raw:.2f}", f"<= {_MOST_MEMORY_RATIO}"),
        ("resident memory / vectors in float16",
         f"{largest.restarted.resident / raw:.2f}", f"<= {_MOST_MEMORY_RATIO}"),
        ("restart to READY, s", f"{largest.restart_seconds:.1f}", f"<= {_MOST_RESTART_SECONDS:g}"),
    ]  # fmt: skip
    for name, changes in largest.changes.items():
        if name in PACED:
            ratio = _p99(changes.searches) / _p99(largest.quiet)
            sheet.rows += [
                (f"search p99 beside {name} / without", f"{ratio:.2f}", f"<= {_MOST_P99_RATIO:g}"),
                (f"{name}: from the last written to all applied, s",
                 f"{changes.applied_seconds - changes.written_seconds:.2f}", ""),
            ]  # fmt: skip
        else:
            rate = f"{changes.per_second:,.0f}"
            bound = f">= {_LEAST_CHANGES_PER_SECOND:g}"
            sheet.rows.append((f"changes applied a second: {name}", rate, bound))
    return [sheet]


def _p99(asked: Asked) -> float:
    return Latency.of(asked.seconds[GATEWAY]).p99


def _growth(curves: Sequence[Curve]) -> list[Sheet]:
    curves = [curve for curve in curves if len(curve.products) > 1]
    if not curves:
        return []
    sheet = Sheet(
        "Growth with the number of products n, by least squares",
        ("", *(f"{products:,}" for products in curves[0].products),
         "exponent of n", "R2", "more for each tenfold", "R2"),
        notes=(
            "Exponent: of c n^a, fitted to logarithms; 0 is constant, 1 proportional. More for "
            "each tenfold: of c + b log10 n, fitted to the figures.",
        ),
    )  # fmt: skip
    for curve in curves:
        power = power_law(curve.products, curve.figures)
        log = logarithmic(curve.products, curve.figures)
        by_size = dict(zip(curve.products, curve.figures, strict=True))
        cells = (
            f"{by_size[products]:,.2f}" if products in by_size else ""
            for products in curves[0].products
        )
        sheet.rows.append(
            (
                f"{curve.name}, {curve.unit}",
                *cells,
                f"{power.exponent:.2f}",
                f"{power.r_squared:.3f}",
                f"{log.per_tenfold:,.2f}",
                f"{log.r_squared:.3f}",
            )
        )
    return [sheet]
