"""The words of products in FTS5, and what they are named by: written with each product."""

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.pacing import paced
from services.catalog.products import Product
from services.catalog.stores import statements
from services.catalog.stores.tables import product_of
from services.catalog.text import Rules
from services.common.errors import Unavailable
from services.common.telemetry import get_logger

log = get_logger()


async def insert(connection: AsyncConnection, rules: Rules, products: Iterable[Product]) -> None:
    """Index those of the products that are active; they are stored, and not indexed yet."""
    words: list[dict[str, str]] = []
    identifiers: list[dict[str, str]] = []
    async for product in paced(products):
        if product.active:
            found, named_by = rules.words_of(product)
            words.append({"product_id": product.id, **found._asdict()})
            identifiers.append({"product_id": product.id, "identifiers": json.dumps(named_by)})
    if words:
        await connection.execute(statements.INSERT_WORDS, words)
        await connection.execute(statements.INSERT_IDENTIFIERS, identifiers)


async def remove(connection: AsyncConnection, keys: Sequence[dict[str, int]]) -> None:
    """Take the products out of the index; each comes as {"product_key": its key}."""
    if keys:
        await connection.execute(statements.DELETE_WORDS, keys)
        await connection.execute(statements.DELETE_IDENTIFIERS, keys)


async def index_by_rules(connection: AsyncConnection, rules: Rules) -> None:
    """Index all products anew if other rules made the words."""
    state = (await connection.execute(statements.STATE)).one()
    if state.text_rules == rules.name:
        return
    log.info("indexing words by new rules", rules=rules.name, products=state.product_count)
    await connection.execute(statements.DELETE_ALL_WORDS)
    await _index_all(connection, rules)


async def made_again(connection: AsyncConnection, rules: Rules) -> bool:
    """Index all products in a new table, if the content of the old one is damaged.

    False if it is not. Unavailable (STORAGE_DAMAGED) if pages are: to drop a table gives
    its pages away, and what is damaged may claim those of others.
    """
    if (await connection.execute(text("PRAGMA quick_check(1)"))).scalar_one() != "ok":
        raise Unavailable("pages of the database are damaged", reason="STORAGE_DAMAGED")
    try:
        await connection.execute(text("INSERT INTO words(words) VALUES ('integrity-check')"))
    except DatabaseError:
        created_by = text("SELECT sql FROM sqlite_schema WHERE name = 'words'")
        create = (await connection.execute(created_by)).scalar_one()
        await connection.execute(text("DROP TABLE words"))
        await connection.execute(text(create))
        await _index_all(connection, rules)
        return True
    return False


async def _index_all(connection: AsyncConnection, rules: Rules) -> None:
    """Index all products; there are no words."""
    await connection.execute(statements.DELETE_ALL_IDENTIFIERS)
    after_key = 0
    while True:
        page = {"after_key": after_key}
        rows = (await connection.execute(statements.ACTIVE_PRODUCTS_AFTER_KEY, page)).all()
        if not rows:
            break
        await insert(connection, rules, [product_of(row).product for row in rows])
        after_key = rows[-1].key
    await connection.execute(statements.SET_TEXT_RULES, {"rules": rules.name})
