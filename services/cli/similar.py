"""`vitrina similar`."""

from typing import Annotated

import typer

from services.cli import options
from services.cli.connection import ask
from services.cli.failures import Failure
from services.cli.output import print_json
from services.cli.tables import show_results
from services.cli.wrong_text import with_text_shown
from vitrina.search.v1 import search_pb2

EPILOG = """Examples

  vitrina similar AUD-0012 --limit 5

  vitrina similar AUD-0012 --filter 'price < 100 AND stock > 0'

  vitrina similar AUD-0012 --unlike AUD-0031"""


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
    response: search_pb2.SimilarResponse
    try:
        response = ask(target, lambda gateway: gateway.search.Similar, request)
    except Failure as failure:
        raise with_text_shown(failure, {"filter": filter_text}) from None
    if as_json:
        print_json(response)
        return
    show_results(response.results, response.info, nothing="Nothing is like it.")
