"""What the gateway needs of the other services. Failures are errors of services.common.errors."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.common import filters
from services.gateway.answers import Highlights, Plan, Product
from services.gateway.candidates import Arranged, VectorHits, WordHits
from services.gateway.validity import CategoryChange


@dataclass(frozen=True)
class QueryVector:
    """A vector of length 1, packed float32 little-endian, and its space."""

    space: str
    vector: bytes


@dataclass(frozen=True)
class Marking:
    """The query whose words are to be marked in products, and whether it is taken literally."""

    query: str
    literal: bool


@dataclass(frozen=True)
class Hydrated:
    """Products in the order asked for, without those that are gone; marks for each if wanted."""

    products: Sequence[Product]
    highlights: Sequence[Highlights | None]
    # What they reflect at least.
    revision: int


@dataclass(frozen=True)
class ProductPage:
    """Some products; the last page has no token of a next one."""

    products: Sequence[Product]
    next_page_token: str
    # What they reflect at least.
    revision: int


@dataclass(frozen=True)
class Space:
    """A space of the embedder."""

    id: str
    provider: str
    model: str
    dimensions: int
    is_working: bool


@dataclass(frozen=True)
class Recall:
    """How many of the k truly nearest searches found: mean and worst of the queries, 0 to 1."""

    recall: float
    k: int
    queries: int
    worst: float
    # Aware of its zone.
    measured_at: datetime


@dataclass(frozen=True)
class CheckedRecall:
    """Recall measured in a space; medians of the searches and of the exact scans."""

    space: str
    recall: Recall
    # How most of the searches were carried out.
    plan: Plan
    search_ms: float
    scan_ms: float


@dataclass(frozen=True)
class Collection:
    """A collection of the index. Revisions are the catalog's."""

    space: str
    is_ready: bool
    applied_revision: int
    head_revision: int
    vectors: int
    graph_vectors: int
    memory_bytes: int
    stalled_by: str
    embedded_documents: int
    unchanged_documents: int
    truncated_documents: int
    # Left to do until it reflects the head; the seconds are -1 where nothing is known of them.
    pending_documents: int = 0
    pending_tokens: int = 0
    pending_seconds: float = 0.0
    embedded_tokens: int = 0
    # Whether the embedder has the space.
    is_followed: bool = True
    is_pinned: bool = False
    # Of its graph as it was last built; None: none was measured yet.
    recall: Recall | None = None


@dataclass(frozen=True)
class Reached:
    """What a collection of the index reflects, and its space."""

    revision: int
    space: str


@dataclass(frozen=True)
class CatalogState:
    """What the catalog holds."""

    catalog_id: str
    revision: int
    product_count: int


@dataclass(frozen=True)
class Watched:
    """A piece of the catalog's feed."""

    catalog_id: str
    head_revision: int
    changes: Sequence[CategoryChange]


class HealthChecked(Protocol):
    """A process with the standard health service."""

    async def is_serving(self, timeout_seconds: float) -> bool:
        """Tell what it says; raise Unavailable or DeadlineExceeded if it says nothing."""


class Embedder(HealthChecked, Protocol):
    """Text to vectors."""

    async def embed_query(
        self, text: str, spaces: Sequence[str], timeout_seconds: float
    ) -> QueryVector:
        """Return the vector in the first of the spaces that works in time."""

    async def list_spaces(self, timeout_seconds: float) -> Sequence[Space]:
        """Return all spaces, the most preferred first."""


class Index(HealthChecked, Protocol):
    """Nearest products."""

    async def search(
        self,
        query: QueryVector,
        *,
        limit: int,
        filter_text: str,
        min_revision: int,
        timeout_seconds: float,
        feedback_products: int = 0,
    ) -> VectorHits:
        """Return the nearest active products, the nearest first.

        With feedback the vector is moved towards so many of the nearest before.
        """

    async def similar(
        self,
        product_id: str,
        spaces: Sequence[str],
        *,
        unlike: Sequence[str],
        limit: int,
        filter_text: str,
        min_revision: int,
        timeout_seconds: float,
    ) -> VectorHits:
        """Return the products nearest to a product and away from others, without these."""

    async def vectors(
        self, space: str, ids: Sequence[str], timeout_seconds: float
    ) -> NDArray[np.float32]:
        """Return a row of length 1 for each product; zeros for one without a vector."""

    async def wait_for_revision(
        self, spaces: Sequence[str], min_revision: int, timeout_seconds: float
    ) -> Reached:
        """Return when the first of the spaces whose collection is ready reflects a revision.

        DeadlineExceeded (REVISION_NOT_REACHED) has the "revision" that it reflects.
        """

    async def check_recall(
        self,
        space: str,
        *,
        vectors: bytes,
        sample: int,
        limit: int,
        filter_text: str,
        timeout_seconds: float,
    ) -> CheckedRecall:
        """Measure recall at `limit` with these vectors, or with a sample of stored ones.

        Vectors are packed as in QueryVector, one after the other; 0 leaves a number to the index.
        FailedPrecondition (SPACE_MISMATCH, COLLECTION_NOT_READY).
        """

    async def list_collections(self, timeout_seconds: float) -> Sequence[Collection]:
        """Return all collections."""

    async def use_space(self, space: str, timeout_seconds: float) -> None:
        """Pin the space that searches prefer, for all; none if empty.

        FailedPrecondition (SPACE_MISMATCH, COLLECTION_NOT_READY) if it cannot answer.
        """

    async def drop_collection(
        self, space: str, *, allow_missing: bool, timeout_seconds: float
    ) -> int:
        """Drop the collection of a space and return the bytes freed.

        NotFound (SPACE_NOT_FOUND), FailedPrecondition (SPACE_IN_USE).
        """


class Catalog(HealthChecked, Protocol):
    """Products and their changes."""

    async def search_text(
        self,
        text: str,
        *,
        limit: int,
        filter_text: str,
        literal: bool,
        order_by: str,
        timeout_seconds: float,
    ) -> WordHits:
        """Return the active products that match by words, the best first or in an order.

        With a limit of 0 only what is said of the query itself.
        """

    def passes(self, product: Product, condition: filters.Node) -> bool:
        """Tell whether a product that `get_products` returned passes."""

    async def get_products(self, ids: Sequence[str], timeout_seconds: float) -> Sequence[Product]:
        """Return the active ones among these, in the same order."""

    async def hydrate(
        self, ids: Sequence[str], marking: Marking | None, timeout_seconds: float
    ) -> Hydrated:
        """Return the active ones among these, in the same order, and what is to be marked."""

    def packed(self, product: Product) -> bytes:
        """Return a product as bytes, to keep it."""

    def unpacked(self, packed: bytes) -> Product:
        """Return what `packed` took."""

    async def list_products(
        self, page_token: str, page_size: int, timeout_seconds: float
    ) -> ProductPage:
        """Return some products, active or not; the first page without a token."""

    async def arrange(
        self,
        ids: Sequence[str],
        *,
        filter_text: str,
        order_by: str = "",
        facet_texts: Sequence[str] = (),
        conditions: Sequence[str] = (),
        timeout_seconds: float,
    ) -> Arranged:
        """Tell of candidates which are there and pass; order and count them."""

    async def record_queries(self, counts: Mapping[str, int], timeout_seconds: float) -> None:
        """Add to how often queries were asked."""

    async def invalidate(self, category: str, timeout_seconds: float) -> int:
        """Have cached answers of a category, or all, computed anew everywhere.

        Return the revision that says so; InvalidArgument (category).
        """

    async def get_state(self, timeout_seconds: float) -> CatalogState:
        """Return what the catalog holds."""

    def watch(self, after_revision: int) -> AsyncIterator[Watched]:
        """Yield the feed after a revision, for ever; raise when it breaks."""
