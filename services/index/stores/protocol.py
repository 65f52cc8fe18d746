"""What a collection needs of its durable state."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import compress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.index.model import Batch, Matrix, Space


class DamagedState(Exception):
    """What is stored cannot be read any more. The catalog can give it all again."""


class StateUnusable(Exception):
    """What is stored cannot be read or written now, as on a full disk. It may be later."""


@dataclass(frozen=True)
class StoredRows:
    """Some rows in order of their vector ids; the columns have equal lengths."""

    vector_ids: NDArray[np.int64]
    product_ids: Sequence[str]
    categories: Sequence[str]
    brands: Sequence[str]
    prices_e4: Sequence[int | None]
    stocks: Sequence[int | None]
    is_active: Sequence[bool]

    def taken(self, is_taken: NDArray[np.bool_]) -> "StoredRows":
        """Return some of the rows."""
        if is_taken.all():
            return self
        columns = (
            list(compress(getattr(self, column.name), is_taken))
            for column in fields(self)
            if column.name != "vector_ids"
        )
        return StoredRows(self.vector_ids[is_taken], *columns)


@dataclass(frozen=True, slots=True)
class AttributeValues:
    """Of one attribute, the values of rows that have it."""

    vector_ids: Sequence[int]
    values: Sequence[str | float | bool]


@dataclass(frozen=True)
class StoredState:
    """What a collection durably is."""

    space: Space
    # Names the rows: another one after all were dropped. Vector ids of one
    # incarnation are never used twice.
    incarnation: str
    catalog_id: str
    applied_revision: int
    has_been_ready: bool
    # The newest vector id ever given.
    last_vector_id: int


class StateStore(Protocol):
    """The durable state of one collection. Each method is one transaction.

    When it returns, its writes have reached the disk; if it raises, there are none.
    Each method raises DamagedState or StateUnusable where the storage fails it.
    """

    async def open(self) -> None:
        """Open it, empty if it is new. DamagedState if it cannot be read; it is closed then."""
        ...

    async def close(self) -> None:
        """Close it. It may be opened again."""
        ...

    async def move_aside(self) -> None:
        """Put the closed state where it is not found any more, but can be looked at."""
        ...

    async def state(self) -> StoredState:
        """Read all but the rows. DamagedState if it cannot be read."""
        ...

    def rows(self) -> AsyncIterator[StoredRows]:
        """Read the rows without vectors and attributes, part by part.

        Each part is a transaction of its own. DamagedState if one cannot be read.
        """
        ...

    async def vectors(self, vector_ids: NDArray[np.int64]) -> Matrix:
        """Read the vectors of rows, in the order given. DamagedState if one is not there."""
        ...

    def attributes(self, names: Collection[str]) -> AsyncIterator[Mapping[str, AttributeValues]]:
        """Read some attributes of all rows, by name; an iteration for each part of the rows.

        Each part is a transaction of its own. DamagedState if one cannot be read.
        """
        ...

    async def text_hashes(self, product_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Read the text hashes of those products that have a row."""
        ...

    async def apply(self, batch: Batch) -> NDArray[np.int64]:
        """Apply a batch; return the vector ids of its embedded rows, in order."""
        ...

    async def clear(self) -> str:
        """Drop all rows and all that is known of the catalog; return the new incarnation."""
        ...
