"""What a filter says, and what is said of one that is wrong."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import categories
from services.common.errors import InvalidArgument
from services.common.filters import (
    And,
    Column,
    Comparison,
    Field,
    Node,
    Not,
    Operator,
    Or,
    all_of,
    canonical,
    category_bound,
    folded,
    matches,
    parse,
    parse_canonical,
)
from tests.filter_strategies import FilterableProduct, comparisons, filterables, trees

HEADPHONES = FilterableProduct(
    category="Audio > Headphones",
    brand="SÓNY Europe",
    price=Decimal("99.9900"),
    stock=0,
    attributes={"color": "Black", "weight": 250.0, "wireless": True, "one": 1.0, "empty": ""},
)
BARE = FilterableProduct(active=False)


def parsed(text: str) -> Node:
    node = parse(text)
    assert node is not None
    return node


def passes(text: str, product: FilterableProduct = HEADPHONES) -> bool:
    return matches(parsed(text), product)


def problem(text: str) -> str:
    with pytest.raises(InvalidArgument) as refused:
        parse(text)
    assert refused.value.field == "filter"
    return refused.value.problem


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_a_blank_text_is_no_filter(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "same"),
    [
        # OR binds closer than AND.
        ("stock=1 AND stock=2 OR stock=3", "stock=1 AND (stock=2 OR stock=3)"),
        ("stock=1 OR stock=2 AND stock=3", "(stock=1 OR stock=2) AND stock=3"),
        # What stands side by side is joined by AND.
        ("stock=1 stock=2 OR stock=3", "stock=1 AND (stock=2 OR stock=3)"),
        ('brand="a"stock=1(stock=2)-stock=3', "brand=a AND stock=1 AND stock=2 AND NOT stock=3"),
        # NOT binds closest.
        ("NOT stock=1 OR stock=2", "(NOT stock=1) OR stock=2"),
        ("-stock=1 AND stock=2", "(NOT stock=1) AND stock=2"),
        ("stock != 1", "NOT stock = 1"),
        ("NOT -stock=1", "NOT (NOT stock=1)"),
        # Parentheses that change nothing are not in the tree.
        ("((stock=1 AND (stock=2 AND stock=3)))", "stock=1 AND stock=2 AND stock=3"),
        ("stock=1 OR (stock=2 OR stock=3)", "stock=1 OR stock=2 OR stock=3"),
        # Keywords in any case: nothing else has such a name.
        ("not stock=1 and stock=2 or stock=3", "NOT stock=1 AND stock=2 OR stock=3"),
        ('brand = "HP"', "brand='HP'"),
        ("brand = HP", 'brand = "HP"'),
        ("brand = AND-co", 'brand = "AND-co"'),
        (r'brand = "a \"b\" \\ \n"', "brand = 'a \"b\" \\\\ \n'"),
        ("price = 10.00", "price = 1e1"),
        ("price = -0", "price = 0"),
        ('category:"Audio"', 'category = "Audio"'),
        ('category = " Audio>Headphones "', 'category = "Audio > Headphones"'),
        ("active = TRUE", "active = true"),
        ('attributes."color" = a', "attributes.color = a"),
        ("attributes.and = 1", 'attributes."and" = 1'),
        ("attributes.größe = 1", 'attributes."größe" = 1'),
        ("attributes.model:128", 'attributes.model:"128"'),
    ],
)
def test_two_ways_to_say_the_same(text: str, same: str) -> None:
    assert repr(parse(text)) == repr(parse(same))
    assert canonical(parsed(text)) == canonical(parsed(same))


def test_a_tree_is_what_was_written() -> None:
    assert parse('price <= 9.5 AND (NOT brand:"x" OR attributes."a b":*)') == And(
        (
            Comparison(Field(Column.PRICE), Operator.AT_MOST, Decimal("9.5")),
            Or(
                (
                    Not(Comparison(Field(Column.BRAND), Operator.CONTAINS, "x")),
                    Comparison(Field(Column.ATTRIBUTE, "a b"), Operator.PRESENT),
                )
            ),
        )
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("attributes.x = 5", 5.0),
        ("attributes.x = -.5e1", -5.0),
        ("attributes.x = true", True),
        ("attributes.x = False", False),
        ('attributes.x = "5"', "5"),
        ("attributes.x = 'true'", "true"),
        ("attributes.x = 5kg", "5kg"),
        ("attributes.x = 2012-04-21", "2012-04-21"),
    ],
)
def test_the_type_of_a_value_against_an_attribute_shows_in_how_it_is_written(
    text: str, value: object
) -> None:
    comparison = parse(text)
    assert isinstance(comparison, Comparison)
    assert (type(comparison.value), comparison.value) == (type(value), value)


@pytest.mark.parametrize(
    "text",
    [
        "category = Audio",
        'category = "Audio > Headphones"',
        "category:*",
        'brand = "SÓNY Europe"',
        "brand:sony",
        "brand:*",
        "price < 100",
        "price >= 99.99",
        "price = 99.99",
        "stock = 0",
        "stock:*",
        "active = true",
        "active:*",
        "attributes.color = Black",
        "attributes.color:BLÁ",
        "attributes.weight > 249.5",
        "attributes.wireless = true",
        "attributes.wireless:*",
    ],
)
def test_a_product_that_passes_fails_the_opposite(text: str) -> None:
    assert passes(text)
    assert not passes(f"NOT {text}")


@pytest.mark.parametrize(
    "text",
    [
        "category = Headphones",
        "category = Aud",
        "brand = Sony",
        'brand = "sóny europe"',
        "price < 99.99",
        "attributes.color = black",
        "attributes.colour = Black",
        "attributes.empty:*",
    ],
)
def test_a_product_that_does_not_pass(text: str) -> None:
    assert not passes(text)


@pytest.mark.parametrize(
    "text",
    [
        "attributes.one = true",
        'attributes.one = "1"',
        "attributes.wireless = 1",
        "attributes.color > 0",
    ],
)
def test_a_value_of_another_type_never_matches(text: str) -> None:
    assert not passes(text)
    assert passes(f"NOT {text}")


@pytest.mark.parametrize(
    "text",
    ["category = A", "brand:a", "price < 10", "price >= 0", "stock < 1", "attributes.x < 1"],
)
def test_a_comparison_with_what_a_product_does_not_have_is_false_and_not_of_it_true(
    text: str,
) -> None:
    assert not passes(text, BARE)
    assert passes(f"NOT ({text})", BARE)
    assert not passes(f"NOT NOT ({text})", BARE)


def test_folding_leaves_neither_case_nor_accents() -> None:
    assert folded("ÑANDÚ Straße") == "nandu strasse"


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("price", 6, "operator"),
        ("price 5", 7, "operator"),
        ('"HP"', 1, "comparison"),
        ("HP", 3, "operator"),
        ("price <", 8, "value"),
        ("price < AND stock = 1", 9, "value"),
        ("price == 5", 8, "value"),
        ("price < 5 AND", 14, "comparison"),
        ("AND price < 5", 1, "comparison"),
        ("price < 5 AND OR stock = 1", 15, "comparison"),
        ("()", 2, "comparison"),
        ("stock = 1 AND (price < 5", 25, '"(" at position 15'),
        ("price < 5)", 10, 'no "("'),
        ("category = Audio > Headphones", 18, "quotes"),
        ("brand = “HP”", 9, "straight quotes"),
        ('brand = "HP', 9, 'no closing "'),
        ("brand = L'Oréal", 10, "no closing '"),
        ("brand = H*", 10, "brand:*"),
        ("brand = *", 9, "brand:*"),
        (r'brand = "a\qb"', 11, r"\\"),
        ("stock=1\x00", 8, "U+0000"),
        ("brand = \ud800", 9, "U+D800"),
        # Fields.
        ("stock=1 color = red", 9, "attributes.color"),
        ("Price < 5", 1, 'unknown field "Price"; fields are category, brand, price, stock, active'),
        ("attributes.screen-size = 5", 1, 'attributes."screen-size"'),
        ("attributes.a.b = 5", 1, 'attributes."a.b"'),
        ('attributes."" = 5', 1, "a name is missing"),
        ("attributes. = 5", 1, "a name is missing"),
        ("attributes = 5", 1, "attributes.<name>"),
        # Values.
        ("stock=1 price < cheap", 17, 'price: a number as 49.95 is wanted, "cheap" is given'),
        ('price < "5"', 9, 'the text "5" is given'),
        ("price < 9,99", 9, '"9,99" is given'),
        ("price < 1.00001", 9, "4 decimals"),
        ("price < 1.00000000000000000000000000000000001", 9, "4 decimals"),
        ("price < 1e12", 9, "12 digits"),
        ("price < 1e99999999999999999999999", 9, "out of range"),
        ("stock < 1.5", 9, "whole number"),
        ("stock < 9223372036854775808", 9, "out of range"),
        ("active = yes", 10, "true"),
        ("active < true", 10, "true"),
        ('active = "true"', 10, "true"),
        ("price:5", 7, "price = 5"),
        ("brand < HP", 9, "brand: <"),
        ("category > Audio", 12, "category: >"),
        ('category = "A >> B"', 12, "category: a name is empty"),
        ('category = ""', 12, "NOT category:*"),
        ('brand = ""', 9, "NOT brand:*"),
        ('attributes.x:""', 14, "NOT attributes.x:*"),
        ("brand:\u0301", 7, "nothing but accents"),
        ("attributes.x < red", 16, "attributes.x: < compares numbers"),
        ("attributes.x >= true", 17, "compares numbers"),
        ("attributes.x = 1e999", 16, "out of range"),
    ],
)
def test_an_error_says_where_and_what(text: str, position: int, words: str) -> None:
    said = problem(text)
    assert said.startswith(f"at position {position}: ")
    assert words in said


def test_an_error_quotes_no_more_than_a_little() -> None:
    assert len(problem("x" * 1_990 + " = 1")) < 2_200
    assert len(problem("price < " + "x" * 1_900)) < 200


def test_a_filter_may_be_as_large_as_the_limits() -> None:
    assert parse("stock = 1".ljust(2_000))
    assert parse(" ".join(["stock=1"] * 100))
    assert parse("(" * 20 + "stock=1" + ")" * 20)
    assert parse("-" * 20 + "stock=1")
    assert parse("(NOT " * 10 + "stock=1" + ")" * 10)
    # Side by side is not within one another.
    assert parse(" ".join(["(NOT stock=1)"] * 50))


def test_a_filter_beyond_a_limit_is_told_which() -> None:
    assert problem("stock = 1".ljust(2_001)) == "2001 characters, at most 2000"
    assert problem(" ".join(["stock=1"] * 101)) == "at position 801: more than 100 comparisons"
    too_deep = "more than 20 levels of parentheses and NOT"
    assert problem("(" * 21 + "stock=1" + ")" * 21) == f"at position 21: {too_deep}"
    assert problem("-" * 21 + "stock=1") == f"at position 21: {too_deep}"
    assert problem("(-" * 10 + "-stock=1" + ")" * 10) == f"at position 21: {too_deep}"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 2_000,
        "-" * 2_000,
        '"' * 2_000,
        "brand=" + "'" * 1_990,
        'brand="' + '\\"' * 990,
        'attributes."' + '\\"' * 980,
        "." * 2_000,
        "x" * 2_000,
        "and" * 600,
        "price<1e" + "9" * 1_900,
        "stock=1 AND " * 160,
        " OR ".join(["(stock=1)"] * 100),
    ],
)
def test_the_worst_text_is_answered_at_once(text: str) -> None:
    began = time.process_time()
    try:
        parse(text)
    except InvalidArgument as refused:
        assert refused.field == "filter"  # noqa: PT017
    # A few milliseconds, and a machine may be slow; what is exponential takes hours.
    assert time.process_time() - began < 0.5


@given(st.text(max_size=60) | st.text("()-\"'\\*<>=!:. ANDORtxe1", max_size=60))
def test_any_text_is_a_filter_or_invalid(text: str) -> None:
    try:
        node = parse(text)
    except InvalidArgument as refused:
        assert refused.field == "filter"  # noqa: PT017
    else:
        assert node is None or repr(parse_canonical(canonical(node))) == repr(node)


@given(trees())
def test_the_canonical_text_parses_to_the_same_tree(tree: Node) -> None:
    # Compared by their parts: true equals 1 in Python, and is another filter.
    assert repr(parse_canonical(canonical(tree))) == repr(_plain(tree))


def _plain(node: Node) -> Node:
    """Return the tree with prices as a parser writes them: 9.9900 is 9.99, -0 is 0."""
    match node:
        case Comparison(field, operator, Decimal() as price):
            return Comparison(field, operator, price.normalize() + 0)
        case Not(operand):
            return Not(_plain(operand))
        case And(operands):
            return And(tuple(map(_plain, operands)))
        case Or(operands):
            return Or(tuple(map(_plain, operands)))
        case _:
            return node


@pytest.mark.parametrize(
    "text",
    [
        " ".join(["(stock=1)"] * 100),
        "brand='" + '"' * 1_900 + "'",
        " ".join(["-stock=1"] * 100),
        " ".join(["-" * 11 + "stock=1"] * 100),
        " ".join(["price<1e11"] * 100),
        " ".join(["attributes.x=1e15"] * 100),
        "stock=1 OR " + "(" * 20 + "stock=1 OR stock=2" + ")" * 20,
        "stock=1 OR (" * 20 + "stock=2 OR stock=3 stock=4" + ") stock=5" * 20,
        "stock=1 OR (stock=2 AND (stock=3 OR (" * 6 + "stock=1" + ")))" * 6,
    ],
)
def test_a_filter_within_the_limits_can_be_passed_on_with_a_category(text: str) -> None:
    category = Comparison(Field(Column.CATEGORY), Operator.EQUAL, "x" * 500)
    joined = all_of(category, parsed(text))
    assert joined is not None
    assert parse_canonical(canonical(joined)) == joined


@given(st.lists(st.none() | trees(), max_size=4), filterables())
def test_all_of_filters_pass_what_each_of_them_passes(
    nodes: list[Node | None], product: FilterableProduct
) -> None:
    joined = all_of(*nodes)
    each = all(matches(node, product) for node in nodes if node is not None)
    assert (joined is None or matches(joined, product)) == each
    if isinstance(joined, And):
        assert not any(isinstance(operand, And) for operand in joined.operands)


def test_all_of_nothing_is_no_filter() -> None:
    assert all_of() is None
    assert all_of(None, None) is None


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("", ""),
        ("price < 5", ""),
        ("category = Audio", "Audio"),
        ('category = Audio AND price < 5 AND category = "Audio > In-ear"', "Audio > In-ear"),
        ('category = "A > B > C" OR category = "A > B > D"', "A > B"),
        ("category = A OR category = B", ""),
        ("category = A OR price < 5", ""),
        ("NOT category = A", ""),
        ("category:*", ""),
    ],
)
def test_the_category_that_bounds_a_filter(text: str, bound: str) -> None:
    assert category_bound(parse(text)) == bound


@given(trees() | comparisons(), filterables())
def test_what_passes_is_within_the_bound(node: Node, product: FilterableProduct) -> None:
    if matches(node, product):
        assert categories.is_within(product.category, category_bound(node))
