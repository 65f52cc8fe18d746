"""How much the drawn vectors are like the real ones: as many of both, side by side."""

from collections.abc import Sequence
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.scale.drawing import Drawing
from benchmarks.scale.figures import Likeness
from benchmarks.scale.real_shop import RealShop
from services.index.model import Matrix

faiss: Any = _faiss

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_K = 10
# Neighbours that tell the intrinsic dimension.
_AROUND = 20
_SAMPLE = 4000
_LINKS, _EF_CONSTRUCTION = 32, 80
_EFS = (16, 32, 64, 128)


def likenesses(shop: RealShop) -> list[Likeness]:
    """Compare cosines of neighbours, the intrinsic dimension, and recall in a plain graph.

    The intrinsic dimension is that of E. Levina, P. Bickel, "Maximum likelihood
    estimation of intrinsic dimension", 2004, with 20 neighbours.
    """
    numbers = np.arange(len(shop.vectors))
    drawn = Drawing(shop.vectors, shop.neighbours).draw(numbers, np.zeros_like(numbers))
    sides = (_Side(shop.vectors, shop.query_vectors), _Side(drawn, shop.query_vectors))

    def compared(name: str, read: Any) -> Likeness:
        real, of_drawn = (list(map(float, read(side))) for side in sides)
        return Likeness(name, real, of_drawn)

    made = [
        compared("product to nearest product, cosine", lambda side: side.cosines(1)),
        compared(f"product to {_K}th product, cosine", lambda side: side.cosines(_K)),
        compared("intrinsic dimension around a product", lambda side: side.dimensions),
        compared("query to nearest product, cosine", lambda side: side.query_cosines(1)),
        compared(f"query to {_K}th product, cosine", lambda side: side.query_cosines(_K)),
        compared("share of variance in the first 10, 50, 100 of the principal components, %",
                 lambda side: side.variance),
    ]  # fmt: skip
    recalls = [side.recalls for side in sides]
    for ef, real, of_drawn in zip(_EFS, *recalls, strict=True):
        made.append(Likeness(f"recall@{_K} of queries in a graph, ef {ef}", [real], [of_drawn]))
    return made


class _Side:
    def __init__(self, vectors: Matrix, queries: Matrix) -> None:
        self._vectors = vectors
        self._queries = queries
        self._flat = faiss.IndexFlatIP(vectors.shape[1])
        self._flat.add(vectors)
        sample = vectors[:_SAMPLE]
        around = min(_AROUND, len(vectors) - 1)
        self._cosines = self._flat.search(sample, around + 1)[0][:, 1:]
        self._of_queries, self._nearest = self._flat.search(queries, _K)

    def cosines(self, place: int) -> NDArray[np.float64]:
        """Quantiles of the cosine to the neighbour at a place."""
        found: NDArray[np.float64] = np.quantile(self._cosines[:, place - 1], QUANTILES)
        return found

    def query_cosines(self, place: int) -> NDArray[np.float64]:
        """Quantiles of the cosine between a query and the product at a place."""
        found: NDArray[np.float64] = np.quantile(self._of_queries[:, place - 1], QUANTILES)
        return found

    @property
    def dimensions(self) -> NDArray[np.float64]:
        """Quantiles of the intrinsic dimension, of products without a twin."""
        distances = np.sqrt(np.maximum(2 - 2 * self._cosines.astype(np.float64), 0))
        distances = distances[distances[:, 0] > 1e-3]
        ratios = np.log(distances[:, -1:] / distances[:, :-1]).mean(axis=1)
        found: NDArray[np.float64] = np.quantile(1 / ratios[ratios > 0], QUANTILES)
        return found

    @property
    def variance(self) -> list[float]:
        """Per cent of the variance that the first principal components have."""
        variances = np.linalg.eigvalsh(np.cov(self._vectors.T))[::-1]
        return [100 * variances[:count].sum() / variances.sum() for count in (10, 50, 100)]

    @property
    def recalls(self) -> Sequence[float]:
        """Recall at each ef."""
        graph = faiss.IndexHNSWFlat(self._vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = _EF_CONSTRUCTION
        graph.add(self._vectors)
        return [self._recall(graph, ef) for ef in _EFS]

    def _recall(self, graph: Any, ef: int) -> float:
        parameters = faiss.SearchParametersHNSW(efSearch=ef)
        _, found = graph.search(self._queries, _K, params=parameters)
        pairs = zip(found, self._nearest, strict=True)
        return float(np.mean([np.isin(wanted, got).mean() for got, wanted in pairs]))
