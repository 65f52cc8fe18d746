"""Answers as people read them."""

from collections.abc import Callable, Sequence

from google.protobuf.struct_pb2 import Value
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.marked import name_cell
from services.cli.output import (
    cell,
    console,
    count,
    error_console,
    inert,
    moment,
    money,
    plain_table,
)
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2

_WIDE, _MEDIUM = 110, 70

_DEGRADED = {
    search_pb2.DEGRADATION_FALLBACK_SPACE: "the preferred model failed or was late, so another "
    "one answered from its own collection",
    search_pb2.DEGRADATION_LEXICAL_ONLY: "no vectors could be had, so words alone answered",
    search_pb2.DEGRADATION_SEMANTIC_ONLY: "word search failed or was late, so vectors alone "
    "answered",
    search_pb2.DEGRADATION_STALE_INDEX: "the index is behind the catalog, so the newest changes "
    "may be missing",
    search_pb2.DEGRADATION_CACHE_DOWN: "Redis does not answer, so memory alone caches",
    search_pb2.DEGRADATION_UNVERIFIED_CACHE: "the catalog cannot be followed, so this cached "
    "answer may be older than the catalog",
    search_pb2.DEGRADATION_NOT_DIVERSE: "vectors could not be had, so --diversity did nothing",
}
_PROVENANCE = {
    search_pb2.PROVENANCE_COMPUTED: "computed",
    search_pb2.PROVENANCE_MEMORY: "from memory",
    search_pb2.PROVENANCE_REDIS: "from Redis",
    search_pb2.PROVENANCE_SHARED: "shared with an identical query",
}

ResultsTable = Callable[[Console, Sequence[search_pb2.Result]], Table]


def show_results(
    results: Sequence[search_pb2.Result],
    info: search_pb2.AnswerInfo,
    *,
    nothing: str,
    table: ResultsTable | None = None,
    found: str = "",
) -> None:
    """Print ranked products, how the answer came about, and what was not as it should be.

    `table` shows the products in another way than usual; `found` says how many there are.
    """
    out = console()
    if results:
        out.print((table or _results_table)(out, results))
    else:
        out.print(nothing)
    parts = [
        found or count(len(results), "result"),
        f"{info.timings.total_ms:.1f} ms",
        _PROVENANCE.get(info.provenance, ""),
        inert(info.space) or "words only",
        f"revision {info.revision}",
    ]
    out.print(" · ".join(part for part in parts if part), style="dim")
    if info.degraded:
        reasons = [_DEGRADED.get(d, f"degradation {d}") for d in info.degraded]
        error_console().print(f"degraded: {'; '.join(reasons)}", style="yellow")


def _results_table(out: Console, results: Sequence[search_pb2.Result]) -> Table:
    is_wide, is_medium = out.width >= _WIDE, out.width >= _MEDIUM
    table = plain_table()
    table.add_column("#", justify="right", style="dim")
    table.add_column("score", no_wrap=True)
    table.add_column("name", ratio=3)
    if is_medium:
        table.add_column("brand", max_width=16, no_wrap=True, overflow="ellipsis")
    if is_wide:
        table.add_column("category", ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column("price", justify="right", no_wrap=True)
    if is_medium:
        table.add_column("stock", justify="right", no_wrap=True)
        table.add_column("id", max_width=24, no_wrap=True, overflow="ellipsis", style="dim")
    for rank, result in enumerate(results, 1):
        product = result.product
        row = [cell(rank), _score(result.score, with_bar=is_medium), name_cell(result)]
        if is_medium:
            row.append(cell(product.brand))
        if is_wide:
            row.append(cell(product.category, "dim"))
        row.append(cell(money(product.price, product.currency), "green"))
        if is_medium:
            row += [_stock(product), cell(product.id)]
        table.add_row(*row)
    return table


def _score(score: float, *, with_bar: bool) -> Text:
    text = Text(f"{score:.2f}")
    if with_bar:
        filled = round(max(0.0, min(1.0, score)) * 5)
        text.append(" " + "▪" * filled, "cyan").append("·" * (5 - filled), "dim")
    return text


def _stock(product: catalog_pb2.Product) -> Text:
    if not product.HasField("stock"):
        return Text("")
    return cell(f"{product.stock:,}", "" if product.stock else "red")


def show_product(product: catalog_pb2.Product, revision: int) -> None:
    """Print all fields of one product."""
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim", no_wrap=True, max_width=30, overflow="ellipsis")
    table.add_column(overflow="fold")

    def add(name: str, value: str, style: str = "") -> None:
        if value:
            table.add_row(cell(name), Text(inert(value, keep_lines=True), style))

    add("id", product.id)
    add("name", product.name, "bold")
    add("brand", product.brand)
    add("category", product.category)
    add("language", product.language)
    add("price", money(product.price, product.currency), "green")
    add("stock", f"{product.stock:,}" if product.HasField("stock") else "")
    add("active", "" if not product.HasField("active") or product.active else "no", "yellow")
    add("description", product.description)
    add("image", product.image_url)
    for name in sorted(product.attributes):
        add(f"· {name}", _attribute(product.attributes[name]))
    add("created", _time(product, "create_time"))
    add("changed", _time(product, "update_time"))
    add("revision", f"{product.revision} (the catalog is at {revision})")
    console().print(table)


def _attribute(value: Value) -> str:
    match value.WhichOneof("kind"):
        case "bool_value":
            return "yes" if value.bool_value else "no"
        case "number_value":
            return f"{value.number_value:.15g}"
        case _:
            return value.string_value


def _time(product: catalog_pb2.Product, field: str) -> str:
    if not product.HasField(field):  # type: ignore[arg-type]
        return ""
    return moment(getattr(product, field))
