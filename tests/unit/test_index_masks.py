"""Column masks against what a filter means of one product."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.filters import Filterable, Node, all_of, canonical, matches, parse
from services.index.attributes import AttributeColumn
from services.index.columns import MAX_ATTRIBUTES, FilterColumns
from services.index.masks import attributes_of
from services.index.model import Batch, Columns
from services.index.rows import Rows
from tests.filter_strategies import FilterableProduct, filterables, trees

VECTOR = np.array([1, 0], dtype=np.float32)


def columns(number: int, product: Filterable) -> Columns:
    return Columns(
        product_id=f"p{number}",
        text_hash=b"",
        category=product.category,
        brand=product.brand,
        price_e4=None if product.price is None else int(product.price.scaleb(4)),
        stock=product.stock,
        is_active=product.active,
        revision=1,
        attributes=product.attributes,
    )


def rows_of(products: list[FilterableProduct], later: list[FilterableProduct]) -> Rows:
    """Return rows of products, some of which are otherwise later: the first ones."""
    rows = Rows(2, "one")
    embedded = [(columns(number, product), VECTOR) for number, product in enumerate(products)]
    ids = np.arange(1, len(products) + 1)
    rows.apply(Batch(1, "x", is_at_head=True, embedded=embedded), ids)
    retained = [columns(number, product) for number, product in enumerate(later)]
    rows.apply(Batch(2, "x", is_at_head=True, retained=retained), ids[:0])
    return rows


def name(rows: Rows, products: list[FilterableProduct], names: frozenset[str]) -> None:
    """Have columns of attributes made of the products as they are in the rows."""
    made = {}
    for attribute in names:
        having = [n for n, product in enumerate(products) if attribute in product.attributes]
        values = [products[n].attributes[attribute] for n in having]
        ids = np.array(having, dtype=np.int64) + 1
        made[attribute] = AttributeColumn.gathered(rows.vector_ids, ids, values)
    rows.keep_attributes(made, names)


def passing(rows: Rows, node: Node) -> list[str]:
    """Return the ids of what passes."""
    mask = rows.snapshot.passing(node).recent.bits
    ids = rows.snapshot.recent_ids
    if mask is None:
        return list(ids)
    bits = np.unpackbits(mask, bitorder="little", count=len(ids))
    return [ids[slot] for slot in np.flatnonzero(bits).tolist()]


@dataclass
class Case:
    products: list[FilterableProduct]
    later: list[FilterableProduct]
    is_named_first: bool


cases = st.builds(
    Case,
    st.lists(filterables(), min_size=1, max_size=8),
    st.lists(filterables(), max_size=8),
    st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(case=cases, node=trees())
def test_a_mask_is_what_the_filter_means_row_by_row(case: Case, node: Node) -> None:
    later = case.later[: len(case.products)]
    now = later + case.products[len(later) :]
    names = attributes_of(node)
    if case.is_named_first:
        rows = rows_of(case.products, [])
        name(rows, case.products, names)
        retained = [columns(number, product) for number, product in enumerate(later)]
        rows.apply(Batch(2, "x", is_at_head=True, retained=retained), np.arange(0))
    else:
        rows = rows_of(case.products, later)
        name(rows, now, names)
    expected = [f"p{n}" for n, found in enumerate(now) if found.active and matches(node, found)]
    assert passing(rows, node) == expected


VALUES: list[str | float | bool] = ["1", "true", "", 1.0, 0.0, True, False]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("attributes.a = 1", [1.0]),
        ("attributes.a = true", [True]),
        ("attributes.a = false", [False]),
        ('attributes.a = "1"', ["1"]),
        ('attributes.a = "true"', ["true"]),
        ("attributes.a < 1", [0.0]),
        ("attributes.a:*", ["1", "true", 1.0, 0.0, True, False]),
        ("attributes.a != 1", ["1", "true", "", 0.0, True, False]),
    ],
)
def test_a_filter_of_another_type_never_matches(
    text: str, values: list[str | float | bool]
) -> None:
    products = [FilterableProduct(attributes={"a": value}) for value in VALUES]
    rows = rows_of(products, [])
    name(rows, products, frozenset("a"))
    node = parse(text)
    assert node is not None
    found = [products[int(id_[1:])].attributes["a"] for id_ in passing(rows, node)]
    assert [(type(value), value) for value in found] == [(type(value), value) for value in values]


def test_numbers_of_any_size_are_compared_exactly() -> None:
    products = [
        FilterableProduct(stock=2**63 - 1, price=Decimal("999999999999.9999")),
        FilterableProduct(stock=2**53 + 1, price=Decimal("99999999999.9999")),
        FilterableProduct(),
    ]
    rows = rows_of(products, [])
    for text, expected in {
        f"stock > {2**53}": ["p0", "p1"],
        f"stock = {2**53 + 1}": ["p1"],
        f"stock < {2**63 - 1}": ["p1"],
        "price < 999999999999.9999": ["p1"],
        "price >= 99999999999.9999": ["p0", "p1"],
        "stock < 0 OR price <= 0": [],
    }.items():
        node = parse(text)
        assert node is not None
        assert passing(rows, node) == expected


def test_a_filter_that_is_written_otherwise_shares_the_mask() -> None:
    rows = rows_of([FilterableProduct(brand="x")], [])
    first, second = parse('brand = "x"  AND price<1'), parse("(brand='x' AND (price < 1.00))")
    assert first is not None
    assert second is not None
    assert canonical(first) == canonical(second)
    assert rows.snapshot.passing(first).recent is rows.snapshot.passing(second).recent


def test_attributes_that_were_not_used_for_longest_make_room() -> None:
    columns = FilterColumns()
    every = [f"a{n}" for n in range(MAX_ATTRIBUTES)]
    columns.keep({name: AttributeColumn(1) for name in every}, every)
    columns.use(["a0"])
    columns.keep({"new": AttributeColumn(1)}, ["new"])
    assert set(columns.view(1).attributes) == {*every, "new"} - {"a1"}


def test_a_filter_may_name_more_attributes_than_are_kept() -> None:
    columns = FilterColumns()
    many = [f"a{n}" for n in range(MAX_ATTRIBUTES + 10)]
    columns.keep({name: AttributeColumn(1) for name in many}, many)
    assert len(columns.view(1).attributes) == len(many)
    columns.keep({"new": AttributeColumn(1)}, ["new"])
    assert len(columns.view(1).attributes) == MAX_ATTRIBUTES


def test_every_attribute_of_a_filter_is_known_before_it_is_compared() -> None:
    node = all_of(
        parse('attributes.a = 1 AND NOT (attributes."b c":* OR price < 1)'),
        parse('attributes.d:"x" OR active = true'),
    )
    assert attributes_of(node) == {"a", "b c", "d"}
    assert attributes_of(None) == frozenset()
