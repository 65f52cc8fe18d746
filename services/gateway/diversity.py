"""Maximal marginal relevance (Carbonell and Goldstein, 1998): good, and unlike those above."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def diversified(
    scores: Sequence[float], vectors: NDArray[np.float32], diversity: float
) -> list[int]:
    """Return the order of results, as their positions.

    The next one is that with the most of (1 - diversity) x its score, on the line
    from 0 for the lowest to 1 for the highest, less diversity x the highest cosine
    to one chosen before. `vectors` has a row of length 1 for each; zeros are like
    nothing.
    """
    relevance = np.asarray(scores, dtype=np.float32)
    relevance = relevance - relevance.min(initial=np.inf)
    relevance /= relevance.max(initial=0.0) or 1.0
    relevance *= 1.0 - diversity
    likeness = np.zeros(len(relevance), dtype=np.float32)
    order: list[int] = []
    while len(order) < len(relevance):
        worth = relevance - diversity * likeness
        worth[order] = -np.inf
        best = int(np.argmax(worth))
        order.append(best)
        np.maximum(likeness, vectors @ vectors[best], out=likeness)
    return order
