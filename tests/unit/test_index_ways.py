"""Which way a search takes through a graph that has landmarks, and what it finds."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from services.common.filters import parse
from services.index.engines import faiss
from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import GraphParameters
from services.index.model import Batch, Columns, Matrix, Strategy
from services.index.policy import GraphPolicy, Way
from services.index.rows import Rows
from services.index.snapshot import Snapshot
from tests.index_graph import put_into_graph

ROWS, DIMENSIONS = 4000, 32
ENGINE = FaissEngine()
ENGINE.prepare_thread()
# The cheapest quarter lies together, as cheap products do.
CHEAP = parse("stock < 1000")


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[Snapshot, Matrix]]:
    """Give rows in a graph that takes itself for a large one, and their vectors."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faiss, "_MIN_SAMPLED_ROWS", 1000)
        patch.setattr(faiss, "_SAMPLED_EACH", 8)
        patch.setattr(faiss, "_MIN_SIGNS", DIMENSIONS)
        rng = np.random.default_rng(1)
        vectors = rng.standard_normal((ROWS, DIMENSIONS)).astype(np.float32)
        vectors[:, 0] *= 4
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors[np.argsort(vectors[:, 0])]
        embedded = [
            (Columns(f"p{n}", b"", "", "", None, n, is_active=True, revision=1), vector)
            for n, vector in enumerate(vectors)
        ]
        rows = Rows(DIMENSIONS, "one")
        rows.apply(Batch(1, "x", is_at_head=True, embedded=embedded), np.arange(1, ROWS + 1))
        put_into_graph(ENGINE, rows)
        yield rows.snapshot, vectors


def queries(vectors: Matrix, near: slice) -> Matrix:
    """Return queries that lie beside some of the rows."""
    beside = vectors[near][::20]
    chance = np.random.default_rng(2).standard_normal(beside.shape).astype(np.float32)
    found: NDArray[np.float32] = beside + 0.1 * chance
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def searched(
    shop: tuple[Snapshot, Matrix], policy: GraphPolicy, asked: Matrix
) -> tuple[float, set[Strategy]]:
    """Return the recall of searches for ten cheap ones, and how they went."""
    snapshot, vectors = shop
    right, used = 0, set()
    for query in asked:
        found = snapshot.search(ENGINE, policy, query, 10, CHEAP)
        assert (found.passing, len(found.product_ids)) == (1000, 10)
        nearest = np.argsort(-(vectors[:1000] @ query))[:10]
        right += len({f"p{n}" for n in nearest.tolist()} & set(found.product_ids))
        used.add(found.strategy)
    return right / (10 * len(asked)), used


def test_where_what_passes_lies_around_the_query_the_graph_is_walked(
    shop: tuple[Snapshot, Matrix],
) -> None:
    asked = queries(shop[1], slice(0, 200))
    recall, used = searched(shop, GraphPolicy(ef_search=32), asked)
    assert used == {Strategy.GRAPH}
    assert recall >= 0.9


def test_where_it_lies_elsewhere_the_rows_that_pass_are_compared(
    shop: tuple[Snapshot, Matrix],
) -> None:
    asked = queries(shop[1], slice(ROWS - 200, ROWS))
    recall, used = searched(shop, GraphPolicy(ef_search=32), asked)
    assert used == {Strategy.EXACT}
    assert recall >= 0.99


@dataclass(frozen=True)
class Widening(GraphPolicy):
    """Is told the share, begins with a walk that sees next to nothing, and then sees much."""

    shares: list[float] = field(default_factory=list)

    def way(self, *, count: int, rows: int, passing_rows: int, share: float, can_sift: bool) -> Way:
        self.shares.append(share)
        # the first time it is asked if a walk comes into question
        return Way(Strategy.GRAPH, 9 if len(self.shares) <= 2 else 1500, enough=count)


def test_a_walk_that_has_too_few_in_view_is_followed_by_a_wider_one(
    shop: tuple[Snapshot, Matrix],
) -> None:
    for query in queries(shop[1], slice(1000, 1200)):
        policy = Widening()
        recall, used = searched(shop, policy, query[np.newaxis])
        assert used == {Strategy.GRAPH}
        assert recall >= 0.9
        first, around, *later = policy.shares
        assert first == 1.0
        assert 1 / 128 <= around < 1.0
        assert len(later) == 1
        assert 0 < later[0] <= around / 2


@dataclass(frozen=True)
class Sifting(GraphPolicy):
    """Keeps so many."""

    kept: int = 0

    def way(self, *, count: int, rows: int, passing_rows: int, share: float, can_sift: bool) -> Way:
        assert can_sift
        return Way(Strategy.SIFT, self.kept)


@pytest.mark.parametrize(
    ("kept", "strategy", "least"),
    [(10, Strategy.SIFT, 0.05), (999, Strategy.SIFT, 0.99), (1000, Strategy.EXACT, 0.99)],
)
def test_rows_that_were_sifted_are_not_said_to_be_exact(
    shop: tuple[Snapshot, Matrix], kept: int, strategy: Strategy, least: float
) -> None:
    recall, used = searched(shop, Sifting(kept=kept), queries(shop[1], slice(0, 200)))
    assert used == {strategy}
    assert recall >= least


def test_too_few_signs_are_not_sifted() -> None:
    vectors = np.eye(20, dtype=np.float32).repeat(600, axis=0)
    graph = ENGINE.build([vectors], 20, GraphParameters(), lambda: False)
    assert graph.landmarks(vectors[0]) is not None
    assert not graph.can_sift
