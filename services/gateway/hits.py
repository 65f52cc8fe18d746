"""Hits as columns: a query has hundreds of them, and a page explains ten."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from services.gateway.answers import Explanation, Hit

# The numbers of an explanation; its rules come after them.
SCORE, SEMANTIC_RANK, COSINE, LEXICAL_RANK, BM25, IS_EXACT, BY_WORDS, BY_MEANING, RANK = range(9)
NUMBERS = 9

Table = NDArray[np.float64]


class Hits(Sequence[Hit]):
    """Ids, the best first, with a row of numbers each; explanations without rules."""

    def __init__(self, ids: Sequence[str], table: Table) -> None:
        self.ids = ids
        # (hits, NUMBERS)
        self.table = table

    @classmethod
    def of(cls, ids: Sequence[str], columns: Mapping[int, NDArray[Any]]) -> "Hits":
        """Return hits with these columns; zeros elsewhere."""
        table = np.zeros((len(ids), NUMBERS))
        for number, column in columns.items():
            table[:, number] = column
        return cls(ids, table)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> "Hits": ...
    def __getitem__(self, place: int | slice) -> "Hit | Hits":
        if isinstance(place, slice):
            return Hits(self.ids[place], self.table[place])
        return self.ids[place], _explanation(self.table[place].tolist())

    def __iter__(self) -> Iterator[Hit]:
        return zip(self.ids, map(_explanation, self.table.tolist()), strict=True)


def columns_of(hits: Sequence[Hit]) -> tuple[Sequence[str], Table]:
    """Return the ids and the numbers of hits."""
    if isinstance(hits, Hits):
        return hits.ids, hits.table
    rows: Iterable[tuple[object, ...]] = (explanation[:NUMBERS] for _, explanation in hits)
    table = np.array(list(rows), dtype=np.float64).reshape(-1, NUMBERS)
    return [product_id for product_id, _ in hits], table


def _explanation(row: Sequence[float]) -> Explanation:
    score, semantic_rank, cosine, lexical_rank, bm25, is_exact, by_words, by_meaning, rank = row
    return Explanation(
        score,
        int(semantic_rank),
        cosine,
        int(lexical_rank),
        bm25,
        bool(is_exact),
        by_words,
        by_meaning,
        int(rank),
    )
