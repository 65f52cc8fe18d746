"""`vitrina get` and `vitrina delete`."""

from typing import Annotated

import typer

from services.cli import options
from services.cli.confirming import confirm
from services.cli.connection import Target, ask
from services.cli.output import console, inert, print_json
from services.cli.tables import show_product
from vitrina.catalog.v1 import catalog_pb2

GET_EPILOG = """Examples

  vitrina get AUD-0012

  vitrina get AUD-0012 --min-revision 1204

  vitrina get AUD-0012 --json | jq -c .product > product.jsonl"""

DELETE_EPILOG = """Examples

  vitrina delete AUD-0012

  vitrina delete AUD-0012 --yes --wait --json

Without a terminal nobody can be asked, so --yes is needed there."""

ProductId = Annotated[str, typer.Argument(metavar="ID", help="The shop's own id.")]


def get(
    context: typer.Context,
    product_id: ProductId,
    min_revision: options.MinRevision = 0,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Show one product with all its fields."""
    target = options.target_of(context, address, timeout)
    response = _product(target, product_id, min_revision)
    if as_json:
        print_json(response)
    else:
        show_product(response.product, response.revision)


def delete(
    context: typer.Context,
    product_id: ProductId,
    is_confirmed: options.Confirmed = False,
    wait: Annotated[bool, typer.Option("--wait", help="Until no search finds it.")] = False,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Remove one product."""
    target = options.target_of(context, address, timeout)
    confirm(is_confirmed, lambda: f"Remove {inert(_product(target, product_id).product.name)!r}?")
    request = catalog_pb2.DeleteProductRequest(id=product_id, wait_searchable=wait)
    response: catalog_pb2.DeleteProductResponse
    response = ask(target, lambda gateway: gateway.catalog.DeleteProduct, request)
    if as_json:
        print_json(response)
    else:
        console().print(f"removed {inert(product_id)} (revision {response.revision})")


def _product(
    target: Target, product_id: str, min_revision: int = 0
) -> catalog_pb2.GetProductResponse:
    request = catalog_pb2.GetProductRequest(id=product_id, min_revision=min_revision)
    response: catalog_pb2.GetProductResponse
    response = ask(target, lambda gateway: gateway.catalog.GetProduct, request)
    return response
