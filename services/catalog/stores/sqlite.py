"""Products in one SQLite file, with their words in FTS5."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog import text
from services.catalog.changes import Change, ChangeKind, Outcome, UpsertPlan, plan_upserts
from services.catalog.migrations import migrate
from services.catalog.pacing import paced
from services.catalog.products import Product, StoredProduct
from services.catalog.stores import (
    MAX_PAGE_BYTES,
    MAX_PAGE_CHANGES,
    CatalogState,
    CategoryCounts,
    ChangePage,
    Deletion,
    ProductPage,
    Products,
    TextHits,
    Upserts,
    statements,
)
from services.catalog.stores.database import Database
from services.catalog.stores.tables import product_of, row_of
from services.catalog.text import Term
from services.common.telemetry import get_logger

log = get_logger()


class SqliteStore:
    """A `Store` in a file. `on_commit` is called with the newest revision after each write.

    `text_weights` are those of the fields of `ProductWords` in BM25.
    """

    def __init__(
        self,
        path: Path,
        *,
        text_weights: Sequence[float],
        readers: int,
        on_commit: Callable[[int], None],
    ) -> None:
        self._database = Database(path, readers=readers)
        self._bm25 = f"bm25({', '.join(f'{weight:g}' for weight in text_weights)})"
        self._on_commit = on_commit
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._database)
            await self._database.write_sync(migrate)
            await self._database.write(self._index_by_new_rules)
            state = await self.state()
            self._on_commit(state.revision)
            log.info("store opened", revision=state.revision, products=state.product_count)
            self._exit = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    async def state(self) -> CatalogState:
        """Return what the catalog holds."""
        (row,) = await self._database.rows(statements.STATE, {})
        return CatalogState(row.revision, row.product_count, row.catalog_id)

    async def get(self, ids: Sequence[str]) -> Products:
        """Return those that are there, each once, in any order."""
        rows = await self._database.rows(statements.PRODUCTS_BY_ID, {"ids": json.dumps(ids)})
        return Products([product_of(row) for row in rows if row.key is not None], rows[0].revision)

    async def page(self, after_id: str, category: str, limit: int) -> ProductPage:
        """Return up to `limit` products with greater ids, of a category or of all."""
        parameters = {"after_id": after_id, "limit": limit, "max_bytes": MAX_PAGE_BYTES}
        statement = statements.PRODUCT_PAGE
        if category:
            parameters |= statements.subtree(category)
            statement = statements.PRODUCT_PAGE_OF_CATEGORY
        rows = await self._database.rows(statement, parameters)
        products = [product_of(row) for row in rows if row.found is not None]
        return ProductPage(products, len(products) < (rows[0].found or 0), rows[0].revision)

    async def category_counts(self) -> CategoryCounts:
        """Count the products of each category."""
        rows = await self._database.rows(statements.CATEGORY_COUNTS, {})
        counts = {category: count for _, category, count in rows if category is not None}
        return CategoryCounts(counts, rows[0].revision)

    async def changes_after(self, revision: int, *, with_products: bool) -> ChangePage:
        """Return a page of the changes after a revision."""
        statement = (
            statements.CHANGE_PAGE if with_products else statements.CHANGE_PAGE_WITHOUT_PRODUCTS
        )
        parameters = {
            "after_revision": revision,
            "limit": MAX_PAGE_CHANGES,
            "max_bytes": MAX_PAGE_BYTES,
        }
        rows = await self._database.rows(statement, parameters)
        head_revision, catalog_id = rows[0][:2]
        changes = []
        for row in rows:
            _, _, change_revision, product_id, kind, before, after, *product = row
            if change_revision is None:
                continue
            # The product's columns, its id first, are null unless this is its last change.
            stored = product_of(row) if product and product[0] is not None else None
            changes.append(
                Change(change_revision, ChangeKind(kind), product_id, before, after, stored)
            )
        return ChangePage(changes, head_revision, catalog_id)

    async def search_text(self, terms: Sequence[Term], category: str, limit: int) -> TextHits:
        """Return active products that hold a term; those that hold all come first."""
        if not terms:
            return TextHits([], (await self.state()).revision)
        with_all = await self._matching(_all_of(terms), category, limit)
        if len(with_all.hits) == limit or (len(terms) == 1 and not terms[0].parts):
            return with_all
        with_any = await self._matching(_any_of(terms), category, limit)
        return TextHits(_joined(with_all.hits, with_any.hits)[:limit], with_all.revision)

    async def _matching(self, match: str, category: str, limit: int) -> TextHits:
        parameters: dict[str, Any] = {"match": match, "weights": self._bm25, "limit": limit}
        statement = statements.SEARCH
        if category:
            parameters |= statements.subtree(category)
            statement = statements.SEARCH_IN_CATEGORY
        rows = await self._database.rows(statement, parameters)
        return TextHits(
            [(product_id, score) for _, product_id, score in rows if product_id is not None],
            rows[0].revision,
        )

    async def upsert(self, products: Sequence[Product], now_us: int) -> Upserts:
        """Apply `plan_upserts`."""

        async def transaction(connection: AsyncConnection) -> Upserts:
            keys, stored, revision = await _stored(connection, [product.id for product in products])
            plan = plan_upserts(products, stored, revision, now_us)
            if plan.changes:
                await _apply(connection, plan, keys, stored)
            return Upserts(plan.results, plan.revision)

        return await self._database.write(transaction, lambda done: self._on_commit(done.revision))

    async def delete(self, product_id: str) -> Deletion:
        """Remove a product if it is there."""

        async def transaction(connection: AsyncConnection) -> Deletion:
            keys, stored, revision = await _stored(connection, [product_id])
            if not stored:
                return Deletion(was_there=False, revision=revision)
            category = stored[product_id].product.category
            change = Change(revision + 1, ChangeKind.DELETE, product_id, category, None)
            key = {"product_key": keys[product_id]}
            await connection.execute(statements.DELETE_WORDS, key)
            await connection.execute(statements.DELETE_PRODUCT, key)
            await _advance(connection, [change], more_products=-1)
            return Deletion(was_there=True, revision=change.revision)

        return await self._database.write(transaction, lambda done: self._on_commit(done.revision))

    async def _index_by_new_rules(self, connection: AsyncConnection) -> None:
        """Index all words anew if another version of the rules made them."""
        state = (await connection.execute(statements.STATE)).one()
        if state.text_rules == text.RULES_VERSION:
            return
        log.info("indexing words by new rules", products=state.product_count)
        await connection.execute(statements.DELETE_ALL_WORDS)
        after_key = 0
        while True:
            page = {"after_key": after_key}
            rows = (await connection.execute(statements.ACTIVE_PRODUCTS_AFTER_KEY, page)).all()
            if not rows:
                break
            await _insert_words(connection, [product_of(row).product for row in rows])
            after_key = rows[-1].key
        await connection.execute(statements.SET_TEXT_RULES, {"rules": text.RULES_VERSION})


async def _stored(
    connection: AsyncConnection, ids: Sequence[str]
) -> tuple[dict[str, int], dict[str, StoredProduct], int]:
    """Return the keys and products of the ids that are there, and the newest revision."""
    rows = (await connection.execute(statements.PRODUCTS_BY_ID, {"ids": json.dumps(ids)})).all()
    there = [row for row in rows if row.key is not None]
    keys = {row.id: row.key for row in there}
    return keys, {row.id: product_of(row) for row in there}, rows[0].revision


async def _apply(
    connection: AsyncConnection,
    plan: UpsertPlan,
    keys: Mapping[str, int],
    before: Mapping[str, StoredProduct],
) -> None:
    changed = [result for result in plan.results if result.outcome is not Outcome.UNCHANGED]
    await connection.execute(
        statements.UPSERT_PRODUCT, [row_of(result.stored) for result in changed]
    )
    # Most changes are of price and stock, and leave the words alone.
    reworded = [
        result.stored.product
        for result in changed
        if result.outcome is Outcome.CREATED
        or _worded(result.stored.product) != _worded(before[result.stored.product.id].product)
    ]
    stale = [{"product_key": keys[product.id]} for product in reworded if product.id in keys]
    if stale:
        await connection.execute(statements.DELETE_WORDS, stale)
    await _insert_words(connection, [product for product in reworded if product.active])
    created = sum(result.outcome is Outcome.CREATED for result in changed)
    await _advance(connection, plan.changes, more_products=created)


def _worded(product: Product) -> tuple[object, ...]:
    """Return all that `words_of` reads, and whether the words are to be found."""
    texts = (product.name, product.brand, product.category, product.description)
    return (*texts, product.attributes, product.active)


async def _insert_words(connection: AsyncConnection, products: Sequence[Product]) -> None:
    rows = [
        {"product_id": product.id, **text.words_of(product)._asdict()}
        async for product in paced(products)
    ]
    if rows:
        await connection.execute(statements.INSERT_WORDS, rows)


async def _advance(
    connection: AsyncConnection, changes: Sequence[Change], *, more_products: int
) -> None:
    """Write the changes, and the newest revision with them."""
    await connection.execute(
        statements.INSERT_CHANGE,
        [
            {
                "revision": change.revision,
                "product_id": change.product_id,
                "kind": change.kind.value,
                "category_before": change.category_before,
                "category_after": change.category_after,
            }
            for change in changes
        ],
    )
    await connection.execute(
        statements.ADVANCE,
        {"new_revision": changes[-1].revision, "more_products": more_products},
    )


def _all_of(terms: Sequence[Term]) -> str:
    """Return the FTS5 query for products that hold every term."""
    return " AND ".join(
        f'("{term.word}" OR ({_quoted(term.parts, " AND ")}))' if term.parts else f'"{term.word}"'
        for term in terms
    )


def _any_of(terms: Sequence[Term]) -> str:
    """Return the FTS5 query for products that hold any word of the terms."""
    return _quoted([word for term in terms for word in (term.word, *term.parts)], " OR ")


def _quoted(words: Sequence[str], operator: str) -> str:
    # Words are letters and digits only, so quotes keep every syntax of FTS5 out.
    return operator.join(f'"{word}"' for word in dict.fromkeys(words))


def _joined(
    with_all: list[tuple[str, float]], with_any: list[tuple[str, float]]
) -> list[tuple[str, float]]:
    """Return the products with all terms, then the others, scaled not to score above them."""
    known = {product_id for product_id, _ in with_all}
    others = [hit for hit in with_any if hit[0] not in known]
    if not with_all or not others:
        return with_all + others
    scale = min(1.0, with_all[-1][1] / others[0][1])
    return with_all + [(product_id, score * scale) for product_id, score in others]
