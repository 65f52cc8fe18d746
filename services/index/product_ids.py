"""Ids of products by position, in little memory."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.int64]

_HASH_MASK = 0xFFFF_FFFF


class ProductIds:
    """Ids that stay: one text of all of them, and their hashes in order.

    With ids of ten letters some 25 bytes each; a list and a dict of texts take 150.
    """

    def __init__(self, text: str, ends: NDArray[np.uint32], hashes: NDArray[np.uint32]) -> None:
        """`ends` and `hashes` are by position."""
        self._text = text
        self._ends = ends
        order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[order]
        self._positions = order.astype(np.uint32)

    @classmethod
    def of(cls, ids: Sequence[str]) -> "ProductIds":
        """Return ids in their order."""
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        return cls("".join(ids), np.cumsum(lengths).astype(np.uint32), hashes_of(ids))

    @classmethod
    def joined(cls, parts: Sequence["ProductIds"]) -> "ProductIds":
        """Return the ids of all parts, one after the other."""
        starts = np.cumsum([0, *(len(part._text) for part in parts)])
        ends = [part._ends + np.uint32(start) for part, start in zip(parts, starts, strict=False)]
        return cls(
            "".join(part._text for part in parts),
            np.concatenate(ends),
            np.concatenate([part._hashes_by_position() for part in parts]),
        )

    def __len__(self) -> int:
        """Return how many ids there are."""
        return len(self._ends)

    @property
    def memory_bytes(self) -> int:
        """Memory of all of it, if each letter takes a byte."""
        arrays = self._ends.nbytes + self._hashes.nbytes + self._positions.nbytes
        return len(self._text) + arrays

    def at(self, positions: Positions) -> list[str]:
        """Return the ids at positions."""
        ends = self._ends[positions].tolist()
        starts = np.where(positions > 0, self._ends[positions - 1], 0).tolist()
        text = self._text
        return [text[start:end] for start, end in zip(starts, ends, strict=True)]

    def taken(self, positions: Positions) -> "ProductIds":
        """Return the ids at positions, as an object of their own."""
        return ProductIds.of(self.at(positions))

    def find(self, ids: Sequence[str]) -> tuple[Positions, Positions]:
        """Return where ids are: their places in what is given, and their positions here.

        An id that is here twice is found twice, one that is not here never.
        """
        hashes = hashes_of(ids)
        firsts = np.searchsorted(self._hashes, hashes, side="left")
        lasts = np.searchsorted(self._hashes, hashes, side="right")
        places: list[int] = []
        positions: list[int] = []
        for place in np.flatnonzero(firsts < lasts).tolist():
            same_hash = self._positions[firsts[place] : lasts[place]].astype(np.int64)
            for position, found in zip(same_hash.tolist(), self.at(same_hash), strict=True):
                if found == ids[place]:
                    places.append(place)
                    positions.append(position)
        return np.array(places, dtype=np.int64), np.array(positions, dtype=np.int64)

    def _hashes_by_position(self) -> NDArray[np.uint32]:
        hashes = np.empty_like(self._hashes)
        hashes[self._positions] = self._hashes
        return hashes


class ProductIdsByPosition:
    """Takes ids as they are read, in order of their positions; the others are empty."""

    def __init__(self, rows: int) -> None:
        self._texts: list[str] = []
        self._lengths = np.zeros(rows, dtype=np.int64)
        self._hashes = np.zeros(rows, dtype=np.uint32)

    def put(self, positions: Positions, ids: Sequence[str]) -> None:
        """Set ids, behind those that were set before."""
        self._texts.append("".join(ids))
        self._lengths[positions] = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        self._hashes[positions] = hashes_of(ids)

    def ids(self, start: int, end: int) -> ProductIds:
        """Return the ids from one position to before another one."""
        text = "".join(self._texts)
        ends = np.concatenate([[0], np.cumsum(self._lengths)])
        first = int(ends[start])
        return ProductIds(
            text[first : int(ends[end])],
            (ends[start + 1 : end + 1] - first).astype(np.uint32),
            self._hashes[start:end],
        )


def hashes_of(ids: Iterable[str]) -> NDArray[np.uint32]:
    """Return a hash for each id; it holds within this process only."""
    return np.array([hash(id_) & _HASH_MASK for id_ in ids], dtype=np.uint32)
