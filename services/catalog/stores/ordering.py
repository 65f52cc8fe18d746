"""Orders of products in SQL."""

import json
from collections.abc import Sequence
from typing import Any

from services.catalog.stores.filtering import attribute_json
from services.common.filters import folded
from services.common.ordering import OrderKey, Sorted

_EXPRESSIONS = {
    Sorted.PRICE: "products.price",
    Sorted.NAME: "folded(products.name)",
    Sorted.BRAND: "nullif(folded(products.brand), '')",
    Sorted.STOCK: "products.stock",
    Sorted.CREATE_TIME: "products.create_time_us",
    Sorted.UPDATE_TIME: "products.update_time_us",
}


def terms(keys: Sequence[OrderKey], parameters: dict[str, object]) -> list[str]:
    """Return what to ORDER BY over the table `products`; parameters are added to the others.

    Texts are compared without case and accents. Of an attribute numbers come before
    texts, and these before false and true; the other way round where it falls.
    Products without a value come last in either direction. The connection must
    know the functions of `filtering.register` and of `register`.
    """
    return [
        f"{_expression(key, parameters)} {'DESC' if key.falls else 'ASC'} NULLS LAST"
        for key in keys
    ]


def register(connection: Any) -> None:
    """Make the function of orders known to a connection of the driver."""
    connection.create_function("place", 1, _place, deterministic=True)


def _expression(key: OrderKey, parameters: dict[str, object]) -> str:
    if key.column is Sorted.ATTRIBUTE:
        return f"place({attribute_json(key.attribute, parameters)})"
    return _EXPRESSIONS[key.column]


def _place(value: str | None) -> float | str | bytes | None:
    """Return what SQLite orders as the value of this JSON: numbers, then texts, then blobs."""
    known = None if value is None else json.loads(value)
    if isinstance(known, bool):
        return bytes([known])
    return folded(known) or None if isinstance(known, str) else known
