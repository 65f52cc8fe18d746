"""Literals of filters: each field wants its own type."""

import math
import re
from decimal import Decimal, InvalidOperation

from services.common import categories
from services.common.errors import InvalidArgument
from services.common.filters.folding import folded
from services.common.filters.tree import Column, Comparison, Field, Operator, Value
from services.common.filters.writing import field_text

# As of a product's price.
PRICE_DECIMALS = 4
PRICE_DIGITS = 12
_PRICE_UNIT = Decimal(1).scaleb(-PRICE_DECIMALS)
_MAX_STOCK = 2**63 - 1

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BOOLS = {"true": True, "false": False}


class Refused(Exception):
    """A literal or a name is wrong; `offset` is where in it, in characters."""

    def __init__(self, problem: str, offset: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.offset = offset


_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "r": "\r", "t": "\t"}


def unquoted(literal: str) -> str:
    """Return the text of a literal in quotes; Refused for an unknown escape."""

    def character(escape: re.Match[str]) -> str:
        if escape[1] not in _ESCAPES:
            raise Refused(
                f"{escape[0]} means nothing; a backslash is written \\\\", escape.start() + 1
            )
        return _ESCAPES[escape[1]]

    return re.sub(r"\\(.)", character, literal[1:-1], flags=re.DOTALL)


def excerpt(text: str) -> str:
    """Return a text in quotes for a message, cut."""
    return f'"{text[:40]}…"' if len(text) > 40 else f'"{text}"'


def comparison_of(field: Field, operator: Operator, text: str, *, is_quoted: bool) -> Comparison:
    """Return the comparison of a field with a literal; Refused if it cannot be."""
    if field.column is Column.CATEGORY:
        return Comparison(field, Operator.EQUAL, _category(operator, text))
    value: Value
    if operator is Operator.CONTAINS:
        if field.column not in (Column.BRAND, Column.ATTRIBUTE):
            name = field.column.value
            raise Refused(f'{name}: ":" is for texts; write {name} = {text[:40]}, or {name}:*')
        value = _text(field, text)
        if not folded(value):
            raise Refused(f"{field_text(field)}: nothing but accents")
    elif field.column is Column.PRICE:
        value = _price(text, is_quoted=is_quoted)
    elif field.column is Column.STOCK:
        value = _stock(text, is_quoted=is_quoted)
    elif field.column is Column.ACTIVE:
        value = _active(operator, text, is_quoted=is_quoted)
    elif field.column is Column.BRAND:
        value = _text(field, text)
    else:
        value = _attribute(field, text, is_quoted=is_quoted)
    if isinstance(value, bool | str) and operator not in (Operator.EQUAL, Operator.CONTAINS):
        wanted = "use = != or :" if field.column is Column.BRAND else "a number is wanted"
        raise Refused(
            f"{field_text(field)}: {operator.value} compares numbers; {wanted}, "
            f"{excerpt(text)} is given"
        )
    return Comparison(field, operator, value)


def _category(operator: Operator, text: str) -> str:
    if operator not in (Operator.EQUAL, Operator.CONTAINS):
        raise Refused(f"category: {operator.value} compares numbers; use = != or :")
    try:
        path = categories.parsed(text)
    except InvalidArgument as error:
        raise Refused(f"category: {error.problem}") from None
    if not path:
        raise Refused("category: empty; without one is NOT category:*")
    return path


def _text(field: Field, text: str) -> str:
    if not text:
        raise Refused(f"{field_text(field)}: empty; without one is NOT {field_text(field)}:*")
    return text


def _number(name: str, wanted: str, text: str, *, is_quoted: bool) -> Decimal:
    if is_quoted or not _NUMBER.fullmatch(text):
        given = f"the text {excerpt(text)}" if is_quoted else excerpt(text)
        raise Refused(f"{name}: {wanted} is wanted, {given} is given")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise Refused(f"{name}: {excerpt(text)} is out of range") from None


def _price(text: str, *, is_quoted: bool) -> Decimal:
    price = _number("price", "a number as 49.95", text, is_quoted=is_quoted)
    if abs(price) >= 10**PRICE_DIGITS:
        raise Refused(f"price: more than {PRICE_DIGITS} digits before the decimal point")
    exact = price.quantize(_PRICE_UNIT)
    if exact != price:
        raise Refused(f"price: more than {PRICE_DECIMALS} decimals")
    # Minus zero is zero.
    return exact.normalize() + 0


def _stock(text: str, *, is_quoted: bool) -> int:
    stock = _number("stock", "a whole number", text, is_quoted=is_quoted)
    if abs(stock) > _MAX_STOCK:
        raise Refused(f"stock: {excerpt(text)} is out of range")
    if stock != stock.to_integral_value():
        raise Refused(f"stock: a whole number is wanted, {excerpt(text)} is given")
    return int(stock)


def _active(operator: Operator, text: str, *, is_quoted: bool) -> bool:
    value = None if is_quoted else _BOOLS.get(text.lower())
    if value is None or operator is not Operator.EQUAL:
        raise Refused(
            f"active: = true or = false is wanted, {operator.value} {excerpt(text)} is given"
        )
    return value


def _attribute(field: Field, text: str, *, is_quoted: bool) -> str | float | bool:
    if is_quoted:
        return _text(field, text)
    if text.lower() in _BOOLS:
        return _BOOLS[text.lower()]
    if not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    if not math.isfinite(number):
        raise Refused(f"{field_text(field)}: {excerpt(text)} is out of range")
    return number
