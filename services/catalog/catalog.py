"""What the catalog does: reading, writing, following and finding products."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from services.catalog import arranging, feed, paging, searching
from services.catalog.changes import Upserted
from services.catalog.pacing import paced
from services.catalog.products import (
    Product,
    ProductDraft,
    StoredProduct,
    product_id,
    quoted,
)
from services.catalog.stores import (
    CatalogState,
    ChangePage,
    Products,
    Store,
)
from services.catalog.text import Highlights, Marker, Rules
from services.catalog.tuning import InForce
from services.common import categories, facets, filters, ordering
from services.common.errors import InvalidArgument, NotFound

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1_000
MAX_BATCH_PRODUCTS = 500
MAX_READ_IDS = 1_000
MAX_QUERY_CHARACTERS = 1_000
MAX_HITS = 1_000
MAX_CANDIDATES = 3_000


@dataclass(frozen=True, slots=True)
class BatchUpserts:
    """A result or an error for each product, and a revision that holds all that went in."""

    results: list[Upserted | InvalidArgument]
    revision: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of products; an empty token on the last one."""

    products: list[StoredProduct]
    next_page_token: str
    revision: int


@dataclass(frozen=True, slots=True)
class Category:
    """Products in the very category, and in it and all below it."""

    path: str
    product_count: int
    subtree_product_count: int


@dataclass(frozen=True, slots=True)
class Categories:
    """Categories in order of path, and the newest revision at the time of the read."""

    categories: list[Category]
    revision: int


def _within(field: str, number: int, at_most: int) -> int:
    if not 1 <= number <= at_most:
        raise InvalidArgument(field, f"{number}, must be 1 to {at_most}")
    return number


def _checked_query(field: str, query: str, at_most: int = MAX_QUERY_CHARACTERS) -> None:
    if not 1 <= len(query) <= at_most:
        raise InvalidArgument(field, f"{len(query)} characters, must be 1 to {at_most}")


class Catalog:
    """The operations on products. Arguments are checked here; see the contract for limits."""

    def __init__(
        self,
        store: Store,
        changes: feed.ChangeFeed,
        tuned: InForce,
        *,
        default_currency: str,
        text_rules: Rules,
    ) -> None:
        self._store = store
        self._changes = changes
        self._tuned = tuned
        self._default_currency = default_currency
        # Those that the store's words were made by.
        self._text_rules = text_rules

    async def get(self, id_text: str, min_revision: int) -> tuple[StoredProduct, int]:
        """Return a product and the newest revision, once that is `min_revision` or later.

        NotFound (PRODUCT_NOT_FOUND); see `ChangeFeed.reach` for a revision that does not come.
        """
        wanted = product_id(id_text)
        await self._changes.reach(min_revision)
        found = await self._store.get([wanted])
        if not found.products:
            raise _not_found(id_text)
        return found.products[0], found.revision

    async def list_page(self, page_size: int, page_token: str, category: str) -> Listing:
        """Return a page in the order of ids. A page size of 0 stands for the default."""
        limit = _within("page_size", page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        path = categories.parsed(category)
        after_id = paging.id_of_token(page_token, path) if page_token else ""
        page = await self._store.page(after_id, path, limit)
        token = paging.page_token(page.products[-1].product.id, path) if page.has_more else ""
        return Listing(page.products, token, page.revision)

    async def upsert(self, draft: ProductDraft) -> Upserted:
        """Create or replace a product. InvalidArgument names its field."""
        product = Product.parse(draft, self._default_currency)
        upserts = await self._store.upsert([product], _now_us())
        return upserts.results[0]

    async def batch_upsert(self, drafts: Sequence[ProductDraft]) -> BatchUpserts:
        """Upsert those that are valid in one transaction."""
        if not 1 <= len(drafts) <= MAX_BATCH_PRODUCTS:
            raise InvalidArgument(
                "products", f"{len(drafts)} given, must be 1 to {MAX_BATCH_PRODUCTS}"
            )
        parsed: list[Product | InvalidArgument] = []
        seen: set[str] = set()
        async for position, draft in paced(enumerate(drafts)):
            try:
                if draft.id in seen:
                    raise InvalidArgument("id", "comes twice", reason="DUPLICATE_ID")
                seen.add(draft.id)
                parsed.append(Product.parse(draft, self._default_currency))
            except InvalidArgument as error:
                parsed.append(error.within(f"products[{position}]"))
        upserts = await self._store.upsert(
            [product for product in parsed if isinstance(product, Product)], _now_us()
        )
        results = iter(upserts.results)
        return BatchUpserts(
            [next(results) if isinstance(entry, Product) else entry for entry in parsed],
            upserts.revision,
        )

    async def delete(self, id_text: str, *, allow_missing: bool) -> int:
        """Remove a product; return a revision that holds it. NotFound (PRODUCT_NOT_FOUND)."""
        deletion = await self._store.delete(product_id(id_text))
        if not deletion.was_there and not allow_missing:
            raise _not_found(id_text)
        return deletion.revision

    async def invalidate(self, category: str) -> int:
        """Take a revision by which caches forget a category and those below it; all with none."""
        return await self._store.invalidate(categories.parsed(category) or None)

    async def categories(self) -> Categories:
        """List every category that holds products, and its ancestors."""
        found = await self._store.category_counts()
        subtrees: dict[str, int] = {}
        for path, count in found.counts.items():
            for ancestor in categories.self_and_ancestors(path):
                subtrees[ancestor] = subtrees.get(ancestor, 0) + count
        return Categories(
            [
                Category(path, found.counts.get(path, 0), subtrees[path])
                # By names, so that what is below a category follows it directly.
                for path in sorted(subtrees, key=lambda path: path.split(categories.SEPARATOR))
            ],
            found.revision,
        )

    def watch(self, after_revision: int, *, with_products: bool) -> AsyncIterator[ChangePage]:
        """Follow the changes after a revision; see `feed.watch`."""
        return feed.watch(self._store, self._changes, after_revision, with_products=with_products)

    async def search_text(
        self, query: str, limit: int, filter_text: str, *, literal: bool, order_by: str = ""
    ) -> searching.TextAnswer:
        """Find active products by their words; see `searching.search`.

        With a limit of 0 only what is said of the query itself; see `searching.about`.
        """
        _checked_query("query", query)
        passing = filters.parse_canonical(filter_text)
        if not 0 <= limit <= MAX_HITS:
            raise InvalidArgument("limit", f"{limit}, must be 0 to {MAX_HITS}")
        # What a read sees may be newer than what memory knows of rules and synonyms.
        known_revision = self._changes.head_revision
        order = ordering.parse(order_by)
        known = (self._store, self._text_rules, self._tuned)
        if not limit:
            return searching.about(*known, query, known_revision)
        answer = await searching.search(*known, query, passing, limit, literal=literal, order=order)
        return replace(answer, revision=min(answer.revision, known_revision))

    async def get_active(self, ids: Sequence[str]) -> Products:
        """Return the active products among the ids, in their order."""
        if len(ids) > MAX_READ_IDS:
            raise InvalidArgument("ids", f"{len(ids)} given, at most {MAX_READ_IDS}")
        found = await self._store.get(ids)
        by_id = {entry.product.id: entry for entry in found.products if entry.product.active}
        return Products([by_id[id_text] for id_text in ids if id_text in by_id], found.revision)

    async def highlights(
        self, products: Sequence[StoredProduct], query: str, *, literal: bool
    ) -> list[Highlights]:
        """Mark in each product what a search for the query looks for; none for an empty one."""
        if not query:
            return []
        # A correction may be longer than what was typed.
        _checked_query("highlight_query", query, 2 * MAX_QUERY_CHARACTERS)
        looked_for = await searching.understood(
            self._store, self._text_rules, self._tuned, query, literal=literal
        )
        marker = Marker(looked_for, self._text_rules)
        return [
            marker.highlights(product.name, product.description, product.language)
            async for product in paced(stored.product for stored in products)
        ]

    async def arrange(
        self,
        product_ids: Sequence[str],
        filter_text: str,
        order_by: str,
        facet_texts: Sequence[str],
        condition_texts: Sequence[str],
    ) -> arranging.Arranged:
        """Order and count candidates; see `arranging.arranged`.

        Facets are counted by this filter, whether they ignore their own or not.
        """
        if len(product_ids) > MAX_CANDIDATES:
            raise InvalidArgument(
                "product_ids", f"{len(product_ids)} given, at most {MAX_CANDIDATES}"
            )
        if len(set(product_ids)) < len(product_ids):
            raise InvalidArgument("product_ids", "one comes twice")
        return await arranging.arranged(
            self._store,
            product_ids,
            filters.parse_canonical(filter_text),
            ordering.parse(order_by),
            facets.parse(facet_texts),
            arranging.conditions_of(condition_texts),
        )

    async def state(self) -> CatalogState:
        """Return what the catalog holds."""
        return await self._store.state()


def _not_found(id_text: str) -> NotFound:
    return NotFound(f"product {quoted(id_text)} is not there", reason="PRODUCT_NOT_FOUND")


def _now_us() -> int:
    return time.time_ns() // 1_000
