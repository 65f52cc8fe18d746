"""Recall as it is measured."""

import numpy as np
import pytest

from services.common.filters import parse
from services.index.engines.faiss import FaissEngine
from services.index.model import Batch, Columns, Strategy
from services.index.policy import GraphPolicy, Way
from services.index.recall import CheckCancelled, check_recall, sampled_queries
from services.index.rows import Rows
from services.index.snapshot import Snapshot
from tests.index_graph import put_into_graph

ENGINE = FaissEngine()
ENGINE.prepare_thread()


class Blind(GraphPolicy):
    """Walks as narrowly as can be, and is content with whatever is found."""

    def way(self, *, count: int, rows: int, passing_rows: int, share: float, can_sift: bool) -> Way:
        return Way(Strategy.GRAPH, 1, enough=0)


def snapshot_of(count: int, *, has_graph: bool = True, twins: bool = False) -> Snapshot:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((count, 16)).astype(np.float32)
    if twins:
        vectors[:] = vectors[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embedded = [
        (Columns(f"p{n}", b"", "A", "", None, n, n % 2 == 0, 1), vector)
        for n, vector in enumerate(vectors)
    ]
    rows = Rows(16, "one")
    rows.apply(Batch(1, "x", is_at_head=True, embedded=embedded), np.arange(1, count + 1))
    if has_graph:
        put_into_graph(ENGINE, rows)
    return rows.snapshot


def queries(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    found = np.random.default_rng(2).standard_normal((count, 16)).astype(np.float32)
    normed: np.ndarray[tuple[int, int], np.dtype[np.float32]] = found / np.linalg.norm(
        found, axis=1, keepdims=True
    )
    return normed


def test_a_scan_finds_all_and_says_that_it_was_one() -> None:
    snapshot = snapshot_of(500, has_graph=False)
    checked = check_recall(snapshot, ENGINE, GraphPolicy(), queries(5), 10, None, lambda: False)
    assert (checked.recall.recall, checked.recall.worst) == (1.0, 1.0)
    assert (checked.recall.k, checked.recall.queries) == (10, 5)
    assert (checked.strategy, checked.vectors, checked.passing) == (Strategy.EXACT, 500, 250)
    assert checked.search_ms > 0
    assert checked.scan_ms > 0


def test_what_a_walk_misses_is_counted() -> None:
    checked = check_recall(snapshot_of(500), ENGINE, Blind(), queries(5), 10, None, lambda: False)
    assert checked.strategy is Strategy.GRAPH
    assert 0.0 <= checked.recall.worst <= checked.recall.recall <= 0.1


def test_rows_that_are_equally_near_stand_for_one_another() -> None:
    snapshot = snapshot_of(3000, twins=True)
    policy = GraphPolicy(ef_search=16)
    assert check_recall(
        snapshot, ENGINE, policy, queries(3), 10, None, lambda: False
    ).recall.recall == pytest.approx(1.0)


def test_where_less_passes_than_is_asked_for_all_of_it_is_to_be_found() -> None:
    snapshot = snapshot_of(500)
    few = check_recall(
        snapshot, ENGINE, GraphPolicy(), queries(5), 10, parse("stock < 5"), lambda: False
    )
    assert (few.recall.recall, few.passing) == (1.0, 3)
    none = check_recall(
        snapshot, ENGINE, GraphPolicy(), queries(5), 10, parse("stock < 0"), lambda: False
    )
    assert (none.recall.recall, none.passing) == (1.0, 0)


def test_a_check_ends_when_nobody_waits_for_it() -> None:
    asked = iter([False, False, True])
    with pytest.raises(CheckCancelled):
        check_recall(
            snapshot_of(50), ENGINE, GraphPolicy(), queries(5), 10, None, lambda: next(asked)
        )


def test_sampled_queries_have_length_1_and_lie_on_no_product() -> None:
    snapshot = snapshot_of(500)
    sampled = sampled_queries(snapshot, 40, seed=3)
    assert np.linalg.norm(sampled, axis=1) == pytest.approx(np.ones(40), abs=1e-5)
    stored = snapshot.gather(np.arange(500))
    assert (sampled @ stored.T).max() < 0.999
    assert (sampled == sampled_queries(snapshot, 40, seed=3)).all()
    assert sampled_queries(snapshot_of(0), 40, seed=3).shape == (0, 16)
