"""`vitrina search`."""

from functools import partial
from typing import Annotated

import typer

from services.cli import explanation, options
from services.cli.connection import run
from services.cli.facets import show_facets
from services.cli.failures import WRONG_USE, Failure
from services.cli.output import console, print_json
from services.cli.paging import MAX_PAGES, found_note, next_page_note, pages_of
from services.cli.tables import show_results
from services.cli.wrong_text import with_text_shown
from vitrina.search.v1 import search_pb2

EPILOG = """Examples

  vitrina search wireless headphones

  vitrina search "para oír música en el metro" --category Audio --limit 5

  vitrina search "lapto dell" --filter 'price < 500' --explain

  vitrina search laptop --facet brand --facet 'price(0,500,1000)' --highlight

  vitrina search laptop --order-by 'price desc' --pages 3

  vitrina search usb-c cable --json | jq -r '.results[].product.id'"""


def search(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="What to look for.")],
    *,
    limit: options.Limit = 10,
    category: options.Category = "",
    filter_text: options.Filter = "",
    mode: Annotated[
        options.Mode,
        typer.Option("--mode", case_sensitive=False, help="What ranks: words, meaning or both."),
    ] = options.Mode.HYBRID,
    semantic_weight: Annotated[
        float | None,
        typer.Option(
            "--semantic-weight",
            metavar="WEIGHT",
            min=0,
            max=1,
            help="The part of meaning in hybrid; words have the rest. The gateway's by default.",
        ),
    ] = None,
    order_by: options.OrderBy = "",
    diversity: options.Diversity = 0.0,
    facets: options.Facets = None,
    highlight: Annotated[
        bool, typer.Option("--highlight", help="Show what the words match, and where.")
    ] = False,
    pages: Annotated[
        int, typer.Option("--pages", min=1, max=MAX_PAGES, help="How many pages of --limit.")
    ] = 1,
    page_token: options.PageToken = "",
    no_rules: Annotated[
        bool, typer.Option("--no-rules", help="Leave the shop's rules out.")
    ] = False,
    literal: Annotated[
        bool, typer.Option("--literal", help="Take the words as they are spelt.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what ranked each product, and how.")
    ] = False,
    min_revision: options.MinRevision = 0,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither read nor write the cache.")
    ] = False,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Find products by their words and by what the words mean."""
    query = " ".join(words).strip()
    if not query:
        raise Failure("no words to look for", exit_code=WRONG_USE)
    target = options.target_of(context, address, timeout)
    request = search_pb2.SearchRequest(
        query=query,
        page_size=limit,
        category=category,
        filter=filter_text,
        mode=mode.in_requests,
        semantic_weight=semantic_weight,
        literal=literal,
        min_revision=min_revision,
        timeout=target.timeout,
        skip_cache=no_cache,
        order_by=order_by,
        diversity=diversity,
        facets=facets or [],
        highlight=highlight,
        page_token=page_token,
        without_rules=no_rules,
    )
    try:
        response = run(pages_of(request, target, pages))
    except Failure as failure:
        raise with_text_shown(failure, _texts_of(request)) from None
    if as_json:
        print_json(response)
        return
    if response.corrected_query:
        note = explanation.correction_note(query, response.corrected_query)
        console().print(note, style="yellow", soft_wrap=True)
    if explain:
        explanation.show_query(request, response)
    show_facets(response.facets)
    ranking = partial(explanation.ranking_table, is_first_page=not page_token)
    show_results(
        response.results,
        response.info,
        nothing=nothing_for(category, filter_text),
        table=ranking if explain else None,
        found=found_note(response),
    )
    if response.next_page_token:
        console().print(next_page_note(response.next_page_token), style="dim", soft_wrap=True)


def _texts_of(request: search_pb2.SearchRequest) -> dict[str, str]:
    """Return what the user wrote in grammars of ours, by field."""
    facets = {f"facets[{place}]": facet for place, facet in enumerate(request.facets)}
    return {"filter": request.filter, "order_by": request.order_by, **facets}


def nothing_for(category: str, filter_text: str = "") -> str:
    """Return what to say when nothing was found."""
    narrowing = [
        option for option, text in (("--category", category), ("--filter", filter_text)) if text
    ]
    tip = f"look without {' and '.join(narrowing)}" if narrowing else "try other words"
    return f"Nothing found; {tip}, or see with `vitrina status` whether the catalog is filled."
