"""`vitrina search` and `vitrina similar`."""

from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration

from services.cli import options
from services.cli.connection import Target, gateway_at, run
from services.cli.failures import WRONG_USE, Failure
from services.cli.output import print_json
from services.cli.tables import show_results
from vitrina.search.v1 import search_pb2

SEARCH_EPILOG = """Examples

  vitrina search wireless headphones

  vitrina search "para oír música en el metro" --category Audio --limit 5

  vitrina search usb-c cable --json | jq -r '.results[].product.id'"""

SIMILAR_EPILOG = """Example

  vitrina similar AUD-0012 --limit 5"""


def search(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="What to look for.")],
    *,
    limit: options.Limit = 10,
    category: options.Category = "",
    min_revision: options.MinRevision = 0,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither read nor write the cache.")
    ] = False,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Find products by what the words mean."""
    query = " ".join(words).strip()
    if not query:
        raise Failure("no words to look for", exit_code=WRONG_USE)
    target = options.target_of(context, address, timeout)
    request = search_pb2.SearchRequest(
        query=query,
        page_size=limit,
        category=category,
        min_revision=min_revision,
        timeout=_duration(target.timeout_seconds),
        skip_cache=no_cache,
    )
    response = run(answer_of(request, target))
    if as_json:
        print_json(response)
        return
    show_results(response.results, response.info, nothing=nothing_for(category))


def similar(
    context: typer.Context,
    product_id: Annotated[str, typer.Argument(metavar="ID", help="The shop's own id.")],
    *,
    limit: options.Limit = 10,
    category: options.Category = "",
    min_revision: options.MinRevision = 0,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Find products like one product."""
    target = options.target_of(context, address, timeout)
    request = search_pb2.SimilarRequest(
        product_id=product_id,
        page_size=limit,
        category=category,
        min_revision=min_revision,
        timeout=_duration(target.timeout_seconds),
    )

    async def ask() -> search_pb2.SimilarResponse:
        async with gateway_at(target) as gateway:
            return await gateway.call(gateway.search.Similar, request)

    response = run(ask())
    if as_json:
        print_json(response)
        return
    show_results(response.results, response.info, nothing="Nothing is like it.")


async def answer_of(request: search_pb2.SearchRequest, target: Target) -> search_pb2.SearchResponse:
    """Return the gateway's answer."""
    async with gateway_at(target) as gateway:
        return await gateway.call(gateway.search.Search, request)


def nothing_for(category: str) -> str:
    """Return what to say when nothing was found."""
    tip = "look without --category" if category else "try other words"
    return f"Nothing found; {tip}, or see with `vitrina status` whether the catalog is filled."


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
