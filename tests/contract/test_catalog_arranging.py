"""Candidates are ordered, counted and tried: in the store, and by what the counts promise."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from services.catalog.arranging import Facet, arranged, conditions_of, counted
from services.catalog.stores import Store, TextHits
from services.catalog.text import Rules, parsed
from services.common import facets, filters, ordering
from services.common.facets import FacetSpec
from services.common.filters import Column, Comparison, Field, Operator, Value
from tests.catalog_support import open_store, product
from tests.filter_strategies import FilterableProduct, comparisons, filterables

RULES = Rules()
NOW_US = 1_700_000_000_000_000


def value_of(product: FilterableProduct, field: Field) -> Value | None:
    if field.column is Column.ATTRIBUTE:
        return product.attributes.get(field.attribute)
    value: Value | None = getattr(product, field.column.value)
    return value


def passing(products: Sequence[FilterableProduct], text: str) -> int:
    node = filters.parse(text)
    assert node is not None
    return sum(filters.matches(node, product) for product in products)


def without_value(products: Sequence[FilterableProduct], field: Field) -> int:
    present = Comparison(field, Operator.PRESENT)
    return sum(not filters.matches(present, product) for product in products)


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    products=st.lists(filterables(), max_size=12),
    field=comparisons().map(lambda comparison: comparison.field),
    limit=st.integers(1, 4),
)
def test_the_filter_of_a_value_finds_what_is_counted(
    products: list[FilterableProduct], field: Field, limit: int
) -> None:
    facet = counted(FacetSpec(field, limit), [value_of(each, field) for each in products])
    assert len(facet.values) <= limit
    for value in facet.values:
        assert value.count == passing(products, value.filter) > 0
    assert facet.missing_count == without_value(products, field)
    assert [-value.count for value in facet.values] == sorted(-v.count for v in facet.values)
    listed = {value.filter for value in facet.values}
    assert len(listed) == len(facet.values)
    assert facet.other_count == len(products) - facet.missing_count - (
        passing(products, " OR ".join(listed)) if listed else 0
    )


@hypothesis_settings(max_examples=300, deadline=None)
@given(
    products=st.lists(filterables(), max_size=12),
    field=comparisons()
    .map(lambda comparison: comparison.field)
    .filter(lambda field: field.column in (Column.PRICE, Column.STOCK, Column.ATTRIBUTE)),
    bounds=st.lists(st.sampled_from(["-1", "0", "1", "2", "9.99", "16", "100", "1e9"]), min_size=1),
)
def test_the_filter_of_a_range_finds_what_is_counted(
    products: list[FilterableProduct], field: Field, bounds: list[str]
) -> None:
    whole = [bound for bound in bounds if field.column is not Column.STOCK or "." not in bound]
    rising = sorted(set(whole or ["0"]), key=float)
    (spec,) = facets.parse([f"{filters.field_text(field)}({', '.join(rising)})"])
    facet = counted(spec, [value_of(each, field) for each in products])
    assert [value.count for value in facet.values] == [
        passing(products, value.filter) for value in facet.values
    ]
    assert len(facet.values) == len(rising)
    assert facet.missing_count == without_value(products, field)
    inside = sum(value.count for value in facet.values)
    assert facet.other_count == len(products) - facet.missing_count - inside


def facet_of(text: str, values: Sequence[Value | None]) -> Facet:
    (spec,) = facets.parse([text])
    return counted(spec, values)


def counts_of(facet: Facet) -> list[tuple[str, int]]:
    return [(value.value, value.count) for value in facet.values]


def test_a_category_counts_what_is_below_it_too() -> None:
    paths = ["Audio > Headphones", "Audio > Headphones > In-ear", "Audio 2", "", "Áudio"]
    facet = facet_of("category(limit=3)", paths)
    assert counts_of(facet) == [
        ("Audio", 2),
        ("Audio > Headphones", 2),
        ("Audio 2", 1),
    ]
    # What is below a category that is listed is no other.
    assert (facet.other_count, facet.missing_count) == (1, 1)


def test_values_of_each_type_are_listed_as_they_are() -> None:
    values: list[Value | None] = [
        True,
        1.0,
        "1",
        "true",
        0.1 + 0.2,
        0.3,
        -0.0,
        0.0,
        "Black",
        "black",
        "",
        None,
    ]
    facet = facet_of("attributes.x(limit=20)", values)
    assert counts_of(facet) == [
        ("0", 2),
        ("0.3", 1),
        ("0.3", 1),
        ("1", 1),
        ("1", 1),
        ("Black", 1),
        ("black", 1),
        ("true", 1),
        ("true", 1),
    ]
    assert len({value.filter for value in facet.values}) == 9
    assert facet.missing_count == 2


def test_ranges_keep_their_order_and_show_those_without_products() -> None:
    facet = facet_of("attributes.x(-5, 0, 0.5, 100)", [-6.0, -5.0, 0.5, 99.9, 1e9, "3", True, None])
    assert counts_of(facet) == [("-5-0", 1), ("0-0.5", 0), ("0.5-100", 2), ("100-", 1)]
    assert [value.filter for value in facet.values][2:] == [
        "attributes.x >= 0.5 AND attributes.x < 100.0",
        "attributes.x >= 100.0",
    ]
    assert (facet.other_count, facet.missing_count) == (3, 1)


def test_a_text_too_long_for_a_filter_is_among_the_others() -> None:
    facet = facet_of("attributes.x", ["x" * 3_000, "x" * 3_000, "y"])
    assert counts_of(facet) == [("y", 1)]
    assert facet.other_count == 2


PRODUCTS = [
    product("a", name="Éclair", price="5", currency="EUR", brand="", attributes={"size": 2.0}),
    product("b", name="eclair 2", brand="zeta", attributes={"size": "XL"}, stock=0),
    product(
        "c", name="Zoo", price="5.00", currency="EUR", brand="Álpha", attributes={"size": True}
    ),
    product(
        "d", name="apple", price="10", currency="EUR", brand="alpha", attributes={"size": 10.0}
    ),
    product("e", name="Mango", price="0.5", currency="EUR", brand="HP", attributes={"size": ""}),
    product("f", name="mango", brand="", stock=7, attributes={"size": "m", 'in"ch': "x"}),
    product("hidden", name="Mango", active=False),
]
GIVEN = ["hidden", "f", "e", "d", "absent", "c", "b", "a"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        await opened.upsert(PRODUCTS[:3], NOW_US)
        await opened.upsert(PRODUCTS[3:], NOW_US + 1)
        yield opened


@pytest.mark.parametrize(
    ("order_by", "ids"),
    [
        ("", "fedcba"),
        ("price", "ecadfb"),
        ("price desc", "dcaefb"),
        ("name", "dabfec"),
        ("name desc", "cfebad"),
        ("brand", "dcebfa"),
        ("brand desc", "bedcfa"),
        ("stock", "bfedca"),
        ("stock desc", "fbedca"),
        ("create_time", "cbafed"),
        ("update_time desc", "fedcba"),
        ("attributes.size", "adfbce"),
        ("attributes.size desc", "cbfdae"),
        ('attributes."in\\"ch"', "fedcba"),
        ("price, name desc", "ecadfb"),
        ("price, name", "eacdbf"),
        ("brand, price desc, name", "dcebaf"),
    ],
)
async def test_candidates_come_in_the_order_asked_for(
    store: Store, order_by: str, ids: str
) -> None:
    found = await store.candidates(GIVEN, None, ordering.parse(order_by), [], [])
    assert "".join(found.product_ids) == ids
    assert found.revision == 7


async def test_values_and_conditions_are_those_of_each_product(store: Store) -> None:
    names = ["price", "stock", "brand", "active", "attributes.size", 'attributes."in\\"ch"']
    fields = [spec.field for spec in facets.parse([*names, "category"])]
    conditions = ["price < 6", "", 'attributes.size = 10 OR attributes."in\\"ch":*', "price > 6"]
    found = await store.candidates(
        GIVEN,
        filters.parse("NOT attributes.size = true AND price < 100 OR stock = 7"),
        ordering.parse('attributes."in\\"ch", price'),
        fields,
        [filters.parse(text) for text in conditions],
    )
    assert list(found.product_ids) == ["f", "e", "a", "d"]
    price, stock, brand, active, size, inch, category = map(list, found.values)
    assert [None if each is None else str(each) for each in price] == [
        None,
        "0.5000",
        "5.0000",
        "10.0000",
    ]
    assert (stock, brand) == ([7, None, None, None], ["", "HP", "", "alpha"])
    assert (active, inch) == ([True] * 4, ["x", None, None, None])
    assert (size, category) == (["m", "", 2.0, 10.0], [""] * 4)
    assert [list(map(bool, column)) for column in found.accepted] == [
        [False, True, True, False],
        [True] * 4,
        [True, False, False, True],
        [False, False, False, True],
    ]


async def test_conditions_are_told_apart_however_many_and_long_they_are(store: Store) -> None:
    never = " OR ".join(["category = X"] * 40)
    texts = [f'{never} OR brand = "{brand}"' for brand in ["HP", "alpha", "zeta"] * 10]
    found = await arranged(
        store, GIVEN, filters.parse("brand:*"), ordering.parse("price"), (), conditions_of(texts)
    )
    assert list(found.product_ids) == ["e", "c", "d", "b"]
    assert found.accepted == [[0], [2], [3]] * 10


async def test_every_facet_can_be_followed_to_its_products(store: Store) -> None:
    specs = facets.parse(["brand", "price", "stock", "attributes.size", "active", "category"])
    everything = await arranged(store, GIVEN, None, (), specs, [])
    for facet in everything.facets:
        assert facet.values or facet.missing_count == 6
        for value in facet.values:
            narrowed = await arranged(store, GIVEN, filters.parse(value.filter), (), (), [])
            assert len(narrowed.product_ids) == value.count


async def search(store: Store, query: str, limit: int = 10, **options: Any) -> TextHits:
    order = ordering.parse(options.pop("order_by", ""))
    return await store.search_text(
        parsed(query, RULES), filters.parse(options.pop("passing", "")), limit, order
    )


def ids_of(found: TextHits) -> list[str]:
    return [hit.product_id for hit in found.hits]


async def test_an_ordered_search_finds_what_holds_all_words_or_else_any(store: Store) -> None:
    await store.upsert(
        [
            product("g", name="Mango Zoo", price="3", currency="EUR", brand="Álpha"),
            product("h", name="Zoo Mango", price="2", currency="EUR"),
        ],
        NOW_US,
    )
    both = await search(store, "mango zoo", order_by="price")
    assert (ids_of(both), both.holds_all) == (["h", "g"], True)
    assert ids_of(await search(store, "mango zoo", order_by="price desc")) == ["g", "h"]
    assert all(hit.score > 0 for hit in both.hits)
    any_word = await search(store, "mango absent", order_by="price desc")
    assert (ids_of(any_word), any_word.holds_all) == (["g", "h", "e", "f"], False)
    passing = await search(store, "mango absent", order_by="price", passing='brand = "HP"')
    assert ids_of(passing) == ["e"]
    assert ids_of(await search(store, "nada", order_by="price")) == []


async def test_equal_places_of_an_ordered_search_go_to_the_better_hit(store: Store) -> None:
    await store.upsert(
        [product("x", name="Pera", description="mango"), product("y", name="Pera mango")], NOW_US
    )
    assert ids_of(await search(store, "mango", order_by="stock"))[-2:] != ["x", "y"]
    only = await search(store, "pera mango", order_by="stock")
    assert ids_of(only) == ids_of(await search(store, "pera mango"))[:2] == ["y", "x"]


async def test_an_ordered_search_finds_what_only_its_identifier_names(store: Store) -> None:
    await store.upsert(
        [
            product("AB/1 2", name="Cable", price="9", currency="EUR"),
            product("z", name="Otro", attributes={"sku": "AB 1-2"}, price="1", currency="EUR"),
        ],
        NOW_US,
    )
    found = await search(store, "ab12", order_by="price")
    assert (ids_of(found), found.exact_identifiers) == (["z", "AB/1 2"], 0)
    assert found.is_complete
    assert set(ids_of(await search(store, "ab12"))) == {"z", "AB/1 2"}


@pytest.mark.parametrize("order_by", ["", "name"])
@pytest.mark.parametrize(
    ("query", "count"),
    [("mango", 6), ("mango rojo", 4), ("mango verde", 6), ("p1", 1), ('"mango rojo"', 4)],
)
async def test_a_search_tells_whether_there_is_more(
    store: Store, order_by: str, query: str, count: int
) -> None:
    await store.upsert([product(f"p{n}", name="Mango rojo") for n in range(4)], NOW_US)
    # By relevance what holds any word comes after what holds all.
    if query == "mango rojo" and not order_by:
        count = 6
    everything = await search(store, query, 50, order_by=order_by)
    assert (len(everything.hits), everything.is_complete) == (count, True)
    for limit in range(1, count + 2):
        found = await search(store, query, limit, order_by=order_by)
        assert ids_of(found) == ids_of(everything)[:limit]
        assert found.is_complete == (limit >= count)
