"""What callers ask of the index, and what of it is refused."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from services.common import filters
from services.common.errors import FailedPrecondition, InvalidArgument
from services.index.collection import Collection
from services.index.model import UNIT_TOLERANCE, Found, Matrix, Vector
from services.index.recall import CheckedRecall

MAX_LIMIT = 1000
MAX_SPACES = 100
MAX_UNLIKE = 10
MAX_FEEDBACK = 50
MAX_VECTORS = 1000
MAX_CHECKED = 1000
MAX_CHECKED_LIMIT = 100
_CHECKED = 100
_CHECKED_LIMIT = 10


class CollectionsBySpace(Protocol):
    """The collections there are."""

    def find(self, space_id: str) -> Collection | None:
        """Return the collection of a space; None if there is none."""
        ...


class Queries:
    """Checks what is asked, and has the right collection answer it."""

    def __init__(self, collections: CollectionsBySpace) -> None:
        self._collections = collections

    async def search(
        self,
        space_id: str,
        vector: bytes,
        limit: int,
        filter_text: str,
        min_revision: int,
        *,
        feedback_products: int = 0,
    ) -> Found:
        """Find the active products nearest to a vector of little-endian float32."""
        _check_limit(limit)
        if not 0 <= feedback_products <= MAX_FEEDBACK:
            raise InvalidArgument(
                "feedback_products", f"{feedback_products} given, 0 to {MAX_FEEDBACK} allowed"
            )
        passing = filters.parse_canonical(filter_text)
        collection = self._collection_of([space_id])
        query = parse_vector(vector, collection.space.dimensions)
        return await collection.search(
            query,
            limit,
            passing,
            min_revision,
            feedback_products=feedback_products,
        )

    async def similar(
        self,
        space_ids: Sequence[str],
        product_id: str,
        unlike_ids: Sequence[str],
        limit: int,
        filter_text: str,
        min_revision: int,
    ) -> tuple[Found, str]:
        """Find the active products nearest to another one and away from those that are unlike.

        The first space that is ready answers.
        Returns the space's id too.
        """
        _check_limit(limit)
        if not product_id:
            raise InvalidArgument("product_id", "is required")
        _check_spaces(space_ids)
        if len(unlike_ids) > MAX_UNLIKE:
            raise InvalidArgument("unlike", f"{len(unlike_ids)} given, at most {MAX_UNLIKE}")
        if product_id in unlike_ids:
            raise InvalidArgument("unlike", "holds product_id itself")
        passing = filters.parse_canonical(filter_text)
        collection = self._collection_of(space_ids)
        unlike = list(dict.fromkeys(unlike_ids))
        found = await collection.similar(product_id, unlike, limit, passing, min_revision)
        return found, collection.space.id

    async def vectors(self, space_id: str, product_ids: Sequence[str]) -> tuple[Matrix, int]:
        """Return the products' vectors, a row each, and their revision.

        Zeros stand for a product that the collection does not hold.
        """
        if not 1 <= len(product_ids) <= MAX_VECTORS:
            raise InvalidArgument(
                "product_ids", f"{len(product_ids)} given, 1 to {MAX_VECTORS:,} allowed"
            )
        return await self._collection_of([space_id]).vectors(product_ids)

    async def check_recall(
        self, space_id: str, vectors: bytes, sample: int, limit: int, filter_text: str
    ) -> CheckedRecall:
        """Measure recall with vectors one after the other, or with a sample of stored ones.

        0 stands for a sample of 100, and for a limit of 10.
        """
        if not 0 <= sample <= MAX_CHECKED:
            raise InvalidArgument("sample", f"{sample} given, 0 to {MAX_CHECKED:,} allowed")
        if vectors and sample:
            raise InvalidArgument("sample", "is for checks without vectors")
        if not 0 <= limit <= MAX_CHECKED_LIMIT:
            raise InvalidArgument("limit", f"{limit} given, 0 to {MAX_CHECKED_LIMIT} allowed")
        passing = filters.parse_canonical(filter_text)
        collection = self._collection_of([space_id])
        queries = _parse_vectors(vectors, collection.space.dimensions) if vectors else None
        return await collection.check_recall(
            queries, sample or _CHECKED, limit or _CHECKED_LIMIT, passing
        )

    async def wait_for_revision(
        self, space_ids: Sequence[str], min_revision: int
    ) -> tuple[int, str]:
        """Return when the first space that is ready has applied a revision.

        Returns what it has applied then, and its id.
        """
        _check_spaces(space_ids)
        if min_revision < 0:
            raise InvalidArgument("min_revision", f"{min_revision} given, must be 0 or more")
        collection = self._collection_of(space_ids)
        await collection.arrivals.reach(min_revision)
        return collection.applied_revision, collection.space.id

    def _collection_of(self, space_ids: Sequence[str]) -> Collection:
        """Return the first that is ready, or the first that will be."""
        found = [self._collections.find(space_id) for space_id in space_ids]
        known = [collection for collection in found if collection is not None]
        if not known:
            raise FailedPrecondition(
                f"no collection of space {', '.join(space_ids)[:500]}", reason="SPACE_MISMATCH"
            )
        return next((collection for collection in known if collection.is_ready), known[0])


def _check_spaces(space_ids: Sequence[str]) -> None:
    if not 1 <= len(space_ids) <= MAX_SPACES:
        raise InvalidArgument("spaces", f"{len(space_ids)} given, 1 to {MAX_SPACES} allowed")


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgument("limit", f"{limit} given, 1 to {MAX_LIMIT:,} allowed")


def _parse_vectors(raw: bytes, dimensions: int) -> Matrix:
    size = 4 * dimensions
    if len(raw) % size or len(raw) > MAX_CHECKED * size:
        raise InvalidArgument(
            "vectors",
            f"{len(raw)} bytes given, {size} needed for each of up to {MAX_CHECKED:,} vectors",
        )
    parts = [raw[start : start + size] for start in range(0, len(raw), size)]
    return np.stack(
        [parse_vector(part, dimensions, f"vectors[{place}]") for place, part in enumerate(parts)]
    )


def parse_vector(raw: bytes, dimensions: int, field: str = "vector") -> Vector:
    """Return the vector; InvalidArgument unless it is finite, of length 1, and fits."""
    if len(raw) != 4 * dimensions:
        raise InvalidArgument(
            field, f"{len(raw)} bytes given, {4 * dimensions} needed for {dimensions} dimensions"
        )
    vector = np.frombuffer(raw, dtype="<f4").astype(np.float32)
    length = float(np.sqrt(np.dot(vector.astype(np.float64), vector.astype(np.float64))))
    if not np.isfinite(length):
        raise InvalidArgument(field, "has a number that is not finite")
    if abs(length - 1.0) > UNIT_TOLERANCE:
        raise InvalidArgument(field, f"has length {length:.4g}, not 1")
    return vector
