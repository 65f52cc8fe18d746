"""Orders are read as AIP-132 has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidArgument
from services.common.ordering import OrderKey, Sorted, canonical, parse

_NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20
) | st.sampled_from(["a, b", "desc", 'in"ch', "x desc"])
_COLUMNS = st.sampled_from([column for column in Sorted if column is not Sorted.ATTRIBUTE])
_KEYS = st.builds(OrderKey, _COLUMNS, falls=st.booleans()) | st.builds(
    OrderKey, st.just(Sorted.ATTRIBUTE), _NAMES, st.booleans()
)


@given(st.lists(_KEYS, max_size=3, unique_by=lambda key: key.name))
def test_the_text_of_an_order_is_read_as_the_same_order(keys: list[OrderKey]) -> None:
    assert parse(canonical(keys)) == tuple(keys)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \n", ""),
        ("price", "price"),
        (" price   desc ,name", "price desc, name"),
        ("create_time desc,update_time,stock", "create_time desc, update_time, stock"),
        ("attributes.'odd name' desc", 'attributes."odd name" desc'),
        ("attributes.desc desc", "attributes.desc desc"),
        ('attributes."a, b",brand', 'attributes."a, b", brand'),
    ],
)
def test_an_order_is_read_as_it_is_written(text: str, expected: str) -> None:
    assert canonical(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("colour", 'at position 1: unknown field "colour"; fields are price, name, brand'),
        ("category", 'at position 1: "category" gives no order; use price, name, brand'),
        ("name, active", 'at position 7: "active" gives no order'),
        ("price,,name", "at position 7: one of price, name"),
        ("price,", "at position 7: one of price, name"),
        ("price asc", 'at position 7: "desc" or "," is wanted, not "asc"'),
        ("price DESC", 'at position 7: "desc" or "," is wanted, not "DESC"'),
        ("price desc name", 'at position 12: "," is wanted, not "name"'),
        ("price, price desc", "at position 8: price comes twice"),
        ('attributes.x, attributes."x"', "at position 15: attributes.x comes twice"),
        ("price, name, brand, stock", "at position 21: more than 3 keys"),
        ("name, attributes.", "at position 7: attributes: a name is missing"),
        ("name, attributes.a-b", "at position 7: a name with other signs"),
        ("name\x00", "at position 5: control character U+0000"),
        ("x" * 2_001, "at position 2001: 2001 characters, at most 2000"),
    ],
)
def test_a_wrong_order_says_what_is_wrong_and_where(text: str, problem: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse(text)
    assert refused.value.field == "order_by"
    assert refused.value.problem.startswith(problem)
