"""A filter as a mask: by slot, whether the row passes.

`services.common.filters.matches` says the same of one product in plain Python.
"""

import operator
from collections.abc import Callable
from decimal import Decimal
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.common.filters import And, Column, Comparison, Node, Not, Operator, Or
from services.index import attributes
from services.index.attributes import AttributeView
from services.index.categories import FIRST, Categories
from services.index.cells import AnySlots, View
from services.index.columns import NONE, ColumnViews
from services.index.texts import Texts

Mask = NDArray[np.bool_]
Codes = NDArray[np.int32]

_COMPARISONS: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQUAL: operator.eq,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


def attributes_of(node: Node | None) -> frozenset[str]:
    """Return the names of the attributes that a filter compares."""
    match node:
        case Comparison(field=field):
            return frozenset([field.attribute] if field.column is Column.ATTRIBUTE else [])
        case Not(operand=operand):
            return attributes_of(operand)
        case And(operands=operands) | Or(operands=operands):
            return frozenset[str]().union(*map(attributes_of, operands))
    return frozenset()


def mask_of(
    node: Node | None,
    slots: AnySlots,
    codes: View[np.int32],
    categories: Categories,
    columns: ColumnViews,
) -> Mask:
    """Return of some slots which are active and pass.

    The columns hold all attributes of the filter.
    """
    found = codes.read(slots)
    is_active: Mask = found >= FIRST
    if node is None:
        return is_active
    return is_active & _Rows(slots, found, categories, columns).passing(node)


class _Rows:
    """Rows of one snapshot. What it says of dead and inactive ones means nothing."""

    def __init__(
        self,
        slots: AnySlots,
        codes: Codes,
        categories: Categories,
        columns: ColumnViews,
    ) -> None:
        self._slots = slots
        self._codes = codes
        self._categories = categories
        self._columns = columns

    def passing(self, node: Node) -> Mask:
        match node:
            case And(operands=operands):
                return reduce(operator.and_, map(self.passing, operands))
            case Or(operands=operands):
                return reduce(operator.or_, map(self.passing, operands))
            case Not(operand=operand):
                return ~self.passing(operand)
        return self._compared(node)

    def _compared(self, comparison: Comparison) -> Mask:
        slots, columns = self._slots, self._columns
        match comparison.field.column:
            case Column.CATEGORY:
                return self._of_category(comparison)
            case Column.BRAND:
                return _of_texts(comparison, columns.brands, columns.brand_codes.read(slots))
            case Column.PRICE:
                return _of_integers(comparison, columns.prices.read(slots), decimals=4)
            case Column.STOCK:
                return _of_integers(comparison, columns.stocks.read(slots), decimals=0)
            case Column.ACTIVE:
                # of those that may be found all are
                is_true = comparison.operator is Operator.PRESENT or comparison.value is True
                return np.full(len(self._codes), is_true)
            case Column.ATTRIBUTE:
                column = columns.attributes[comparison.field.attribute]
                return _of_attribute(comparison, column, slots)

    def _of_category(self, comparison: Comparison) -> Mask:
        if comparison.operator is Operator.PRESENT:
            passes = self._categories.passing(bool)
        else:
            passes = self._categories.within(str(comparison.value))
        return passes[self._codes]


def _of_texts(comparison: Comparison, texts: Texts, codes: Codes) -> Mask:
    if comparison.operator is Operator.PRESENT:
        return ~_equal(codes, texts.find(""))
    value = str(comparison.value)
    if comparison.operator is Operator.CONTAINS:
        return texts.holding(value)[codes]
    return _equal(codes, texts.find(value))


def _equal(codes: Codes, code: int | None) -> Mask:
    if code is None:
        return np.zeros(len(codes), dtype=np.bool_)
    mask: Mask = codes == code
    return mask


def _of_integers(comparison: Comparison, numbers: NDArray[np.int64], *, decimals: int) -> Mask:
    has_number: Mask = numbers != NONE
    if comparison.operator is Operator.PRESENT:
        return has_number
    # exact, and any size is right: numpy compares with whole numbers of Python
    value = int(Decimal(comparison.value or 0).scaleb(decimals))
    mask: Mask = _COMPARISONS[comparison.operator](numbers, value)
    return mask & has_number


def _of_attribute(comparison: Comparison, column: AttributeView, slots: AnySlots) -> Mask:
    value = comparison.value
    codes = column.codes.read(slots)
    if comparison.operator is Operator.PRESENT:
        is_absent = _equal(codes, attributes.ABSENT)
        return ~is_absent & _of_texts(comparison, column.texts, codes)
    if isinstance(value, bool):
        return _equal(codes, attributes.TRUE if value else attributes.FALSE)
    if isinstance(value, str):
        return _of_texts(comparison, column.texts, codes)
    if column.numbers is None:
        return np.zeros(len(codes), dtype=np.bool_)
    mask: Mask = _COMPARISONS[comparison.operator](column.numbers.read(slots), value)
    return mask
