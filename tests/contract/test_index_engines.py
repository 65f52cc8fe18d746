"""What every engine keeps to, against NumPy."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.index.engines import faiss
from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import (
    Bits,
    BuildCancelled,
    Engine,
    Graph,
    GraphParameters,
    Positions,
    Scores,
)
from services.index.model import Matrix, Vector

ROWS, DIMENSIONS = 700, 24


def small_faiss(_: pytest.MonkeyPatch) -> Engine:
    return FaissEngine()


def large_faiss(patch: pytest.MonkeyPatch) -> Engine:
    """Return an engine to which some hundred rows are many."""
    patch.setattr(faiss, "_MIN_SAMPLED_ROWS", 100)
    patch.setattr(faiss, "_SAMPLED_EACH", 8)
    patch.setattr(faiss, "_MIN_SIGNS", 1)
    return FaissEngine()


@pytest.fixture(params=[small_faiss, large_faiss])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Engine:
    made: Engine = request.param(monkeypatch)
    made.prepare_thread()
    return made


@pytest.fixture
def rows() -> Matrix:
    vectors = np.random.default_rng(1).standard_normal((ROWS, DIMENSIONS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@pytest.fixture
def graph(engine: Engine, rows: Matrix) -> Graph:
    return engine.build([rows[:300], rows[300:]], DIMENSIONS, GraphParameters(), lambda: False)


def nearest(rows: Matrix, query: Matrix, count: int, passes: NDArray[np.bool_]) -> list[int]:
    scores = np.where(passes, rows @ query, -np.inf)
    order = np.argsort(-scores)[: min(count, int(passes.sum()))]
    return [int(position) for position in order]


def walked(
    graph: Graph, query: Vector, ef: int, passing: Bits | None = None
) -> tuple[Positions, Scores]:
    return graph.walk(query, 10, ef=ef, passing=passing, landmarks=graph.landmarks(query))


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("count", [1, 10, ROWS])
def test_scans_find_the_nearest_of_those_that_pass(
    engine: Engine, graph: Graph, rows: Matrix, fraction: float, count: int
) -> None:
    passes = np.random.default_rng(2).random(ROWS) < fraction
    bits = np.packbits(passes, bitorder="little")
    for query in rows[:5]:
        expected = nearest(rows, query, count, passes)
        positions, scores = engine.scan(rows, query, count, passing=bits)
        assert positions.tolist() == expected
        assert scores == pytest.approx(rows[expected] @ query, abs=1e-6)
        positions, scores = graph.scan(query, count, passing=bits)
        assert sorted(positions.tolist()) == sorted(expected) or count < ROWS
        assert scores == pytest.approx(rows[expected] @ query, abs=2e-3)
        assert all(passes[positions])


@pytest.mark.parametrize("count", [1, 10, 60])
def test_sifting_finds_the_nearest_out_of_some_positions(
    graph: Graph, rows: Matrix, count: int
) -> None:
    passes = np.random.default_rng(2).random(ROWS) < 0.2
    some = np.flatnonzero(passes).astype(np.int32)
    if not graph.can_sift:
        with pytest.raises(ValueError, match="signs"):
            graph.sift(rows[0], count, positions=some, kept=80)
        return
    right = 0
    for query in rows[:50]:
        positions, scores = graph.sift(query, count, positions=some, kept=max(80, 2 * count))
        assert set(positions.tolist()) <= set(some.tolist())
        assert scores == pytest.approx(rows[positions] @ query, abs=2e-3)
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)
        right += len(set(positions.tolist()) & set(nearest(rows, query, count, passes)))
    # there are only 24 signs here, of vectors that lie anywhere
    assert right >= 0.9 * 50 * count


def test_a_walk_sees_the_nearest_and_returns_those_that_pass(graph: Graph, rows: Matrix) -> None:
    passes = np.random.default_rng(2).random(ROWS) < 0.2
    everything = np.ones(ROWS, dtype=np.bool_)
    right = wanted = 0
    for query in rows[:50]:
        positions, scores = walked(graph, query, 200, np.packbits(passes, bitorder="little"))
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)
        in_view = [each for each in nearest(rows, query, 200, everything) if passes[each]]
        right += len(set(positions.tolist()) & set(in_view))
        wanted += len(in_view)
        assert all(passes[positions])
        assert len(positions) <= 200
    assert right >= 0.95 * wanted


def test_where_all_rows_pass_a_walk_returns_as_many_as_are_asked_for(
    graph: Graph, rows: Matrix
) -> None:
    right = 0
    everything = np.ones(ROWS, dtype=np.bool_)
    for query in rows[:50]:
        positions, scores = walked(graph, query, 200)
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)
        assert len(positions) == 10
        right += len(set(positions.tolist()) & set(nearest(rows, query, 10, everything)))
    assert right >= 480


def test_landmarks_are_the_nearest_of_a_sample(graph: Graph, rows: Matrix) -> None:
    is_small = graph.landmarks(rows[0]) is None
    for query in rows[1:50]:
        landmarks = graph.landmarks(query)
        assert (landmarks is None) is is_small
        if landmarks is not None:
            assert landmarks.scores == pytest.approx(rows[landmarks.positions] @ query, abs=2e-3)
            assert landmarks.scores.tolist() == sorted(landmarks.scores.tolist(), reverse=True)
            every_8th = np.arange(ROWS) % 8 == 0
            expected = nearest(rows, query, len(landmarks.positions), every_8th)
            assert len(set(landmarks.positions.tolist()) & set(expected)) >= 0.95 * len(expected)
            assert len(expected) > 50


def test_an_extended_graph_finds_the_rows_of_both_and_the_one_before_stays(
    engine: Engine, rows: Matrix
) -> None:
    before = engine.build([rows[:400]], DIMENSIONS, GraphParameters(), lambda: False)
    found = [walked(before, query, 64)[0].tolist() for query in rows[:20]]
    after = engine.build(
        [rows[400:]],
        DIMENSIONS,
        GraphParameters(),
        lambda: False,
        extended=before,
        added_rows=ROWS - 400,
    )
    again = [walked(before, query, 64)[0].tolist() for query in rows[:20]]
    assert (before.rows, after.rows, again) == (400, ROWS, found)
    assert after.vectors(np.arange(ROWS)) == pytest.approx(rows, abs=1e-3)
    every = np.ones(ROWS, dtype=np.bool_)
    right = sum(
        len(set(walked(after, query, 200)[0].tolist()) & set(nearest(rows, query, 10, every)))
        for query in rows
    )
    assert right >= 0.97 * 10 * ROWS


def test_rows_come_back_as_they_were_but_for_float16(graph: Graph, rows: Matrix) -> None:
    positions = np.array([699, 0, 300])
    assert graph.vectors(positions) == pytest.approx(rows[positions], abs=1e-3)
    assert graph.rows == ROWS
    assert graph.memory_bytes > ROWS * DIMENSIONS * 2


def test_a_saved_graph_answers_as_before(
    engine: Engine, graph: Graph, rows: Matrix, tmp_path: Path
) -> None:
    engine.save(graph, tmp_path / "graph")
    loaded = engine.load(tmp_path / "graph")
    for query in rows[:5]:
        before = walked(graph, query, 64)
        after = walked(loaded, query, 64)
        assert before[0].tolist() == after[0].tolist()
    assert loaded.vectors(np.array([3])) == pytest.approx(graph.vectors(np.array([3])))


def test_a_file_that_is_no_graph_is_an_error(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "graph").write_bytes(b"no graph")
    with pytest.raises(Exception, match=r".+"):
        engine.load(tmp_path / "graph")


def test_a_build_ends_when_it_is_told_to(engine: Engine, rows: Matrix) -> None:
    asked = iter([False, True])
    with pytest.raises(BuildCancelled):
        engine.build([rows], DIMENSIONS, GraphParameters(), lambda: next(asked))
