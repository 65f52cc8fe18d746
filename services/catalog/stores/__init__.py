"""Where products live: what every store does, whatever its technology."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from services.catalog.changes import Change, Upserted
from services.catalog.holdings import Holdings
from services.catalog.products import Product, StoredProduct
from services.catalog.suggesting.popular import PopularQueries, QueryCount
from services.catalog.text import Term, TextQuery, Vocabulary
from services.common.filters import Field, Node, Value
from services.common.ordering import OrderKey

# A page must fit in one message of 16 MiB. A single product may fill almost all of it.
MAX_PAGE_BYTES = 8 * 1024 * 1024
MAX_PAGE_CHANGES = 500


@dataclass(frozen=True, slots=True)
class CatalogState:
    """The newest revision, the number of products, and the catalog's name for itself."""

    revision: int
    product_count: int
    catalog_id: str


@dataclass(frozen=True, slots=True)
class Upserts:
    """A result for each product, in order, and the newest revision after the write."""

    results: list[Upserted]
    revision: int


@dataclass(frozen=True, slots=True)
class Deletion:
    """Whether the product was there, and the newest revision after the write."""

    was_there: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Products:
    """Products, and the newest revision at the time of the read."""

    products: list[StoredProduct]
    revision: int


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Products in the order of their ids, and whether more come after them."""

    products: list[StoredProduct]
    has_more: bool
    revision: int


@dataclass(frozen=True, slots=True)
class CategoryCounts:
    """Products in each category that has any, by its path."""

    counts: dict[str, int]
    revision: int


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes in order of revision, and the newest revision at the time of the read."""

    changes: list[Change]
    head_revision: int
    catalog_id: str


class TextHit(NamedTuple):
    """A product with its BM25, above zero."""

    product_id: str
    score: float


@dataclass(frozen=True, slots=True)
class TextHits:
    """Hits in their order, and the revision they reflect."""

    hits: list[TextHit]
    revision: int
    # So many of the first hits the query names by an identifier.
    exact_identifiers: int = 0
    # Some product holds all terms of the query.
    holds_all: bool = False
    # There are no hits beyond these.
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Candidates:
    """Products in their order, as columns, and the revision they reflect."""

    product_ids: Sequence[str]
    # For each field asked for: its value in each product, None or empty where there is none.
    values: Sequence[Sequence[Value | None]]
    # For each condition: whether it accepts each product.
    accepted: Sequence[Sequence[bool]]
    revision: int


@dataclass(frozen=True, slots=True)
class ProductName:
    """A product, as far as it is suggested."""

    product_id: str
    name: str


class Store(Protocol):
    """Keeps products, their changes, and the index of their words.

    Every call sees one state of the catalog. A write is one transaction: when
    it returns, it has reached the disk with its changes and its words; when
    its caller goes away, it is done wholly or not at all. Errors: Unavailable
    when the technology fails, Overloaded when too many calls wait for it.
    """

    async def state(self) -> CatalogState:
        """Return what the catalog holds."""
        ...

    async def upsert(self, products: Sequence[Product], now_us: int) -> Upserts:
        """Apply `plan_upserts`. Ids must be distinct."""
        ...

    async def delete(self, product_id: str) -> Deletion:
        """Remove a product if it is there."""
        ...

    async def invalidate(self, category: str | None) -> int:
        """Take a revision of the kind INVALIDATION for a category, or for everything; return it."""
        ...

    async def get(self, ids: Sequence[str]) -> Products:
        """Return those that are there, each once, in any order."""
        ...

    async def page(self, after_id: str, category: str, limit: int) -> ProductPage:
        """Return up to `limit` products with greater ids, by code point.

        Of a category and those below it; of all with an empty one. A page that
        would be above MAX_PAGE_BYTES is shorter, but never empty for that.
        """
        ...

    async def category_counts(self) -> CategoryCounts:
        """Count the products of each category."""
        ...

    async def changes_after(self, revision: int, *, with_products: bool) -> ChangePage:
        """Return up to MAX_PAGE_CHANGES changes after a revision, bound as `page` is."""
        ...

    @property
    def vocabulary(self) -> Vocabulary:
        """The words of the names, brands and categories of active products, not to be changed.

        It is that of the newest write that has returned.
        """
        ...

    @property
    def holdings(self) -> Holdings:
        """What active products hold, the vocabulary among it, not to be changed; as current."""
        ...

    @property
    def popular(self) -> PopularQueries:
        """What people search for, not to be changed; as current as the vocabulary."""
        ...

    async def record_queries(self, asked: Sequence[QueryCount], now_us: int) -> None:
        """Apply `PopularQueries.planned`. It takes no revision."""
        ...

    async def held_together(self, queries: Sequence[Sequence[Term]]) -> list[bool]:
        """Tell of each query, of one term or more, whether an active product holds all terms."""
        ...

    async def names_like(
        self, earlier: Sequence[Term], last: Term, beginnings: Sequence[str], limit: int
    ) -> list[ProductName]:
        """Return some active products that hold the terms in their name or brand.

        Instead of `last` they may hold a word with one of the beginnings. The work
        is bound by the limit, so they come in no order of merit.
        """
        ...

    async def indexed(self, words: Collection[str]) -> set[str]:
        """Return those of the folded words that an active product holds anywhere."""
        ...

    async def search_text(
        self, query: TextQuery, passing: Node | None, limit: int, order: Sequence[OrderKey] = ()
    ) -> TextHits:
        """Return active products that pass the filter and hold every phrase of the query.

        First those that bear an identifier of the query, if they are no more than
        MAX_PRODUCTS_OF_IDENTIFIER; then those that hold all terms, then those that
        hold some. Scores are above zero and never rise from one hit to the next.

        With an order, those that hold all terms come in it, the best first where it
        makes no difference; if there are none those that bear an identifier, or else
        those that hold some term. None of them counts as named.
        """
        ...

    async def candidates(
        self,
        ids: Sequence[str],
        passing: Node | None,
        order: Sequence[OrderKey],
        fields: Sequence[Field],
        conditions: Sequence[Node | None],
    ) -> Candidates:
        """Return those of distinct ids that are active products and pass the filter.

        In the order, and where it makes no difference as the ids are given.
        """
        ...
