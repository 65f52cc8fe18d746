"""Random filters, and products that they have a chance to find."""

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import strategies as st

from services.common.filters import (
    And,
    Column,
    Comparison,
    Field,
    Node,
    Not,
    Operator,
    Or,
    folded,
)

_ORDERS = [
    Operator.EQUAL,
    Operator.LESS,
    Operator.AT_MOST,
    Operator.GREATER,
    Operator.AT_LEAST,
]
# Few values, so that filters and products meet; among them all that has a meaning elsewhere.
_CATEGORIES = ["Audio", "Audio > Headphones", "Audio > Headphones > In-ear", "Audio 2", "Áudio"]
_TEXTS = ["Sony", "SONY", "sóny", "Straße", "it's", 'a "b"', "%", "a_c", "back\\slash", "1", "true"]
_NAMES = ["color", "Color", "größe", "a.b", "a[0]", 'in"ch', "back\\slash", "it's", "$", "#-1"]
# The last is written by Python, and read by others, with 17 digits.
_NUMBERS = [0.0, 1.0, -1.0, 16.0, 0.1, 1e-7, 1e22, 1.7976931348623157e308, 5e-324, 0.1 + 0.2]

_SIGNS = st.characters(exclude_categories=["Cs", "Cc"])
_TEXT = st.sampled_from(_TEXTS) | st.text(_SIGNS, min_size=1, max_size=6)
_NAME = st.sampled_from(_NAMES) | st.text(_SIGNS, min_size=1, max_size=4)
_NUMBER = st.sampled_from(_NUMBERS) | st.floats(allow_nan=False, allow_infinity=False)
_PRICE = st.sampled_from([Decimal(0), Decimal("9.99"), Decimal("0.0001"), Decimal(100)]) | (
    st.integers(0, 10**16 - 1).map(lambda units: Decimal(units).scaleb(-4))
)
_STOCK = st.integers(0, 3) | st.integers(0, 2**63 - 1)
_ATTRIBUTE_VALUE = _TEXT | _NUMBER | st.booleans()


@dataclass(frozen=True)
class FilterableProduct:
    """What of a product a filter may name."""

    category: str = ""
    brand: str = ""
    price: Decimal | None = None
    stock: int | None = None
    active: bool = True
    attributes: dict[str, str | float | bool] = field(default_factory=dict)


def filterables() -> st.SearchStrategy[FilterableProduct]:
    """Give products as the catalog would take them."""
    return st.builds(
        FilterableProduct,
        category=st.sampled_from(["", *_CATEGORIES]),
        brand=st.just("") | _TEXT,
        price=st.none() | _PRICE,
        stock=st.none() | _STOCK,
        active=st.booleans(),
        attributes=st.dictionaries(_NAME, st.just("") | _ATTRIBUTE_VALUE, max_size=4),
    )


def _of_attribute(name: str) -> st.SearchStrategy[Comparison]:
    attribute = st.just(Field(Column.ATTRIBUTE, name))
    return (
        st.builds(Comparison, attribute, st.sampled_from(_ORDERS), _NUMBER)
        | st.builds(Comparison, attribute, st.just(Operator.EQUAL), _ATTRIBUTE_VALUE)
        | st.builds(Comparison, attribute, st.just(Operator.CONTAINS), _TEXT.filter(_is_seen))
    )


def _is_seen(text: str) -> bool:
    return bool(folded(text))


def comparisons() -> st.SearchStrategy[Comparison]:
    """Give comparisons that a parser makes, of every field."""

    def of(column: Column) -> st.SearchStrategy[Field]:
        return st.just(Field(column))

    equal, order = st.just(Operator.EQUAL), st.sampled_from(_ORDERS)
    brand_value = st.builds(Comparison, of(Column.BRAND), equal, _TEXT) | st.builds(
        Comparison, of(Column.BRAND), st.just(Operator.CONTAINS), _TEXT.filter(_is_seen)
    )
    presence = st.builds(
        Comparison,
        st.sampled_from([Field(c) for c in Column if c is not Column.ATTRIBUTE])
        | st.builds(Field, st.just(Column.ATTRIBUTE), _NAME),
        st.just(Operator.PRESENT),
    )
    return st.one_of(
        st.builds(Comparison, of(Column.CATEGORY), equal, st.sampled_from(_CATEGORIES)),
        brand_value,
        st.builds(Comparison, of(Column.PRICE), order, _PRICE),
        st.builds(Comparison, of(Column.STOCK), order, _STOCK),
        st.builds(Comparison, of(Column.ACTIVE), equal, st.booleans()),
        _NAME.flatmap(_of_attribute),
        presence,
    )


def trees() -> st.SearchStrategy[Node]:
    """Give trees as a parser makes them: no And directly within an And, no Or within an Or."""

    def larger(smaller: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(smaller, min_size=2, max_size=4)
        return (
            st.builds(Not, smaller)
            | several.map(lambda nodes: And(_flattened(And, nodes)))
            | several.map(lambda nodes: Or(_flattened(Or, nodes)))
        )

    return st.recursive(comparisons(), larger, max_leaves=10)


def _flattened(kind: type[And] | type[Or], nodes: list[Node]) -> tuple[Node, ...]:
    operands: list[Node] = []
    for node in nodes:
        operands += (
            node.operands if isinstance(node, And | Or) and isinstance(node, kind) else [node]
        )
    return tuple(operands)
