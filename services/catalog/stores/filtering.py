"""Filters as conditions of SQL: two truths there too, so nothing here is ever NULL."""

import json
from decimal import Decimal
from typing import Any

from services.catalog.products import PRICE_DECIMALS
from services.catalog.stores.statements import subtree
from services.common.filters import And, Column, Comparison, Node, Not, Operator, Or, folded

_ORDERS = {
    Operator.EQUAL: "=",
    Operator.LESS: "<",
    Operator.AT_MOST: "<=",
    Operator.GREATER: ">",
    Operator.AT_LEAST: ">=",
}

# Of a name with one of these, versions of SQLite differ on how it stands in a path.
_NOT_IN_A_PATH = frozenset('"\\\b\f\n\r\t')


def condition(
    node: Node | None, others: dict[str, object] | None = None
) -> tuple[str, dict[str, object]]:
    """Return a condition over the table `products`, and the values of its parameters.

    It holds for the products that `matches` the filter. Parameters are named
    `f0`, `f1`, ...; the connection must know the functions of `register`. `others`
    are parameters of the same statement: the new ones are added to them.
    """
    parameters: dict[str, object] = {} if others is None else others
    return "1" if node is None else _condition(node, parameters), parameters


def attribute_json(name: str, parameters: dict[str, object]) -> str:
    """Return an expression for the JSON of an attribute's value, NULL if there is none.

    Its parameter is added to the others.
    """
    if _NOT_IN_A_PATH.isdisjoint(name):
        path = f'$."{name}"'
        return f"products.attributes -> {_bound(path, parameters)}"
    return f"json_member(products.attributes, {_bound(name, parameters)})"


def register(connection: Any) -> None:
    """Make the functions of conditions known to a connection of the driver."""
    for name, function, arguments in (
        ("folded", folded, 1),
        ("json_number", _json_number, 1),
        ("json_member", _json_member, 2),
    ):
        connection.create_function(name, arguments, function, deterministic=True)


def _json_number(value: str | None) -> float | None:
    """Return a number of JSON as Python reads it, to the last digit; NULL of anything else.

    What SQLite reads depends on the long double of the machine.
    """
    return float(value) if value and value[0] in "-0123456789" else None


def _json_member(json_object: str, name: str) -> str | None:
    """Return a member as `->` does with a path: JSON, or NULL if there is none."""
    members = json.loads(json_object)
    return json.dumps(members[name], ensure_ascii=False) if name in members else None


def _condition(node: Node, parameters: dict[str, object]) -> str:
    match node:
        case Comparison():
            return f"({_comparison(node, parameters)})"
        case Not(operand):
            return f"(NOT {_condition(operand, parameters)})"
        case And(operands):
            return f"({' AND '.join(_condition(each, parameters) for each in operands)})"
        case Or(operands):
            return f"({' OR '.join(_condition(each, parameters) for each in operands)})"


def _bound(value: object, parameters: dict[str, object]) -> str:
    name = f"f{len(parameters)}"
    parameters[name] = value
    return f":{name}"


def _comparison(comparison: Comparison, parameters: dict[str, object]) -> str:
    match comparison.field.column:
        case Column.CATEGORY:
            return _of_category(comparison, parameters)
        case Column.BRAND:
            return _of_brand(comparison, parameters)
        case Column.PRICE | Column.STOCK:
            return _of_number(comparison, parameters)
        case Column.ACTIVE:
            if comparison.operator is Operator.PRESENT:
                return "1"
            return f"products.active = {_bound(comparison.value is True, parameters)}"
        case Column.ATTRIBUTE:
            return _of_attribute(comparison, parameters)


def _of_category(comparison: Comparison, parameters: dict[str, object]) -> str:
    if comparison.operator is Operator.PRESENT:
        return "products.category <> ''"
    path, below, beyond = (
        _bound(value, parameters) for value in subtree(str(comparison.value)).values()
    )
    return (
        f"products.category = {path} "
        f"OR (products.category >= {below} AND products.category < {beyond})"
    )


def _of_brand(comparison: Comparison, parameters: dict[str, object]) -> str:
    if comparison.operator is Operator.PRESENT:
        return "products.brand <> ''"
    text = str(comparison.value)
    if comparison.operator is Operator.CONTAINS:
        return f"instr(folded(products.brand), {_bound(folded(text), parameters)}) > 0"
    return f"products.brand = {_bound(text, parameters)}"


def _of_number(comparison: Comparison, parameters: dict[str, object]) -> str:
    column = f"products.{comparison.field.column.value}"
    if comparison.operator is Operator.PRESENT:
        return f"{column} IS NOT NULL"
    value = comparison.value
    # Prices are kept in units of their last decimal.
    units = int(value.scaleb(PRICE_DECIMALS)) if isinstance(value, Decimal) else value
    order = f"{column} {_ORDERS[comparison.operator]} {_bound(units, parameters)}"
    return f"{column} IS NOT NULL AND {order}"


def _of_attribute(comparison: Comparison, parameters: dict[str, object]) -> str:
    """Compare the JSON of the value, for its type shows there: true is not 1."""
    found = attribute_json(comparison.field.attribute, parameters)
    value = comparison.value
    if comparison.operator is Operator.PRESENT:
        return f"coalesce({found}, '\"\"') <> '\"\"'"
    if comparison.operator is Operator.CONTAINS:
        text = f"folded(({found}) ->> '$')"
        holds = f"instr({text}, {_bound(folded(str(value)), parameters)}) > 0"
        return f"CASE WHEN json_type({found}) = 'text' THEN {holds} ELSE 0 END"
    if isinstance(value, str | bool):
        # Stored as json.dumps writes it, so the same text is the same JSON.
        wanted = _bound(json.dumps(value, ensure_ascii=False), parameters)
        return f"coalesce(({found}) = {wanted}, 0)"
    order = f"{_ORDERS[comparison.operator]} {_bound(value, parameters)}"
    return f"coalesce(json_number({found}) {order}, 0)"
