"""Products in one SQLite file, with their words in FTS5."""

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from services.catalog.holdings import Difference, Holdings
from services.catalog.migrations import migrate
from services.catalog.products import Product
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
    reading,
    statements,
    suggesting,
    wording,
    writing,
)
from services.catalog.stores.database import Database, driver_of
from services.catalog.stores.inspection import Inspection
from services.catalog.stores.learning import Learner
from services.catalog.stores.mending import WordsMender
from services.catalog.stores.searching import Searches
from services.catalog.stores.tables import product_of
from services.catalog.stores.writing import HeldChange
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
        weights = ", ".join(f"{weight:g}" for weight in text_weights)
        self._searches = Searches(f"bm25(words, {weights})")
        self._holdings = Holdings()
        self._learner = Learner(self._database, self._holdings)
        self._inspection = Inspection(path, self._database)
        self._popular = PopularQueries()
        self._on_commit = on_commit
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._database)
            await self._database.write(migrate)
            await opening.enter_async_context(self._mender.of(self._database))
            await self._database.write(
                lambda connection: wording.index_by_rules(connection, self._text_rules)
            )
            self._popular = await popular.loaded(self._database)
            state = await self.state()
            await opening.enter_async_context(self._learner)
            await opening.enter_async_context(self._inspection)
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
        asked = json.dumps(ids)

        def statement(connection: Connection) -> Products:
            rows = statements.PRODUCTS_BY_ID.rows(driver_of(connection), ids=asked)
            # The newest revision and the key stand before the product.
            there = [product_of(row) for row in rows if row[1] is not None]
            return Products(there, rows[0][0])

        return await self._database.read_once(statement)

    async def page(self, after_id: str, category: str, limit: int) -> ProductPage:
        """Return up to `limit` products with greater ids, of a category or of all."""
        asked = {"after_id": after_id, "limit": limit, "max_bytes": MAX_PAGE_BYTES}
        return await self._database.read_once(
            lambda connection: reading.product_page(connection, asked, category)
        )

    async def category_counts(self) -> CategoryCounts:
        """Count the products of each category."""
        rows = await self._database.rows(statements.CATEGORY_COUNTS, {})
        counts = {category: count for _, category, count in rows if category is not None}
        return CategoryCounts(counts, rows[0].revision)

    async def changes_after(self, revision: int, *, with_products: bool) -> ChangePage:
        """Return a page of the changes after a revision."""
        asked = {
            "after_revision": revision,
            "limit": MAX_PAGE_CHANGES,
            "max_bytes": MAX_PAGE_BYTES,
        }
        return await self._database.read_once(
            lambda connection: reading.change_page(connection, asked, with_products=with_products)
        )

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
        rows = await self._database.read_once(
            lambda reader: reader.execute(statements.INDEXED_WORDS, asked).all()
        )
        return {word for (word,) in rows}

    async def search_text(
        self, query: TextQuery, passing: Node | None, limit: int, order: Sequence[OrderKey] = ()
    ) -> TextHits:
        """Return active products that pass, the best first or in an order."""
        if query.is_empty:
            return TextHits([], (await self.state()).revision)
        return await self._database.read(
            lambda connection: self._searches.found(connection, query, passing, order, limit)
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
        held = HeldChange(self._learner.has_learned)
        return await self._database.write(
            lambda connection: writing.upsert(connection, self._text_rules, products, now_us, held),
            lambda done: self._committed(done.revision, held.difference),
        )

    async def delete(self, product_id: str) -> Deletion:
        """Remove a product if it is there."""
        held = HeldChange(self._learner.has_learned)
        return await self._database.write(
            lambda connection: writing.delete(connection, product_id, held),
            lambda done: self._committed(done.revision, held.difference),
        )

    async def invalidate(self, category: str | None) -> int:
        """Take a revision that changes no product."""
        return await self._database.write(
            lambda connection: writing.invalidate(connection, category), self._on_commit
        )

    def _committed(self, revision: int, difference: Difference) -> None:
        self._holdings.apply(difference)
        self._on_commit(revision)
