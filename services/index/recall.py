"""How many of the rows that are truly nearest the searches find."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import fmean, median

import numpy as np

from services.common.filters import Node
from services.index.categories import FIRST
from services.index.engines.protocol import Engine
from services.index.model import Matrix, Strategy, moved
from services.index.policy import GraphPolicy
from services.index.snapshot import Snapshot

# How far a stored vector is moved towards another one, so that it is a query.
_TOWARDS_ANOTHER = 0.5
# Rows whose cosines differ by less are equally near: float16 rounds by as much.
_TIE = 1e-3


class CheckCancelled(Exception):
    """Nobody waits for the result any more."""


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the k nearest that was found: the mean over the queries, and the worst."""

    recall: float
    k: int
    queries: int
    worst: float
    measured_at: datetime


@dataclass(frozen=True, slots=True)
class CheckedRecall:
    """Recall, how most searches were carried out, and the medians of their times."""

    recall: Recall
    strategy: Strategy
    vectors: int
    passing: int
    search_ms: float
    scan_ms: float


def sampled_queries(snapshot: Snapshot, count: int, seed: int) -> Matrix:
    """Return queries that lie between stored active rows; none if there are no such rows."""
    rng = np.random.default_rng(seed)
    active = np.flatnonzero(snapshot.codes.read(slice(0, snapshot.slots)) >= FIRST)
    if not len(active):
        return np.empty((0, snapshot.recent.shape[1]), dtype=np.float32)
    vectors = snapshot.gather(rng.choice(active, count))
    others = snapshot.gather(rng.choice(active, count))
    return np.stack(
        [
            moved(vector, other[np.newaxis], _TOWARDS_ANOTHER)
            for vector, other in zip(vectors, others, strict=True)
        ]
    )


def check_recall(
    snapshot: Snapshot,
    engine: Engine,
    policy: GraphPolicy,
    queries: Matrix,
    k: int,
    passing: Node | None,
    is_cancelled: Callable[[], bool],
) -> CheckedRecall:
    """Search with each query and scan beside it; blocks. CheckCancelled when it is.

    What is as near as the k-th counts as found, whichever of such rows it is. Where
    nothing passes, nothing is missed.
    """
    shares: list[float] = []
    strategies: Counter[Strategy] = Counter()
    search_seconds: list[float] = []
    scan_seconds: list[float] = []
    for query in queries:
        if is_cancelled():
            raise CheckCancelled
        started = time.perf_counter()
        found = snapshot.nearest(engine, policy, query, k, passing)
        searched = time.perf_counter()
        exact = snapshot.scan(engine, query, k, passing)
        scan_seconds.append(time.perf_counter() - searched)
        search_seconds.append(searched - started)
        strategies[found.strategy] += 1
        shares.append(_share_of(exact.cosines, found.cosines))
    (strategy, _), *_ = strategies.most_common(1) or [(Strategy.EXACT, 0)]
    return CheckedRecall(
        recall=Recall(
            recall=fmean(shares) if shares else 1.0,
            k=k,
            queries=len(queries),
            worst=min(shares, default=1.0),
            measured_at=datetime.now(UTC),
        ),
        strategy=strategy,
        vectors=snapshot.vectors,
        passing=snapshot.passing(passing).passing,
        search_ms=_median_ms(search_seconds),
        scan_ms=_median_ms(scan_seconds),
    )


def _share_of(nearest: Sequence[float] | Matrix, found: Sequence[float] | Matrix) -> float:
    if not len(nearest):
        return 1.0
    is_near_enough = np.asarray(found) >= nearest[-1] - _TIE
    return min(1.0, int(np.count_nonzero(is_near_enough)) / len(nearest))


def _median_ms(seconds: Sequence[float]) -> float:
    return median(seconds) * 1000 if seconds else 0.0
