"""Candidates of a query, in one state: which of them are there, in which order, with what."""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from services.catalog.products import PRICE_DECIMALS
from services.catalog.stores import Candidates, filtering, ordering
from services.catalog.stores.revisions import newest
from services.common.filters import Column, Field, Node, Value
from services.common.ordering import OrderKey

_CANDIDATES = """
SELECT {columns}
FROM json_each(:ids) AS asked CROSS JOIN products ON products.id = asked.value
WHERE products.active AND ({condition})
ORDER BY {order}
"""

# SQLite and its driver look each parameter up among all those of its statement.
_MAX_PARAMETERS = 1_000

_VALUES: dict[Column, Callable[[Any], Value]] = {
    Column.PRICE: lambda units: Decimal(units).scaleb(-PRICE_DECIMALS),
    Column.ACTIVE: bool,
    Column.ATTRIBUTE: json.loads,
}


def candidates(
    connection: Connection,
    ids: Sequence[str],
    passing: Node | None,
    order: Sequence[OrderKey],
    fields: Sequence[Field],
    conditions: Sequence[Node | None],
) -> Candidates:
    """Return those of the ids that are active products and pass; see `Store.candidates`."""
    first, *others = _grouped(conditions)
    product_ids, *found = _columns(connection, ids, passing, order, fields, first)
    for group in others:
        found += _columns(connection, ids, passing, order, (), group)[1:]
    return Candidates(
        product_ids,
        [_values(field, column) for field, column in zip(fields, found, strict=False)],
        found[len(fields) :],
        newest(connection),
    )


def _grouped(conditions: Sequence[Node | None]) -> list[list[Node | None]]:
    """Return the conditions in as many groups as there must be statements, one at least."""
    groups: list[list[Node | None]] = [[]]
    room = _MAX_PARAMETERS
    for node in conditions:
        needed = len(filtering.condition(node)[1])
        if needed > room and groups[-1]:
            groups.append([])
            room = _MAX_PARAMETERS
        groups[-1].append(node)
        room -= needed
    return groups


def _columns(
    connection: Connection,
    ids: Sequence[str],
    passing: Node | None,
    order: Sequence[OrderKey],
    fields: Sequence[Field],
    conditions: Sequence[Node | None],
) -> list[Sequence[Any]]:
    """Return the ids of the candidates, their fields, and 0 or 1 for each condition."""
    condition, parameters = filtering.condition(passing)
    columns = ["products.id", *(_column(field, parameters) for field in fields)]
    columns += [filtering.condition(node, parameters)[0] for node in conditions]
    terms = ordering.terms(order, parameters)
    statement = _CANDIDATES.format(
        columns=", ".join(columns), condition=condition, order=", ".join((*terms, "asked.key"))
    )
    rows = connection.exec_driver_sql(statement, {"ids": json.dumps(ids), **parameters}).all()
    return list(zip(*rows, strict=True)) if rows else [()] * len(columns)


def _column(field: Field, parameters: dict[str, object]) -> str:
    if field.column is Column.ATTRIBUTE:
        return filtering.attribute_json(field.attribute, parameters)
    return f"products.{field.column.value}"


def _values(field: Field, column: Sequence[Any]) -> Sequence[Value | None]:
    """Return the values that a column of the database stands for."""
    if field.column not in _VALUES:
        return column
    # Few are distinct, and reading one costs more than looking it up.
    value_of = _VALUES[field.column]
    known = {stored: None if stored is None else value_of(stored) for stored in set(column)}
    return [known[stored] for stored in column]
