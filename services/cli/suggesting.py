"""`vitrina suggest`: what a person may want to type."""

from collections.abc import Sequence
from typing import Annotated

import typer

from services.cli import options
from services.cli.connection import ask
from services.cli.marked import marked_cell
from services.cli.output import cell, console, plain_table, print_json
from vitrina.catalog.v1 import suggestion_pb2

EPILOG = """Examples

  vitrina suggest aur

  vitrina suggest auriculares inal --limit 5

  vitrina suggest --json | jq -r '.suggestions[].text'

Without words it shows what people search for most."""

_KINDS = {
    suggestion_pb2.SUGGESTION_KIND_QUERY: "query",
    suggestion_pb2.SUGGESTION_KIND_CATEGORY: "category",
    suggestion_pb2.SUGGESTION_KIND_BRAND: "brand",
    suggestion_pb2.SUGGESTION_KIND_WORD: "word",
    suggestion_pb2.SUGGESTION_KIND_PRODUCT: "product",
}


def suggest(
    context: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="What was typed so far.")
    ] = None,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=20, help="How many at most.")
    ] = 8,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Complete what a person has typed so far."""
    target = options.target_of(context, address, timeout)
    request = suggestion_pb2.SuggestRequest(query=" ".join(words or ()), limit=limit)
    response: suggestion_pb2.SuggestResponse
    response = ask(target, lambda gateway: gateway.suggestions.Suggest, request)
    if as_json:
        print_json(response)
    elif response.suggestions:
        _show(response.suggestions)
    else:
        console().print("Nothing begins so." if request.query else "Nobody has searched yet.")


def _show(suggestions: Sequence[suggestion_pb2.Suggestion]) -> None:
    table = plain_table()
    table.add_column("text", overflow="fold")
    table.add_column("kind", no_wrap=True, style="dim")
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("id", max_width=24, no_wrap=True, overflow="ellipsis", style="dim")
    for each in suggestions:
        text = marked_cell(each.highlighted) if each.highlighted else cell(each.text)
        is_product = each.kind == suggestion_pb2.SUGGESTION_KIND_PRODUCT
        table.add_row(
            text,
            cell(_KINDS.get(each.kind, f"kind {each.kind}")),
            cell("" if is_product else f"{each.count:,}"),
            cell(each.product_id),
        )
    console().print(table)
