"""The truth about nearest products: every vector compared."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.rows import Row

# Many products have the same text, so the tenth place is often shared, and cosines
# computed in another order differ in the last bits.
_TIE = 1e-5

Vectors = NDArray[np.float32]


class ExactSearch:
    """All products of a catalog, with vectors of length 1."""

    def __init__(self, rows: Sequence[Row], vectors: Vectors) -> None:
        self._vectors = vectors
        self._places = {row.id: place for place, row in enumerate(rows)}
        self._prices = np.array([row.price for row in rows])

    def passing(self, below_price: float | None) -> float:
        """Return the share of the products that are cheaper."""
        return 1.0 if below_price is None else float((self._prices < below_price).mean())

    def recall(
        self, found: Sequence[str], vector: Vectors, k: int, below_price: float | None
    ) -> float:
        """Return how much of the k nearest was found, 0 to 1; a tie with the last counts."""
        cosines = self._vectors @ vector
        if below_price is not None:
            cosines = np.where(self._prices < below_price, cosines, -np.inf)
        best = np.partition(cosines, -k)[-k:]
        wanted = int(np.isfinite(best).sum())
        if not wanted:
            return 1.0
        last = best[np.isfinite(best)].min() - _TIE
        hits = sum(cosines[self._places[each]] >= last for each in set(found))
        return min(1.0, float(hits) / wanted)


def price_bounds(rows: Sequence[Row], shares: Mapping[str, float]) -> dict[str, float]:
    """Return the prices below which so many of the products are, as nearly as prices allow."""
    prices = np.sort([row.price for row in rows])
    bounds = np.unique(prices)
    below = np.searchsorted(prices, bounds) / len(prices)
    return {name: float(bounds[np.argmin(np.abs(below - share))]) for name, share in shares.items()}
