"""Conditions of SQL find what the filter means, in a file that the real store wrote."""

import asyncio
import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text as sql

from services.catalog.products import Product, StoredProduct
from services.catalog.stores import filtering
from services.catalog.stores.tables import row_of
from services.common.filters import (
    Column,
    Comparison,
    Field,
    Node,
    Operator,
    all_of,
    matches,
    parse,
)
from tests.catalog_support import draft, open_store
from tests.filter_strategies import FilterableProduct, filterables, trees


def stored(product_id: str, product: FilterableProduct) -> Product:
    """Return the product as the catalog takes it."""
    given = {field.name: getattr(product, field.name) for field in fields(product)}
    price = "" if product.price is None else f"{product.price:f}"
    return Product.parse(draft(product_id, **given | {"price": price}), "EUR")


async def make_tables(folder: Path) -> None:
    async with open_store(folder):
        pass


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Give a connection that knows what the store's connections know."""
    folder = tmp_path_factory.mktemp("catalog")
    asyncio.run(make_tables(folder))
    opened = sqlite3.connect(folder / "catalog.db", isolation_level=None)
    filtering.register(opened)
    yield opened
    opened.close()


def insert(connection: sqlite3.Connection, products: list[FilterableProduct]) -> None:
    for number, product in enumerate(products):
        row = row_of(StoredProduct(stored(str(number), product), 1, 0, 0))
        row["price"] = None if product.price is None else int(product.price.scaleb(4))
        columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        connection.execute(f"INSERT INTO products ({columns}) VALUES ({values})", row)


def truths(connection: sqlite3.Connection, node: Node) -> dict[int, Any]:
    """Return the value of the condition for each product."""
    condition, parameters = filtering.condition(node)
    rows = connection.execute(f"SELECT id, ({condition}) FROM products", parameters)
    return {int(product_id): value for product_id, value in rows}


@hypothesis_settings(max_examples=200, deadline=None)
@given(
    products=st.lists(filterables(), min_size=1, max_size=8),
    nodes=st.lists(trees(), min_size=1, max_size=4),
)
def test_sql_finds_what_the_filter_means(
    connection: sqlite3.Connection, products: list[FilterableProduct], nodes: list[Node]
) -> None:
    connection.execute("BEGIN")
    try:
        insert(connection, products)
        for node in nodes:
            # 0 or 1, and never NULL: NOT of it has to be the other.
            assert truths(connection, node) == {
                number: int(matches(node, product)) for number, product in enumerate(products)
            }
    finally:
        connection.execute("ROLLBACK")


# Everything that SQL, JSON, its paths or Python might take for something else.
NAMES = ['"', "\\", '\\"', "a.b", "a[0]", "[0]", "$", "#-1", "it's", ":f0", "größe", "'; --"]
VALUES: list[str | float | bool] = [True, 1.0, "Straße", False, "1", "true"]


async def test_the_store_finds_each_type_of_value_under_any_name(tmp_path: Path) -> None:
    given = [
        (name, value, f"{number}")
        for number, (name, value) in enumerate(itertools.product(NAMES, VALUES))
    ]
    async with open_store(tmp_path) as store:
        await store.upsert(
            [stored(id_, FilterableProduct(attributes={name: v})) for name, v, id_ in given], 0
        )
        for name, value, id_ in given:
            condition, parameters = filtering.condition(
                Comparison(Field(Column.ATTRIBUTE, name), Operator.EQUAL, value)
            )
            rows = await store._database.rows(
                sql(f"SELECT id FROM products WHERE {condition}"), parameters
            )
            assert [row[0] for row in rows] == [id_]


async def test_a_part_of_a_text_is_found_by_the_store(tmp_path: Path) -> None:
    products = [
        stored("brand", FilterableProduct(brand="SÓNY Europe")),
        stored("attribute", FilterableProduct(attributes={"maker": "by Sony"})),
        stored("none", FilterableProduct(attributes={"maker": True})),
    ]
    async with open_store(tmp_path) as store:
        await store.upsert(products, 0)
        node = parse("brand:sony OR attributes.maker:sóny")
        assert node is not None
        condition, parameters = filtering.condition(node)
        rows = await store._database.rows(
            sql(f"SELECT id FROM products WHERE {condition} ORDER BY id"), parameters
        )
    assert [row[0] for row in rows] == ["attribute", "brand"]


def test_no_value_is_part_of_the_sql() -> None:
    node = parse("""brand = "x'; DROP" AND attributes."y'; DROP":"z" AND category = "w'" """)
    assert node is not None
    condition, parameters = filtering.condition(node)
    assert "DROP" not in condition
    assert list(parameters) == [f"f{number}" for number in range(len(parameters))]


def test_the_category_of_a_filter_is_looked_up(connection: sqlite3.Connection) -> None:
    condition, parameters = filtering.condition(
        Comparison(Field(Column.CATEGORY), Operator.EQUAL, "Audio")
    )
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT id FROM products WHERE {condition}", parameters
    )
    steps = [step[3] for step in plan]
    assert not [step for step in steps if step.startswith("SCAN products")]
    assert [step for step in steps if "products_by_category" in step]


def test_a_filter_at_its_limits_is_no_deeper_than_sqlite_goes(
    connection: sqlite3.Connection,
) -> None:
    nested = "(" * 20 + "attributes.x:y" + ")" * 20
    wide = " OR ".join(["attributes.x:y"] * 100)
    deep = "(NOT " * 10 + " OR ".join(["price<5"] * 100) + ")" * 10
    for text in (nested, wide, deep):
        node = all_of(Comparison(Field(Column.CATEGORY), Operator.EQUAL, "A"), parse(text))
        assert node is not None
        assert truths(connection, node) == {}
