"""A filter without what it says of one field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.filters import (
    Column,
    Field,
    Node,
    all_of,
    canonical,
    matches,
    parse,
    without_field,
)
from tests.filter_strategies import FilterableProduct, comparisons, filterables, trees

BRAND = Field(Column.BRAND)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("", ""),
        ('brand = "HP"', ""),
        ('NOT (brand = "HP" OR brand:lg)', ""),
        ('brand = "HP" AND price < 5', "price < 5"),
        ('price < 5 AND brand != "HP" AND stock > 0', "price < 5 AND stock > 0"),
        # Of these the field is only a part.
        ('(brand = "HP" OR price < 5) AND brand:*', 'brand = "HP" OR price < 5'),
        ('NOT (brand = "HP" AND price < 5)', 'NOT (brand = "HP" AND price < 5)'),
        ("attributes.brand = x", 'attributes.brand = "x"'),
    ],
)
def test_what_speaks_of_nothing_but_the_field_goes(text: str, rest: str) -> None:
    without = without_field(parse(text), BRAND)
    assert (canonical(without) if without else "") == rest


def test_attributes_are_fields_of_their_own() -> None:
    node = parse("attributes.size = 2 AND attributes.color = red")
    without = without_field(node, Field(Column.ATTRIBUTE, "size"))
    assert without == parse("attributes.color = red")


@given(
    node=trees(),
    own=st.lists(comparisons(), max_size=3),
    field=st.data(),
    products=st.lists(filterables(), max_size=6),
)
def test_it_accepts_all_that_the_filter_does_and_ignores_what_is_added_of_the_field(
    node: Node, own: list[Node], field: st.DataObject, products: list[FilterableProduct]
) -> None:
    about = field.draw(comparisons())
    without = without_field(all_of(node, *own), about.field)
    for product in products:
        if all(matches(each, product) for each in (node, *own)):
            assert without is None or matches(without, product)
    assert without_field(all_of(node, about, *own), about.field) == without
