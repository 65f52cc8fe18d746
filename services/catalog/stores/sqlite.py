"""Products in one SQLite file, with their words in FTS5."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.changes import Change, ChangeKind, Outcome, UpsertPlan, plan_upserts
from services.catalog.holdings import Difference, Holdings
from services.catalog.migrations import migrate
from services.catalog.pacing import paced
from services.catalog.products import Product, StoredProduct
from services.catalog.stores import (
    MAX_PAGE_BYTES,
    MAX_PAGE_CHANGES,
    Candidates,
    CatalogState,
    CategoryCounts,
    ChangePage,
    Deletion,
    ProductName,
    ProductPage,
    Products,
    TextHits,
    Upserts,
    arranging,
    popular,
    revisions,
    searching,
    statements,
    suggesting,
    wording,
)
from services.catalog.stores.database import Database
from services.catalog.stores.mending import WordsMender
from services.catalog.stores.tables import product_of, row_of
from services.catalog.suggesting.popular import PopularQueries, QueryCount
from services.catalog.text import (
    Rules,
    Term,
    TextQuery,
    Vocabulary,
)
from services.common.filters import Field, Node
from services.common.ordering import OrderKey
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
        self._text_rules = text_rules or Rules()
        self._mender = WordsMender(self._text_rules)
        self._database = Database(path, readers=readers, on_damage=self._mender.look)
        self._bm25 = f"bm25({', '.join(f'{weight:g}' for weight in text_weights)})"
        self._holdings = Holdings()
        self._popular = PopularQueries()
        self._on_commit = on_commit
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._database)
            await self._database.write_sync(migrate)
            await opening.enter_async_context(self._mender.of(self._database))
            await self._database.write(
                lambda connection: wording.index_by_rules(connection, self._text_rules)
            )
            self._holdings = await suggesting.learned(self._database)
            self._popular = await popular.loaded(self._database)
            state = await self.state()
            self._on_commit(state.revision)
            log.info("store opened", revision=state.revision, products=state.product_count)
            self._exit = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    @property
    def database(self) -> Database:
        """The file, for what else is kept in it."""
        return self._database

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
        return self._holdings.vocabulary

    @property
    def holdings(self) -> Holdings:
        """What active products hold."""
        return self._holdings

    @property
    def popular(self) -> PopularQueries:
        """What people search for."""
        return self._popular

    async def record_queries(self, asked: Sequence[QueryCount], now_us: int) -> None:
        """Count queries."""
        await popular.record(self._database, self._popular, asked, now_us)

    async def held_together(self, queries: Sequence[Sequence[Term]]) -> list[bool]:
        """Tell of each query whether an active product holds all its terms."""
        return await suggesting.held_together(self._database, queries)

    async def names_like(
        self, earlier: Sequence[Term], last: Term, beginnings: Sequence[str], limit: int
    ) -> list[ProductName]:
        """Return some products that hold the terms in name or brand."""
        return await suggesting.names_like(self._database, earlier, last, beginnings, limit)

    async def indexed(self, words: Collection[str]) -> set[str]:
        """Return those of the folded words that an active product holds anywhere."""
        asked = {"asked": json.dumps(list(words))}
        return {word for (word,) in await self._database.rows(statements.INDEXED_WORDS, asked)}

    async def search_text(
        self, query: TextQuery, passing: Node | None, limit: int, order: Sequence[OrderKey] = ()
    ) -> TextHits:
        """Return active products that pass, the best first or in an order."""
        if query.is_empty:
            return TextHits([], (await self.state()).revision)
        return await self._database.read(
            lambda connection: searching.found(connection, query, passing, order, limit, self._bm25)
        )

    async def candidates(
        self,
        ids: Sequence[str],
        passing: Node | None,
        order: Sequence[OrderKey],
        fields: Sequence[Field],
        conditions: Sequence[Node | None],
    ) -> Candidates:
        """Return those of the ids that are active products and pass, as columns."""
        return await self._database.read(
            lambda connection: arranging.candidates(
                connection, ids, passing, order, fields, conditions
            )
        )

    async def upsert(self, products: Sequence[Product], now_us: int) -> Upserts:
        """Apply `plan_upserts`."""
        difference = Difference()

        async def transaction(connection: AsyncConnection) -> Upserts:
            keys, stored, revision = await _stored(connection, [product.id for product in products])
            plan = plan_upserts(products, stored, revision, now_us)
            if plan.changes:
                await self._apply(connection, plan, keys, stored, difference)
            return Upserts(plan.results, plan.revision)

        return await self._database.write(
            transaction, lambda done: self._committed(done.revision, difference)
        )

    async def delete(self, product_id: str) -> Deletion:
        """Remove a product if it is there."""
        difference = Difference()

        async def transaction(connection: AsyncConnection) -> Deletion:
            keys, stored, revision = await _stored(connection, [product_id])
            if not stored:
                return Deletion(was_there=False, revision=revision)
            gone = stored[product_id].product
            if gone.active:
                difference.count(gone, -1)
            change = Change(revision + 1, ChangeKind.DELETE, product_id, gone.category, None)
            key = {"product_key": keys[product_id]}
            await wording.remove(connection, [key])
            await connection.execute(statements.DELETE_PRODUCT, key)
            await revisions.advance(connection, [change], more_products=-1)
            return Deletion(was_there=True, revision=change.revision)

        return await self._database.write(
            transaction, lambda done: self._committed(done.revision, difference)
        )

    async def invalidate(self, category: str | None) -> int:
        """Take a revision that changes no product."""

        async def transaction(connection: AsyncConnection) -> int:
            revision = await connection.run_sync(revisions.newest) + 1
            change = Change(revision, ChangeKind.INVALIDATION, "", category, category)
            await revisions.advance(connection, [change])
            return revision

        return await self._database.write(transaction, self._on_commit)

    def _committed(self, revision: int, difference: Difference) -> None:
        self._holdings.apply(difference)
        self._on_commit(revision)

    async def _apply(
        self,
        connection: AsyncConnection,
        plan: UpsertPlan,
        keys: Mapping[str, int],
        before: Mapping[str, StoredProduct],
        difference: Difference,
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
            stale_product = before[product.id].product if product.id in before else None
            for counted, by in ((stale_product, -1), (product, 1)):
                if counted is not None and counted.active:
                    difference.count(counted, by)
        created = sum(result.outcome is Outcome.CREATED for result in changed)
        await revisions.advance(connection, plan.changes, more_products=created)


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
    return (*texts, product.attributes, product.language, product.active)
