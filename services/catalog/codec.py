"""Products and changes: protobuf to domain, and back."""

from functools import lru_cache

from google.protobuf import struct_pb2, timestamp_pb2

from services.catalog.arranging import Facet
from services.catalog.changes import Change, Outcome, Upserted
from services.catalog.products import (
    MAX_ID_CHARACTERS,
    ProductDraft,
    StoredProduct,
    price_text,
)
from services.common.errors import InvalidArgument
from services.common.rpc_status import status_of
from vitrina.catalog.v1 import catalog_pb2, facet_pb2

# What the domain refuses, by a value that says what was given.
_NOT_A_SCALAR: dict[str | None, object] = {"list_value": [], "struct_value": {}}


def _value(value: struct_pb2.Value) -> object:
    kind = value.WhichOneof("kind")
    if kind in ("string_value", "number_value", "bool_value"):
        return getattr(value, kind)
    return _NOT_A_SCALAR.get(kind)


def draft_of(message: catalog_pb2.Product) -> ProductDraft:
    """Return what the caller sent. Output-only fields are left out."""
    return ProductDraft(
        id=message.id,
        name=message.name,
        description=message.description,
        category=message.category,
        brand=message.brand,
        price=message.price,
        currency=message.currency,
        stock=message.stock if message.HasField("stock") else None,
        attributes={name: _value(value) for name, value in message.attributes.items()},
        image_url=message.image_url,
        active=message.active if message.HasField("active") else True,
        language=message.language,
    )


def _timestamp(microseconds: int) -> timestamp_pb2.Timestamp:
    seconds, rest = divmod(microseconds, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1_000)


def product_message(stored: StoredProduct) -> catalog_pb2.Product:
    """Return the product as the contract has it."""
    product = stored.product
    message = catalog_pb2.Product(
        id=product.id,
        name=product.name,
        description=product.description,
        category=product.category,
        brand=product.brand,
        price=price_text(product.price),
        currency=product.currency,
        stock=product.stock,
        image_url=product.image_url,
        active=product.active,
        language=product.language,
        create_time=_timestamp(stored.create_time_us),
        update_time=_timestamp(stored.update_time_us),
        revision=stored.revision,
    )
    attributes = message.attributes
    for name, value in product.attributes.values().items():
        if isinstance(value, str):
            attributes[name].string_value = value
        elif isinstance(value, bool):
            attributes[name].bool_value = value
        else:
            attributes[name].number_value = value
    return message


# The same few products are on many pages. Of long ones no copies are kept.
_known_message = lru_cache(maxsize=4_096)(product_message)
_MAX_KNOWN_CHARACTERS = 8_000


def page_message(stored: StoredProduct) -> catalog_pb2.Product:
    """Return the same for a page of results, not to be changed."""
    product = stored.product
    if len(product.description) + len(product.attributes.json_text) > _MAX_KNOWN_CHARACTERS:
        return product_message(stored)
    return _known_message(stored)


def outcome_message(outcome: Outcome) -> catalog_pb2.UpsertOutcome.ValueType:
    """Return what an upsert did."""
    return catalog_pb2.UpsertOutcome.Value(f"UPSERT_OUTCOME_{outcome.name}")


def batch_result(
    message: catalog_pb2.Product, result: Upserted | InvalidArgument
) -> catalog_pb2.BatchUpsertResult:
    """Return what became of one product of a batch."""
    given_id = message.id[:MAX_ID_CHARACTERS]
    if isinstance(result, InvalidArgument):
        return catalog_pb2.BatchUpsertResult(id=given_id, error=status_of(result))
    return catalog_pb2.BatchUpsertResult(
        id=given_id,
        revision=result.stored.revision,
        outcome=outcome_message(result.outcome),
    )


def change_message(change: Change) -> catalog_pb2.Change:
    """Return one revision as the contract has it."""
    return catalog_pb2.Change(
        revision=change.revision,
        kind=catalog_pb2.ChangeKind.Value(f"CHANGE_KIND_{change.kind.name}"),
        product_id=change.product_id,
        product=product_message(change.product) if change.product else None,
        category_before=change.category_before,
        category_after=change.category_after,
    )


def facet_message(facet: Facet) -> facet_pb2.Facet:
    """Return a facet as the contract has it."""
    return facet_pb2.Facet(
        field=facet.field,
        values=[
            facet_pb2.FacetValue(value=value.value, count=value.count, filter=value.filter)
            for value in facet.values
        ],
        other_count=facet.other_count,
        missing_count=facet.missing_count,
    )
