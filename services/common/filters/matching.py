"""What a filter means, in plain Python: SQL and column masks must agree with it."""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Protocol

from services.common import categories
from services.common.filters.folding import folded
from services.common.filters.tree import And, Column, Comparison, Node, Not, Operator, Or, Value


class Filterable(Protocol):
    """What of a product a filter may name."""

    @property
    def category(self) -> str:
        """Normalised path; empty for none."""

    @property
    def brand(self) -> str:
        """Empty for none."""

    @property
    def price(self) -> Decimal | None:
        """None for none."""

    @property
    def stock(self) -> int | None:
        """None where it is not tracked."""

    @property
    def active(self) -> bool:
        """Whether it is on sale."""

    @property
    def attributes(self) -> Mapping[str, str | float | bool]:
        """The shop's own values, by name."""


_ORDERS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


def _value_of(comparison: Comparison, product: Filterable) -> Value | None:
    column = comparison.field.column
    if column is Column.ATTRIBUTE:
        return product.attributes.get(comparison.field.attribute)
    value: Value | None = getattr(product, column.value)
    return value


def _kind(value: Value) -> type:
    if isinstance(value, bool):
        return bool
    return str if isinstance(value, str) else float


def _holds(comparison: Comparison, product: Filterable) -> bool:
    value, wanted = _value_of(comparison, product), comparison.value
    if comparison.operator is Operator.PRESENT:
        return value is not None and value != ""
    if value is None or wanted is None or _kind(value) is not _kind(wanted):
        return False
    if comparison.operator is Operator.CONTAINS:
        return isinstance(value, str) and folded(str(wanted)) in folded(value)
    if comparison.field.column is Column.CATEGORY:
        return categories.is_within(str(value), str(wanted))
    return _ORDERS[comparison.operator](value, wanted)


def matches(node: Node, product: Filterable) -> bool:
    """Tell whether a product passes."""
    match node:
        case Comparison():
            return _holds(node, product)
        case Not(operand):
            return not matches(operand, product)
        case And(operands):
            return all(matches(operand, product) for operand in operands)
        case Or(operands):
            return any(matches(operand, product) for operand in operands)


def category_bound(node: Node | None) -> str:
    """Return the path of a category that every passing product is in or below; empty if unknown."""
    match node:
        case Comparison(field, Operator.EQUAL, value) if field.column is Column.CATEGORY:
            return str(value)
        case And(operands):
            # All of them bound it, so the narrowest may be named.
            return max(map(category_bound, operands), key=_depth)
        case Or(operands):
            bounds = [category_bound(operand) for operand in operands]
            return _common_ancestor(bounds)
        case _:
            return ""


def _depth(path: str) -> int:
    return path.count(categories.SEPARATOR) + 1 if path else 0


def _common_ancestor(paths: list[str]) -> str:
    if not all(paths):
        return ""
    for ancestor in categories.self_and_ancestors(paths[0]):
        if all(categories.is_within(path, ancestor) for path in paths):
            return ancestor
    return ""
