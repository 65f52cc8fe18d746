"""`vitrina search` and `vitrina similar`."""

from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer

from services.cli import explanation, options
from services.cli.connection import Target, gateway_at, run
from services.cli.failures import WRONG_USE, Failure
from services.cli.output import console, print_json
from services.cli.tables import show_results
from vitrina.search.v1 import search_pb2

T = TypeVar("T")

SEARCH_EPILOG = """Examples

  vitrina search wireless headphones

  vitrina search "para oír música en el metro" --category Audio --limit 5

  vitrina search "lapto dell" --filter 'price < 500' --explain

  vitrina search usb-c cable --json | jq -r '.results[].product.id'"""

SIMILAR_EPILOG = """Examples

  vitrina similar AUD-0012 --limit 5

  vitrina similar AUD-0012 --filter 'price < 100 AND stock > 0'

  vitrina similar AUD-0012 --unlike AUD-0031"""


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
    )
    response = _answered(answer_of(request, target), filter_text)
    if as_json:
        print_json(response)
        return
    if response.corrected_query:
        note = explanation.correction_note(query, response.corrected_query)
        console().print(note, style="yellow", soft_wrap=True)
    if explain:
        explanation.show_query(request, response)
    show_results(
        response.results,
        response.info,
        nothing=nothing_for(category, filter_text),
        table=explanation.ranking_table if explain else None,
    )


def similar(
    context: typer.Context,
    product_id: Annotated[str, typer.Argument(metavar="ID", help="The shop's own id.")],
    *,
    limit: options.Limit = 10,
    category: options.Category = "",
    filter_text: options.Filter = "",
    unlike: Annotated[
        list[str] | None,
        typer.Option("--unlike", metavar="ID", help="A product to keep away from; up to 10 times."),
    ] = None,
    min_revision: options.MinRevision = 0,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Find products like one product, and not like others."""
    target = options.target_of(context, address, timeout)
    request = search_pb2.SimilarRequest(
        product_id=product_id,
        page_size=limit,
        category=category,
        filter=filter_text,
        unlike=unlike or [],
        min_revision=min_revision,
        timeout=target.timeout,
    )

    async def ask() -> search_pb2.SimilarResponse:
        async with gateway_at(target) as gateway:
            return await gateway.call(gateway.search.Similar, request)

    response = _answered(ask(), filter_text)
    if as_json:
        print_json(response)
        return
    show_results(response.results, response.info, nothing="Nothing is like it.")


async def answer_of(request: search_pb2.SearchRequest, target: Target) -> search_pb2.SearchResponse:
    """Return the gateway's answer."""
    async with gateway_at(target) as gateway:
        return await gateway.call(gateway.search.Search, request)


def _answered(work: Coroutine[Any, Any, T], filter_text: str) -> T:
    """Run a query. Raises Failure, which shows where the filter is wrong if it is."""
    try:
        return run(work)
    except Failure as failure:
        raise options.filter_failure(failure, filter_text) from None


def nothing_for(category: str, filter_text: str = "") -> str:
    """Return what to say when nothing was found."""
    narrowing = [
        option for option, text in (("--category", category), ("--filter", filter_text)) if text
    ]
    tip = f"look without {' and '.join(narrowing)}" if narrowing else "try other words"
    return f"Nothing found; {tip}, or see with `vitrina status` whether the catalog is filled."
