"""Vectors drawn as real ones lie.

Each synthetic product has an anchor, a real product, and a neighbourhood: the anchor and
its k nearest, with k out of 2, 4, ... 64 by chance. With m the mean of the neighbourhood,
n its vectors, and w normal numbers, the vector is, brought to length 1,

    m + sqrt(1 - h^2) (anchor - m) + h / sqrt(k) sum of w_j (n_j - m),    h = 0.8

a smoothed bootstrap that keeps the local covariance (B. W. Silverman, G. A. Young, "The
bootstrap: to smooth or not to smooth?", 1987), for a normal kernel whose shape is that of
the neighbourhood. Small neighbourhoods keep near duplicates, large ones fill the space
between, so that the nearest neighbours come closer with the number of products as they do
among the real ones. k and w come from a hash of the product's number and version alone.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtri

from benchmarks.scale.mixing import mixed, uniform
from services.index.model import Matrix

SMOOTHING = 0.8
_VERSIONS = 1 << 20
# How a product's text tells its number and version.
_CODE = re.compile(r"\bVT([0-9]+)R([0-9]+)\b")
_SIZE_STREAM, _NORMAL_STREAM = 1, 2

Integers = NDArray[np.int64]


def code_of(number: int, version: int) -> str:
    """Return what a product's name must hold, so that its text has its vector."""
    return f"VT{number}R{version}"


class Drawing:
    """Draws vectors around real ones; safe to use from several threads."""

    def __init__(self, vectors: Matrix, neighbours: NDArray[np.int32]) -> None:
        self._vectors = vectors
        self._rows = np.concatenate(
            [np.arange(len(vectors), dtype=np.int32)[:, np.newaxis], neighbours], axis=1
        )

    @property
    def anchors(self) -> int:
        """Real products."""
        return len(self._vectors)

    def vectors_of(self, texts: Sequence[str]) -> Matrix:
        """Return the vectors of texts; those without a code lie anywhere."""
        codes = [_code_in(text) for text in texts]
        numbers, versions = np.array(codes, dtype=np.int64).T
        return self.draw(numbers, versions)

    def draw(self, numbers: Integers, versions: Integers) -> Matrix:
        """Return a vector of length 1 for each product, as float32."""
        seeds = mixed(numbers * _VERSIONS + versions)
        largest = self._rows.shape[1] - 1
        sizes = 1 + mixed(seeds, _SIZE_STREAM) % np.uint64(np.log2(largest))
        k = (1 << sizes.astype(np.int64))[:, np.newaxis]
        is_used = np.arange(largest + 1) <= k
        weights = np.where(is_used, self._weights(seeds, k, is_used), np.float32(0))
        ends = np.concatenate([[0], np.cumsum(k[:, 0] + 1)])
        rows = self._rows[numbers % self.anchors]
        drawn: Matrix = (
            csr_array((weights[is_used], rows[is_used], ends), shape=(len(numbers), self.anchors))
            @ self._vectors
        )
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return drawn

    def _weights(
        self, seeds: NDArray[np.uint64], k: Integers, is_used: NDArray[np.bool_]
    ) -> Matrix:
        """Return how much the anchor and each neighbour count for, by the formula above."""
        normal = np.zeros(is_used.shape)
        drawn = is_used.copy()
        drawn[:, 0] = False  # the anchor's own difference is in its term already
        places = np.broadcast_to(np.arange(is_used.shape[1], dtype=np.uint64), is_used.shape)
        cells = (seeds[:, np.newaxis] + places)[drawn]
        normal[drawn] = ndtri(uniform(cells, _NORMAL_STREAM))
        kept = np.sqrt(1 - SMOOTHING**2)
        spread = SMOOTHING / np.sqrt(k)
        of_mean = (1 - kept - spread * normal.sum(axis=1, keepdims=True)) / (k + 1)
        weights = of_mean + spread * normal
        weights[:, 0] += kept
        made: Matrix = weights.astype(np.float32)
        return made


def _code_in(text: str) -> tuple[int, int]:
    found = _CODE.findall(text)
    if found:
        number, version = found[-1]
        return int(number), int(version)
    digest = blake2b(text.encode(), digest_size=5).digest()
    return int.from_bytes(digest, "big"), 0
