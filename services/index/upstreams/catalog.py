"""The catalog's change feed over gRPC."""

from collections.abc import AsyncGenerator, Iterator
from decimal import Decimal, InvalidOperation

import grpc.aio
from google.protobuf import struct_pb2

from services.common import categories
from services.common.rpc_status import calling
from services.common.telemetry import get_logger
from services.index.model import Change, ChangeKind, ChangePage, Product
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc

log = get_logger()

# A kind that is not known here is taken for a superseded upsert: then the collection
# does not claim to reflect its revision.
_KINDS = {
    catalog_pb2.CHANGE_KIND_DELETE: ChangeKind.REMOVAL,
    catalog_pb2.CHANGE_KIND_TUNING: ChangeKind.TUNING,
    catalog_pb2.CHANGE_KIND_INVALIDATION: ChangeKind.INVALIDATION,
}

# Converted before the event loop gets to do something else.
_CHANGES_PER_PAGE = 64


class CatalogFeed:
    """See `Feed`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)

    async def changes_after(self, revision: int) -> AsyncGenerator[ChangePage, None]:
        """Yield changes until the stream is lost."""
        call = self._catalog.WatchChanges(catalog_pb2.WatchChangesRequest(after_revision=revision))
        try:
            with calling("catalog"):
                async for response in call:
                    for page in _pages(response):
                        yield page
        finally:
            call.cancel()


def _pages(response: catalog_pb2.WatchChangesResponse) -> Iterator[ChangePage]:
    for start in range(0, max(1, len(response.changes)), _CHANGES_PER_PAGE):
        changes = response.changes[start : start + _CHANGES_PER_PAGE]
        yield ChangePage(
            changes=[_change(change) for change in changes],
            head_revision=response.head_revision,
            catalog_id=response.catalog_id,
        )


def _change(change: catalog_pb2.Change) -> Change:
    return Change(
        revision=change.revision,
        kind=_KINDS.get(change.kind, ChangeKind.UPSERT),
        product_id=change.product_id,
        product=_product(change.product) if change.HasField("product") else None,
    )


def _product(product: catalog_pb2.Product) -> Product:
    return Product(
        id=product.id,
        name=product.name,
        description=product.description,
        category=categories.normalised(product.category),
        brand=product.brand,
        price_e4=_price_e4(product.price, product.id),
        stock=product.stock if product.HasField("stock") else None,
        attributes={name: _attribute(value) for name, value in product.attributes.items()},
        is_active=product.active if product.HasField("active") else True,
        revision=product.revision,
    )


def _price_e4(price: str, product_id: str) -> int | None:
    if not price:
        return None
    try:
        return int(Decimal(price).scaleb(4).to_integral_exact())
    except (InvalidOperation, ValueError, OverflowError):
        log.warning("price not understood", product=product_id)
        return None


def _attribute(value: struct_pb2.Value) -> str | float | bool:
    kind = value.WhichOneof("kind")
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value":
        return value.number_value
    return value.string_value
