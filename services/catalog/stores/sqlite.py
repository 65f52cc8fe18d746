"""Products in one SQLite file, with their words in FTS5."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

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
    TextHit,
    TextHits,
    Upserts,
    filtering,
    ranking,
    statements,
    wording,
)
from services.catalog.stores.database import Database
from services.catalog.stores.tables import product_of, row_of
from services.catalog.text import (
    MAX_PRODUCTS_OF_IDENTIFIER,
    Rules,
    TextQuery,
    Vocabulary,
    vocabulary_words,
)
from services.common.filters import Node
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
        text_rules: Rules | None = None,
    ) -> None:
        self._database = Database(path, readers=readers)
        self._bm25 = f"bm25({', '.join(f'{weight:g}' for weight in text_weights)})"
        self._text_rules = text_rules or Rules()
        self._vocabulary = Vocabulary()
        self._on_commit = on_commit
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._database)
            await self._database.write_sync(migrate)
            await self._database.write(
                lambda connection: wording.index_by_rules(connection, self._text_rules)
            )
            await self._learn_vocabulary()
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

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the names, brands and categories of active products."""
        return self._vocabulary

    async def indexed(self, words: Collection[str]) -> set[str]:
        """Return those of the folded words that an active product holds anywhere."""
        asked = {"asked": json.dumps(list(words))}
        return {word for (word,) in await self._database.rows(statements.INDEXED_WORDS, asked)}

    async def search_text(self, query: TextQuery, passing: Node | None, limit: int) -> TextHits:
        """Return active products that pass, the best first."""
        if query.is_empty:
            return TextHits([], (await self.state()).revision)
        condition, values = ("", {}) if passing is None else filtering.condition(passing)
        named = await self._named(query, condition, values) if query.identifiers else []
        statement = statements.search(condition)

        async def matching(match: str) -> TextHits:
            parameters = {"match": match, "weights": self._bm25, "limit": limit, **values}
            rows = await self._database.rows(statement, parameters)
            hits = [TextHit(row.id, row.score) for row in rows if row.id is not None]
            return TextHits(hits, rows[0].revision)

        return await ranking.ranked(query, named, matching, limit)

    async def _named(
        self, query: TextQuery, condition: str, values: Mapping[str, object]
    ) -> list[str]:
        parameters = {
            "identifiers": json.dumps(query.identifiers),
            "common": MAX_PRODUCTS_OF_IDENTIFIER + 1,
            "phrases": ranking.all_phrases(query),
            **values,
        }
        statement = statements.named(condition, has_phrases=bool(query.phrases))
        return [row.id for row in await self._database.rows(statement, parameters)]

    async def upsert(self, products: Sequence[Product], now_us: int) -> Upserts:
        """Apply `plan_upserts`."""
        words_changed: Counter[str] = Counter()

        async def transaction(connection: AsyncConnection) -> Upserts:
            keys, stored, revision = await _stored(connection, [product.id for product in products])
            plan = plan_upserts(products, stored, revision, now_us)
            if plan.changes:
                await self._apply(connection, plan, keys, stored, words_changed)
            return Upserts(plan.results, plan.revision)

        return await self._database.write(
            transaction, lambda done: self._committed(done.revision, words_changed)
        )

    async def delete(self, product_id: str) -> Deletion:
        """Remove a product if it is there."""
        words_changed: Counter[str] = Counter()

        async def transaction(connection: AsyncConnection) -> Deletion:
            keys, stored, revision = await _stored(connection, [product_id])
            if not stored:
                return Deletion(was_there=False, revision=revision)
            gone = stored[product_id].product
            words_changed.subtract(_vocabulary_words(gone))
            change = Change(revision + 1, ChangeKind.DELETE, product_id, gone.category, None)
            key = {"product_key": keys[product_id]}
            await wording.remove(connection, [key])
            await connection.execute(statements.DELETE_PRODUCT, key)
            await _advance(connection, [change], more_products=-1)
            return Deletion(was_there=True, revision=change.revision)

        return await self._database.write(
            transaction, lambda done: self._committed(done.revision, words_changed)
        )

    def _committed(self, revision: int, words_changed: Mapping[str, int]) -> None:
        self._vocabulary.change(words_changed)
        self._on_commit(revision)

    async def _learn_vocabulary(self) -> None:
        after_key = 0
        while True:
            page = {"after_key": after_key}
            rows = await self._database.rows(statements.VOCABULARY_AFTER_KEY, page)
            if not rows:
                return
            counts: Counter[str] = Counter()
            async for row in paced(rows):
                counts.update(vocabulary_words(row.name, row.brand, row.category))
            self._vocabulary.change(counts)
            after_key = rows[-1].key

    async def _apply(
        self,
        connection: AsyncConnection,
        plan: UpsertPlan,
        keys: Mapping[str, int],
        before: Mapping[str, StoredProduct],
        words_changed: Counter[str],
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
        await wording.remove(connection, stale)
        await wording.insert(connection, self._text_rules, reworded)
        async for product in paced(reworded):
            words_changed.update(_vocabulary_words(product))
            if product.id in before:
                words_changed.subtract(_vocabulary_words(before[product.id].product))
        created = sum(result.outcome is Outcome.CREATED for result in changed)
        await _advance(connection, plan.changes, more_products=created)


async def _stored(
    connection: AsyncConnection, ids: Sequence[str]
) -> tuple[dict[str, int], dict[str, StoredProduct], int]:
    """Return the keys and products of the ids that are there, and the newest revision."""
    rows = (await connection.execute(statements.PRODUCTS_BY_ID, {"ids": json.dumps(ids)})).all()
    there = [row for row in rows if row.key is not None]
    keys = {row.id: row.key for row in there}
    return keys, {row.id: product_of(row) for row in there}, rows[0].revision


def _worded(product: Product) -> tuple[object, ...]:
    """Return all that `words_of` reads, and whether the words are to be found."""
    texts = (product.name, product.brand, product.category, product.description)
    return (*texts, product.attributes, product.active)


def _vocabulary_words(product: Product) -> set[str]:
    if not product.active:
        return set()
    return vocabulary_words(product.name, product.brand, product.category)


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
