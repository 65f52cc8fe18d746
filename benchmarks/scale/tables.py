"""The tables of the index and of the catalog, a row for each size."""

from collections.abc import Sequence

import numpy as np

from benchmarks.figures import Latency, free_ratio, paired_ratio
from benchmarks.quality.sheets import Sheet
from benchmarks.scale.asking import Asked
from benchmarks.scale.figures import IndexFigures, Likeness, Outcome, TextFigures
from benchmarks.scale.index_side import GATEWAY, GATEWAY_FEEDBACK, GATEWAY_LIMIT, TEN, K

_MIB = 2**20
_FLOAT16_BYTES = 2


def index_sheets(figures: Sequence[IndexFigures], dimensions: int) -> list[Sheet]:
    """Return the tables of the index."""
    if not figures:
        return []
    return [
        _searches(figures),
        _filtered(figures),
        _recall(figures),
        _memory(figures, dimensions),
        _building(figures),
        _changes(figures),
    ]


def text_sheets(figures: Sequence[TextFigures]) -> list[Sheet]:
    """Return the tables of the catalog."""
    if not figures:
        return []
    kinds = list(figures[0].searches.seconds)
    searches = Sheet(
        "Catalog: search by words, 200 hits, ms",
        ("products", *(f"{kind}, {what}" for kind in kinds for what in _TIMES)),
    )
    writes = Sheet(
        "Catalog: writes of 500 products, files, starts",
        ("products", "products/s", "processor, ms/product", "files, MiB",
         "resident after writing, MiB", "after searching, MiB", "start, s", "first answer, s"),
    )  # fmt: skip
    for each in figures:
        cells = [cell for kind in kinds for cell in _times(each.searches, kind)]
        searches.rows.append((f"{each.products:,}", *cells))
        writes.rows.append(
            (
                f"{each.products:,}",
                f"{each.products / each.write_seconds:,.0f}",
                f"{each.write_cpu_seconds / each.products * 1000:.2f}",
                f"{each.database_bytes / _MIB:,.0f}",
                f"{each.written.resident / _MIB:,.0f}",
                f"{each.restarted.resident / _MIB:,.0f}",
                f"{each.restart_seconds:.2f}",
                f"{each.first_answer_seconds:.2f}",
            )
        )
    return [searches, writes]


def likeness_sheet(outcome: Outcome) -> Sheet:
    """Return the comparison of drawn vectors with real ones."""
    sheet = Sheet(
        f"Drawn vectors beside as many real ones, {outcome.shop['real products']:,} of each",
        ("", "real", "drawn"),
        notes=(f"Five figures are the quantiles {_joined(outcome.quantiles, 2)}.",),
    )
    for each in outcome.likeness:
        sheet.rows.append((each.name, _told(each, each.real), _told(each, each.drawn)))
    return sheet


_TIMES = ("p50", "p99", "p50 / echo")


def _times(asked: Asked, kind: str) -> tuple[str, str, str]:
    latency = Latency.of(asked.seconds[kind])
    ratio = paired_ratio(asked.seconds[kind], asked.echo[kind])
    return f"{latency.p50:.2f}", f"{latency.p99:.2f}", f"{ratio.value:.1f}"


def _searches(figures: Sequence[IndexFigures]) -> Sheet:
    kinds = (TEN, GATEWAY)
    sheet = Sheet(
        "Index: search, ms",
        ("products", *(f"{kind}, {what}" for kind in kinds for what in _TIMES),
         "processor", "of them in the graph"),
        notes=(
            "Over gRPC to the index process, one at a time, each beside a bare grpc.aio echo of "
            f"its own answer. The gateway asks for {GATEWAY_LIMIT} hits with feedback of "
            f"{GATEWAY_FEEDBACK}; processor is what the index spends on that.",
        ),
    )  # fmt: skip
    for each in figures:
        cells = [cell for kind in kinds for cell in _times(each.searches, kind)]
        sheet.rows.append(
            (
                f"{each.products:,}",
                *cells,
                f"{each.search_cpu_ms:.2f}",
                f"{each.graph_vectors / each.products:.0%}",
            )
        )
    return sheet


def _filtered(figures: Sequence[IndexFigures]) -> Sheet:
    filters = [name for name in figures[0].searches.seconds if name not in (TEN, GATEWAY)]
    sheet = Sheet(
        "Index: search of ten hits with a filter, p50 and p99, ms",
        ("products", *filters),
        notes=(
            "How much a filter lets pass stands in its name. Cheap products are alike, so what a "
            "price lets pass lies together; a stock has nothing to do with the product.",
        ),
    )
    for each in figures:
        latencies = [Latency.of(each.searches.seconds[name]) for name in filters]
        cells = (f"{latency.p50:.2f}, {latency.p99:.2f}" for latency in latencies)
        sheet.rows.append((f"{each.products:,}", *cells))
    return sheet


def _recall(figures: Sequence[IndexFigures]) -> Sheet:
    filters = list(figures[0].recall)
    sheet = Sheet(
        f"Index: recall@{K}, and how it was searched",
        ("products", *(name if name != "none" else "no filter" for name in filters),
         "no filter, after the changes", "exact scan, ms", "cosine of the nearest", "of the tenth"),
        notes=(
            "Against a comparison with all products in float32, made by the benchmark. In brackets "
            "what the index measures itself by CheckRecall; so is the time of a scan, in one "
            "thread. Cosines: medians over the queries, without a filter.",
        ),
    )  # fmt: skip
    for each in figures:
        cells: list[str] = []
        for name in filters:
            recall = each.recall[name]
            own = f" ({recall.own:.3f})" if recall.own is not None else ""
            cells.append(f"{recall.mean:.3f}{own} {recall.strategy}")
        after = each.recall_after_changes
        cells.append(f"{after:.3f}" if after is not None else "")
        plain = each.recall[filters[0]]
        cells.append(f"{plain.own_scan_ms:.1f}" if plain.own_scan_ms is not None else "")
        cells += [f"{plain.first_cosine:.3f}", f"{plain.tenth_cosine:.3f}"]
        sheet.rows.append((f"{each.products:,}", *cells))
    return sheet


def raw_bytes(products: int, dimensions: int) -> int:
    """Return the bytes of so many vectors as float16: the floor of memory."""
    return _FLOAT16_BYTES * dimensions * products


def _memory(figures: Sequence[IndexFigures], dimensions: int) -> Sheet:
    sheet = Sheet(
        "Index: memory, MiB, and as a multiple of the vectors in float16",
        ("products", "vectors in float16", "told by the index", "resident", "of it unshared",
         "resident after the build", "after the changes", "most while building"),
        notes=("Resident: after a restart and all searches.",),
    )  # fmt: skip
    for each in figures:
        raw = raw_bytes(each.products, dimensions)
        sizes = (
            each.memory_bytes,
            each.restarted.resident,
            each.restarted.unique,
            each.built.resident,
            each.changed.resident,
            each.built.peak,
        )
        cells = (f"{size / _MIB:,.0f} ({size / raw:.2f})" for size in sizes)
        sheet.rows.append((f"{each.products:,}", f"{raw / _MIB:,.0f}", *cells))
    return sheet


def _building(figures: Sequence[IndexFigures]) -> Sheet:
    sheet = Sheet(
        "Index: from empty, and from a restart, to READY with everything applied",
        ("products", "READY, s", "products/s", "at rest, graph and all, s", "processor, s: index",
         "embedder", "catalog", "restart, s"),
        notes=("The embedder is a stand-in that gives its vectors at once.",),
    )  # fmt: skip
    for each in figures:
        spent = (f"{each.build_cpu_seconds[n]:.1f}" for n in ("index", "embedder", "catalog"))
        sheet.rows.append(
            (
                f"{each.products:,}",
                f"{each.ready_seconds:.1f}",
                f"{each.products / each.ready_seconds:,.0f}",
                f"{each.settled_seconds:.1f}",
                *spent,
                f"{each.restart_seconds:.2f}",
            )
        )
    return sheet


def _changes(figures: Sequence[IndexFigures]) -> Sheet:
    kinds = list(figures[0].quiet.seconds)
    sheet = Sheet(
        "Index: changes that are applied while it is searched as the gateway does, ms",
        ("products, changes", "changes", "written/s", "applied/s",
         *(f"{kind}, {what}" for kind in kinds for what in ("p50", "p99", "p99 / quiet")),
         "echo, p99 / quiet"),
        notes=("In brackets: 95 % bootstrap intervals.",),
    )  # fmt: skip
    for each in figures:
        quiet_cells = _beside(each.quiet, each.quiet, kinds)
        sheet.rows.append((f"{each.products:,}, none", "", "", "", *quiet_cells))
        for name, changes in each.changes.items():
            sheet.rows.append(
                (
                    f"{each.products:,}, {name}",
                    f"{changes.changes:,}",
                    f"{changes.changes / changes.written_seconds:,.0f}",
                    f"{changes.per_second:,.0f}",
                    *_beside(changes.searches, each.quiet, kinds),
                )
            )
    return sheet


def _beside(asked: Asked, quiet: Asked, kinds: Sequence[str]) -> list[str]:
    cells: list[str] = []
    for kind in kinds:
        latency = Latency.of(asked.seconds[kind])
        ratio = free_ratio(asked.seconds[kind], quiet.seconds[kind], 99)
        cells += [f"{latency.p50:.2f}", f"{latency.p99:.2f}", str(ratio)]
    beside, without = (np.concatenate(list(each.echo.values())).tolist() for each in (asked, quiet))
    return [*cells, f"{free_ratio(beside, without, 99).value:.2f}"]


def _told(likeness: Likeness, figures: Sequence[float]) -> str:
    return _joined(figures, 1 if max(likeness.real) > 1 else 3)


def _joined(figures: Sequence[float], places: int) -> str:
    return ", ".join(f"{figure:.{places}f}" for figure in figures)
