"""Facets are read as they are written, and refused where they are wrong."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidArgument
from services.common.facets import FacetSpec, parse
from services.common.filters import Column, Field

BRAND = Field(Column.BRAND)
PRICE = Field(Column.PRICE)

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
_NAMES = _TEXT | st.sampled_from(['in"ch', "a, b", "a(b)", "back\\slash", "desc", "it's", "="])
_FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Decimal(str(number)))


def bounds_of(numbers: st.SearchStrategy[Decimal]) -> st.SearchStrategy[tuple[Decimal, ...]]:
    plain = numbers.map(lambda number: number.normalize() or Decimal(0))
    return st.sets(plain, max_size=6).map(lambda found: tuple(sorted(found)))


def specs() -> st.SearchStrategy[FacetSpec]:
    """Give facets of every field."""
    plain = st.sampled_from([Column.CATEGORY, Column.BRAND, Column.ACTIVE]).map(
        lambda column: (Field(column), ())
    )
    prices = bounds_of(st.integers(0, 10**16 - 1).map(lambda units: Decimal(units).scaleb(-4)))
    stocks = bounds_of(st.integers(-(2**62), 2**63 - 1).map(Decimal))
    fields = (
        plain
        | st.tuples(st.just(PRICE), prices)
        | st.tuples(st.just(Field(Column.STOCK)), stocks)
        | st.tuples(st.builds(Field, st.just(Column.ATTRIBUTE), _NAMES), bounds_of(_FLOATS))
    )
    return st.builds(
        lambda field, limit, ignores: FacetSpec(field[0], limit, field[1], ignores),
        fields,
        st.integers(1, 100),
        st.booleans(),
    )


@given(specs())
def test_the_text_of_a_facet_is_read_as_the_same_facet(spec: FacetSpec) -> None:
    assert parse([spec.text]) == (spec,)
    assert parse([spec.text])[0].text == spec.text


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("brand", FacetSpec(BRAND)),
        (" brand ( limit = 20 , ignore_own_filter ) ", FacetSpec(BRAND, 20, (), True)),
        ("price(0,49.95, 100)", FacetSpec(PRICE, 10, (Decimal(0), Decimal("49.95"), Decimal(100)))),
        ("stock(limit=3, 0, 10)", FacetSpec(Field(Column.STOCK), 3, (Decimal(0), Decimal(10)))),
        ("attributes.größe", FacetSpec(Field(Column.ATTRIBUTE, "größe"))),
        ("attributes.'a, (b)'(1e3)", FacetSpec(Field(Column.ATTRIBUTE, "a, (b)"), 10, (1000,))),  # type: ignore[arg-type]
    ],
)
def test_a_facet_is_read_as_it_is_written(text: str, spec: FacetSpec) -> None:
    assert parse([text]) == (spec,)


@pytest.mark.parametrize(
    ("text", "name", "canonical"),
    [
        ("price(-0, 5e1)", "price", "price(0, 50)"),
        ("brand(limit=10)", "brand", "brand"),
        (
            "attributes.'odd name'(limit=007)",
            'attributes."odd name"',
            'attributes."odd name"(limit=7)',
        ),
        ("attributes.x(1e300)", "attributes.x", "attributes.x(1E+300)"),
    ],
)
def test_there_is_one_text_for_one_facet(text: str, name: str, canonical: str) -> None:
    (spec,) = parse([text])
    assert (spec.name, spec.text) == (name, canonical)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "at position 1: a field is wanted, the text ends here"),
        ("colour", 'at position 1: unknown field "colour"'),
        ("name", 'at position 1: unknown field "name"'),
        ("attributes.", "at position 1: attributes: a name is missing"),
        (" attributes.a-b", "at position 2: a name with other signs"),
        ('attributes."a', 'at position 12: "(" is wanted'),
        ('attributes."\\x"', "at position 13: \\x means nothing"),
        ("brand(", "at position 7: a number or an option is wanted, the text ends here"),
        ("brand()", 'at position 7: a number or an option is wanted, not ")"'),
        ("brand) x", 'at position 6: "(" is wanted, not ")"'),
        ("brand(limit=3 4)", 'at position 15: "," or ")" is wanted, not "4)"'),
        ("brand(limit=3)x", 'at position 15: nothing more is wanted, not "x"'),
        ("brand(limit=0)", 'at position 7: limit: "0", must be 1 to 100'),
        ("brand(limit=101)", 'at position 7: limit: "101", must be 1 to 100'),
        ("brand(limit=x)", 'at position 7: limit: "x", must be 1 to 100'),
        ("brand(limit=3, limit=4)", "at position 16: limit comes twice"),
        ("brand(limit)", 'at position 7: brand: "limit" is no option'),
        ("brand(size=3)", 'at position 7: "size" is no option; those are limit=N'),
        ("brand(ignore_own_filter=1)", 'at position 7: "ignore_own_filter" is no option'),
        ("brand(ignore_own_filter, ignore_own_filter)", "at position 26: ignore_own_filter comes"),
        ("brand(1)", 'at position 7: brand: "1" is no option; only numbers have ranges'),
        ("price(5, 5)", 'at position 10: bounds must rise, "5" comes after 5'),
        ("price(5, x)", 'at position 10: price: a number as 49.95 is wanted, "x" is given'),
        ("price(1.00001)", "at position 7: price: more than 4 decimals"),
        ("price(nan)", "at position 7: price: a number as 49.95 is wanted"),
        ("stock(1.5)", "at position 7: stock: a whole number is wanted"),
        ("attributes.x(1e999)", 'at position 14: attributes.x: "1e999" is out of range'),
        ("attributes.x(true)", "at position 14: attributes.x: >= compares numbers"),
        ("brand\x00", "at position 6: control character U+0000"),
        (f"attributes.{'x' * 2_000}", "at position 2001: 2011 characters, at most 2000"),
        (f"price({','.join(map(str, range(51)))})", "at position 147: more than 50 bounds"),
    ],
)
def test_a_wrong_facet_says_what_is_wrong_and_where(text: str, problem: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse(["category", text])
    assert refused.value.field == "facets[1]"
    assert refused.value.problem.startswith(problem)


def test_up_to_ten_facets_are_taken_and_none_twice() -> None:
    ten = [f"attributes.x{number}" for number in range(10)]
    assert [spec.name for spec in parse(ten)] == ten
    with pytest.raises(InvalidArgument, match="facets: 11 given, at most 10"):
        parse([*ten, "brand"])
    with pytest.raises(InvalidArgument, match=r"facets\[1\]: at position 1: price comes twice"):
        parse(["price", "price(0, 5)"])
    assert len(parse([f"price({','.join(map(str, range(50)))})"])[0].bounds) == 50
