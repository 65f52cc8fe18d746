"""What the index reads, keeps and answers."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Matrix = NDArray[np.float32]

# How far from 1 the length of a vector may be.
UNIT_TOLERANCE = 1e-3


# How far a vector is moved by others, beside its own weight of 1: towards those that are
# nearest to it, and away from those that are unlike.
FEEDBACK_WEIGHT = 0.5
UNLIKE_WEIGHT = -0.5


def moved(vector: Vector, others: Matrix, weight: float) -> Vector:
    """Return unit(vector + weight * mean(others)); without others, the vector.

    The relevance feedback of J. J. Rocchio, "Relevance feedback in information
    retrieval", in The SMART Retrieval System, 1971. All are unit vectors, and
    the weight is between -1 and 1: the sum is never zero.
    """
    if not len(others):
        return vector
    result: Vector = vector + weight * np.mean(others, axis=0, dtype=np.float32)
    return result / np.linalg.norm(result)


@dataclass(frozen=True, slots=True)
class Space:
    """A space of the embedder. The template is part of what its id is the fingerprint of."""

    id: str
    dimensions: int
    document_template: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product, as far as texts and filters need it."""

    id: str
    name: str
    description: str
    category: str
    brand: str
    # In 1/10,000 of the currency's unit: exact. None: no price.
    price_e4: int | None
    # None: not tracked.
    stock: int | None
    attributes: Mapping[str, str | float | bool]
    is_active: bool
    revision: int


class ChangeKind(Enum):
    """What a revision of the catalog is about."""

    UPSERT = "a product that is new or changed"
    REMOVAL = "a product that is gone"
    TUNING = "how the catalog searches; no product, so nothing for the index"
    INVALIDATION = "what is cached elsewhere; no product, so nothing for the index"


@dataclass(frozen=True, slots=True)
class Change:
    """One revision of the catalog.

    An upsert without a product was superseded: a later change of the feed
    carries the product, or its removal.
    """

    revision: int
    kind: ChangeKind
    # Empty where there is no product.
    product_id: str = ""
    product: Product | None = None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Changes in order of revision, none if the follower has everything."""

    changes: Sequence[Change]
    head_revision: int
    catalog_id: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """An answer of the embedder, not checked yet. `vectors` is little-endian float32."""

    space: str
    dimensions: int
    vectors: bytes
    truncated_texts: int


@dataclass(frozen=True, slots=True)
class Columns:
    """A product's row without its vector."""

    product_id: str
    text_hash: bytes
    category: str
    brand: str
    price_e4: int | None
    stock: int | None
    is_active: bool
    revision: int
    attributes: Mapping[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """What one transaction applies. A product stands in one of the three lists, once."""

    # Up to this revision the collection then reflects the catalog.
    revision: int
    catalog_id: str
    is_at_head: bool
    # Rows with a new vector; they replace the product's row.
    embedded: Sequence[tuple[Columns, Vector]] = ()
    # Rows whose text, so whose vector, is as before; no matter if there is none.
    retained: Sequence[Columns] = ()
    removed: Sequence[str] = ()


class Strategy(Enum):
    """How a search was carried out."""

    EXACT = "every row that passes was compared"
    GRAPH = "the graph was walked, and the newest rows compared"
    SIFT = "of the rows that pass those with like signs were compared, and the newest"


@dataclass(frozen=True, slots=True)
class Found:
    """Hits, the nearest first, of the rows that were `passing` out of `vectors`.

    They are columns: the second product has the second cosine, -1 to 1.
    """

    product_ids: Sequence[str]
    cosines: Sequence[float]
    revision: int
    strategy: Strategy
    vectors: int
    passing: int


class Stall(Enum):
    """Why a collection does not get on."""

    NONE = ""
    CATALOG = "CATALOG_UNAVAILABLE"
    EMBEDDER = "EMBEDDER_UNAVAILABLE"
    SPACE = "SPACE_UNAVAILABLE"


class Feed(Protocol):
    """The catalog's changes."""

    def changes_after(self, revision: int) -> AsyncGenerator[ChangePage, None]:
        """Yield pages without end, in order and without gaps.

        Raises FailedPrecondition (REVISION_UNKNOWN) if the catalog is not that
        far; any other VitrinaError if it cannot be followed now.
        """
        ...


class Embedder(Protocol):
    """Text to vectors."""

    async def spaces(self) -> Sequence[Space]:
        """Return the embedder's spaces; VitrinaError if it cannot be asked now."""
        ...

    async def embed(
        self, space_id: str, texts: Sequence[str], *, timeout_seconds: float
    ) -> Embedding:
        """Embed 1 to 256 documents in this very space.

        Raises InvalidArgument (texts) if it will never embed them, Unavailable,
        Overloaded, DeadlineExceeded, FailedPrecondition (SPACE_UNKNOWN).
        """
        ...
