"""A filter as a tree: what the catalog compiles to SQL, and the index to column masks.

Two truths only: a comparison with what a product does not have is false, and
NOT turns it round. So `NOT price < 10` holds for a product without a price.
"""

import enum
from dataclasses import dataclass
from decimal import Decimal


class Operator(enum.Enum):
    """How a field is compared. `!=` is a `Not` around EQUAL."""

    # Of a category: it, or one below it. Of texts: the very same.
    EQUAL = "="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    # Of texts: holds the text, whatever its case and accents.
    CONTAINS = ":"
    # The product has a value at all: a text that is not empty, a number, true or false.
    PRESENT = ":*"


class Column(enum.Enum):
    """What a filter may name."""

    CATEGORY = "category"
    BRAND = "brand"
    PRICE = "price"
    STOCK = "stock"
    ACTIVE = "active"
    ATTRIBUTE = "attributes"


@dataclass(frozen=True, slots=True)
class Field:
    """A column; of an attribute its name too."""

    column: Column
    attribute: str = ""


# Decimal of a price, int of a stock, bool of active, str of category and brand. Of an
# attribute str, float or bool: values of another type than the product's never match.
Value = str | float | bool | int | Decimal


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field against one value; None with PRESENT."""

    field: Field
    operator: Operator
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Not:
    """What the operand refuses."""

    operand: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """What all operands accept; two or more."""

    operands: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """What any operand accepts; two or more."""

    operands: "tuple[Node, ...]"


Node = Comparison | Not | And | Or
