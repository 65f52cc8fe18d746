"""Why an answer is what it is: for each product what ranked it, and how the query went."""

from collections.abc import Iterable, Sequence

from google.protobuf.descriptor import EnumDescriptor
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.marked import name_cell
from services.cli.output import cell, console, count, inert, money, on_one_line, plain_table, times
from vitrina.search.v1 import search_pb2

_WIDE = 110

# Words go beside embed and index, so that the sum may be above the total.
_STAGES = {
    "cache_ms": "cache",
    "text_ms": "words",
    "embed_ms": "embed",
    "index_ms": "index",
    "hydrate_ms": "hydrate",
    "arrange_ms": "arrange",
}


def show_query(request: search_pb2.SearchRequest, response: search_pb2.SearchResponse) -> None:
    """Print how the query was taken, what was looked at, and where the time went."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    grid.add_row("mode", _mode(request))
    grid.add_row("correction", cell(_correction(request, response)))
    for name, ids in (("rules", response.rule_ids), ("synonyms", response.synonym_ids)):
        if ids:
            grid.add_row(name, cell(", ".join(ids)))
    if request.without_rules:
        grid.add_row("rules", "left out (--no-rules)")
    grid.add_row("plan", _plan(response.info.plan))
    if response.info.left_out:
        left_out = (f"{each.stage} ({each.reason})" for each in response.info.left_out)
        grid.add_row("left out", cell(", ".join(left_out)))
    grid.add_row("timings", _timings(response.info.timings))
    out = console()
    out.print(grid)
    out.print()


def ranking_table(
    out: Console, results: Sequence[search_pb2.Result], *, is_first_page: bool = True
) -> Table:
    """Return a line for each product: its place by words and by meaning, and the fused score.

    Where rules or diversity moved a product, also its place by score alone, and what rules did.
    """
    is_wide = out.width >= _WIDE
    score_ranks = _score_ranks(results, is_first_page=is_first_page)
    has_rules = any(result.explanation.rules for result in results)
    table = plain_table()
    table.add_column("#", justify="right", style="dim")
    if score_ranks:
        table.add_column("by score", justify="right", no_wrap=True, style="yellow")
    for name in ("score", "words", "bm25", "meaning", "cosine"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("exact", no_wrap=True, style="green")
    if has_rules:
        table.add_column(
            "rules", max_width=40 if is_wide else 12, no_wrap=True, overflow="ellipsis"
        )
    table.add_column("name", ratio=1)
    if is_wide:
        table.add_column("brand", max_width=16, no_wrap=True, overflow="ellipsis")
        table.add_column("price", justify="right", no_wrap=True, style="green")
        table.add_column("id", max_width=24, no_wrap=True, overflow="ellipsis", style="dim")
    for rank, result in enumerate(results, 1):
        product, why = result.product, result.explanation
        row = [
            cell(rank),
            *([cell(score_ranks[rank - 1])] if score_ranks else []),
            cell(f"{result.score:.3f}"),
            *_way(why.lexical_rank, why.lexical_score, f"{why.bm25:.2f}"),
            *_way(why.semantic_rank, why.semantic_score, f"{why.cosine:.3f}"),
            cell("yes" if why.is_exact_identifier else ""),
            *([cell(_effects(why.rules, with_ids=is_wide))] if has_rules else []),
            on_one_line(name_cell(result)),
        ]
        if is_wide:
            row += [
                cell(product.brand),
                cell(money(product.price, product.currency)),
                cell(product.id),
            ]
        table.add_row(*row)
    return table


def _score_ranks(results: Sequence[search_pb2.Result], *, is_first_page: bool) -> list[str]:
    """Return for each product its place by score, "" if it has that; [] if all have.

    "-" is for one that a rule brought in. Behind the first page places are not
    known, so each is told there.
    """
    ranks = [result.explanation.score_rank for result in results]
    if not any(ranks):  # nothing took part that could move a product
        return []
    told = [
        "" if is_first_page and rank == place else f"#{rank}" if rank else "-"
        for place, rank in enumerate(ranks, 1)
    ]
    return told if any(told) else []


def _effects(rules: Iterable[search_pb2.AppliedRule], *, with_ids: bool) -> str:
    """Return "pinned #1 by summer, buried by stock"."""
    return ", ".join(
        f"{_effect(rule)} by {rule.rule_id}" if with_ids else _effect(rule) for rule in rules
    )


def _effect(rule: search_pb2.AppliedRule) -> str:
    parts = [f"pinned #{rule.pinned_position}"] if rule.pinned_position else []
    parts += ["buried"] if rule.is_buried else []
    parts += [times(rule.factor)] if rule.factor else []
    return " ".join(parts) or "no effect"


def _way(rank: int, score: float, raw: str) -> tuple[Text, Text]:
    """Return the cells of one way of finding: "#3 0.87" and the raw score; "-" if not found."""
    if not rank:
        return Text("-", "dim"), Text("-", "dim")
    return Text(f"#{rank} {score:.2f}"), Text(raw)


def _mode(request: search_pb2.SearchRequest) -> str:
    parts = [_word(search_pb2.Mode.DESCRIPTOR, request.mode)]
    if request.HasField("semantic_weight"):
        parts.append(f"semantic weight {request.semantic_weight:g}")
    if request.diversity:
        parts.append(f"diversity {request.diversity:g}")
    if request.order_by:
        parts.append(f"in order of {inert(request.order_by)}")
    return ", ".join(parts)


def _correction(request: search_pb2.SearchRequest, response: search_pb2.SearchResponse) -> str:
    if response.corrected_query:
        return f"{request.query} → {response.corrected_query}"
    return "not wanted (--literal)" if request.literal else "none"


def _plan(plan: search_pb2.Plan) -> str:
    parts = [_word(search_pb2.Strategy.DESCRIPTOR, plan.strategy)]
    if plan.vectors:
        parts.append(f"{plan.passing:,} of {plan.vectors:,} pass")
    parts.append(
        f"{count(plan.candidates, 'candidate')}: words {plan.lexical_candidates:,}, "
        f"meaning {plan.semantic_candidates:,}"
    )
    if plan.feedback_products:
        parts.append(f"feedback of {count(plan.feedback_products, 'product')}")
    return " · ".join(parts)


def _timings(timings: search_pb2.Timings) -> str:
    stages = [
        f"{name} {spent_ms:.1f}"
        for field, name in _STAGES.items()
        if (spent_ms := getattr(timings, field))
    ]
    return f"{timings.total_ms:.1f} ms" + (f": {', '.join(stages)}" if stages else "")


def _word(enum: EnumDescriptor, number: int) -> str:
    """Return "lexical" for MODE_LEXICAL; the number where a newer gateway has a value more."""
    value = enum.values_by_number.get(number)
    return value.name.partition("_")[2].lower() if value else str(number)


def correction_note(query: str, corrected: str) -> str:
    """Return the line that says what was searched instead of the query."""
    return inert(f'searched for "{corrected}"; --literal takes "{query}" as it is')
