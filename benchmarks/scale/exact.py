"""What is truly nearest: every product compared, with vectors as they were drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.scale.drawing import Drawing, Integers
from services.index.model import Matrix

_ROWS_PER_STEP = 8192


@dataclass(frozen=True)
class Truth:
    """By query, the k nearest products by number and their cosines, the nearest first."""

    numbers: Integers
    cosines: Matrix

    def share_of(self, query: int, found: Integers) -> float:
        """Return the share of a query's nearest that was found."""
        wanted = self.numbers[query][self.numbers[query] >= 0]
        return float(np.isin(wanted, found).mean()) if len(wanted) else 1.0


def nearest(
    drawing: Drawing,
    versions: Integers,
    queries: Matrix,
    masks: Sequence[NDArray[np.bool_] | None],
    k: int,
) -> list[Truth]:
    """Compare all products with all queries, once for each mask; -1 stands where too few pass."""
    shape = (len(queries), k)
    found = [
        Truth(np.full(shape, -1, dtype=np.int64), np.full(shape, -np.inf, dtype=np.float32))
        for _ in masks
    ]
    for start in range(0, len(versions), _ROWS_PER_STEP):
        numbers = np.arange(start, min(start + _ROWS_PER_STEP, len(versions)))
        cosines = queries @ drawing.draw(numbers, versions[numbers]).T
        for place, mask in enumerate(masks):
            passing = slice(None) if mask is None else mask[numbers]
            found[place] = _merged(found[place], numbers[passing], cosines[:, passing], k)
    return found


def _merged(before: Truth, numbers: Integers, cosines: Matrix, k: int) -> Truth:
    if cosines.shape[1] > k:
        best = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        cosines = np.take_along_axis(cosines, best, axis=1)
        all_numbers = numbers[best]
    else:
        all_numbers = np.broadcast_to(numbers, cosines.shape)
    cosines = np.concatenate([before.cosines, cosines], axis=1)
    all_numbers = np.concatenate([before.numbers, all_numbers], axis=1)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return Truth(
        np.take_along_axis(all_numbers, order, axis=1),
        np.take_along_axis(cosines, order, axis=1),
    )
