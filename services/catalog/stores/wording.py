"""The words of products in FTS5, and what they are named by: written with each product."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from services.catalog.products import Product
from services.catalog.stores import statements
from services.catalog.stores.database import driver_of
from services.catalog.stores.tables import product_of
from services.catalog.text import Rules
from services.common.errors import Unavailable
from services.common.telemetry import get_logger

log = get_logger()


def insert(driver: Any, rules: Rules, products: Iterable[tuple[int, Product]]) -> None:
    """Index those of the products that are active; they come with their keys, not indexed yet."""
    words: list[dict[str, int | str]] = []
    identifiers: list[tuple[str, int]] = []
    for key, product in products:
        if product.active:
            found, named_by = rules.words_of(product)
            words.append({"rowid": key, **found._asdict()})
            identifiers += [(identifier, key) for identifier in named_by]
    driver.executemany(statements.INSERT_WORDS, words)
    driver.executemany(statements.INSERT_IDENTIFIER, identifiers)


def remove(driver: Any, keys: Sequence[int]) -> None:
    """Take the products with these keys out of the index."""
    rows = [(key,) for key in keys]
    driver.executemany(statements.DELETE_WORDS, rows)
    driver.executemany(statements.DELETE_IDENTIFIERS, rows)


def index_by_rules(connection: Connection, rules: Rules) -> None:
    """Index all products anew if other rules made the words."""
    state = connection.execute(statements.STATE).one()
    if state.text_rules == rules.name:
        return
    log.info("indexing words by new rules", rules=rules.name, products=state.product_count)
    driver = driver_of(connection)
    driver.execute(statements.DELETE_ALL_WORDS)
    _index_all(driver, rules)


def made_again(connection: Connection, rules: Rules) -> bool:
    """Index all products in a new table, if the content of the old one is damaged.

    False if it is not. Unavailable (STORAGE_DAMAGED) if pages are: to drop a table gives
    its pages away, and what is damaged may claim those of others.
    """
    driver = driver_of(connection)
    if driver.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise Unavailable("pages of the database are damaged", reason="STORAGE_DAMAGED")
    try:
        driver.execute("INSERT INTO words(words) VALUES ('integrity-check')")
    except sqlite3.DatabaseError:
        (create,) = driver.execute("SELECT sql FROM sqlite_schema WHERE name = 'words'").fetchone()
        driver.execute("DROP TABLE words")
        driver.execute(create)
        _index_all(driver, rules)
        return True
    return False


def _index_all(driver: Any, rules: Rules) -> None:
    """Index all products; there are no words."""
    driver.execute(statements.DELETE_ALL_IDENTIFIERS)
    after_key = 0
    while rows := statements.ACTIVE_PRODUCTS_AFTER_KEY.rows(driver, after_key=after_key):
        insert(driver, rules, [(row[0], product_of(row).product) for row in rows])
        after_key = rows[-1][0]
    driver.execute(statements.SET_TEXT_RULES, (rules.name,))
