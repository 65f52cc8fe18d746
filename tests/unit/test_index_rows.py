"""Rows in memory against a dict: whatever happens, what is found is what is there."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.common.categories import is_within
from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import GraphParameters
from services.index.graphs import build_graph
from services.index.model import Batch, Columns, Strategy, Vector
from services.index.policy import GraphPolicy
from services.index.rows import BuiltGraph, Rows
from services.index.snapshot import Snapshot

DIMENSIONS = 6
CATEGORIES = ["", "A", "A > B", "A > B > C", "AB", "D"]
PARAMETERS = GraphParameters(links=8, ef_construction=40)
# Scans always: what is found is then exact.
SCANNING = GraphPolicy(parameters=PARAMETERS)
ENGINE = FaissEngine()
ENGINE.prepare_thread()


@dataclass
class Known:
    vector: Vector
    category: str
    is_active: bool


def columns(id_: str, known: Known) -> Columns:
    return Columns(id_, b"", known.category, "", None, None, known.is_active, 1)


def random_vector(seed: int) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def expected(known: dict[str, Known], query: Vector, path: str) -> dict[str, float]:
    return {
        id_: float(row.vector @ query)
        for id_, row in known.items()
        if row.is_active and is_within(row.category, path)
    }


def check(snapshot: Snapshot, known: dict[str, Known], query: Vector, path: str) -> None:
    """Compare one search for everything, and one for a few, with the dict."""
    cosines = expected(known, query, path)
    found = snapshot.search(ENGINE, SCANNING, query, 1000, path)
    assert {hit.product_id for hit in found.hits} == set(cosines)
    assert len(found.hits) == len(cosines) == found.passing
    assert found.vectors == len(known)
    for hit in found.hits:
        assert hit.cosine == pytest.approx(cosines[hit.product_id], abs=2e-3)
    assert [hit.cosine for hit in found.hits] == sorted(
        (h.cosine for h in found.hits), reverse=True
    )
    few = snapshot.search(ENGINE, SCANNING, query, 3, path)
    assert [hit.cosine for hit in few.hits] == [hit.cosine for hit in found.hits[:3]]


ALL_IDS = [f"p{n}" for n in range(30)]
ids = st.sampled_from(ALL_IDS)
paths = st.sampled_from(CATEGORIES)
seeds = st.integers(0, 2**32)


class RowsAndDict(RuleBasedStateMachine):
    """Batches, builds that take their time, and searches that hold an old snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows(DIMENSIONS, "one")
        self.known: dict[str, Known] = {}
        self.vector_ids = 0
        self.revision = 0
        self.building: BuiltGraph | None = None
        self.held: tuple[Snapshot, dict[str, Known]] | None = None

    @rule(
        upserts=st.dictionaries(ids, st.tuples(seeds, paths, st.booleans()), max_size=12),
        moves=st.dictionaries(ids, st.tuples(paths, st.booleans()), max_size=6),
        removals=st.sets(ids, max_size=6),
    )
    def apply(
        self,
        upserts: dict[str, tuple[int, str, bool]],
        moves: dict[str, tuple[str, bool]],
        removals: set[str],
    ) -> None:
        self.apply_changes(upserts, moves, removals)

    def apply_changes(
        self,
        upserts: dict[str, tuple[int, str, bool]],
        moves: dict[str, tuple[str, bool]],
        removals: set[str],
    ) -> None:
        moved = {id_: move for id_, move in moves.items() if id_ not in upserts}
        removed = removals - set(upserts) - set(moved)
        known = dict(self.known)
        for id_ in removed:
            known.pop(id_, None)
        for id_, (path, is_active) in moved.items():
            if id_ in known:
                known[id_] = Known(known[id_].vector, path, is_active)
        for id_, (seed, path, is_active) in upserts.items():
            known[id_] = Known(random_vector(seed), path, is_active)
        self.revision += 1
        first = self.vector_ids + 1
        self.vector_ids += len(upserts)
        self.rows.apply(
            Batch(
                revision=self.revision,
                catalog_id="x",
                is_at_head=True,
                embedded=[(columns(id_, known[id_]), known[id_].vector) for id_ in upserts],
                retained=[
                    columns(id_, Known(random_vector(0), path, is_active))
                    for id_, (path, is_active) in moved.items()
                ],
                removed=list(removed),
            ),
            np.arange(first, self.vector_ids + 1),
        )
        self.known = known

    @rule()
    def begin_build(self) -> None:
        snapshot = self.rows.snapshot
        slots = snapshot.alive_slots()
        vector_ids = self.rows.vector_ids_of(slots)
        self.building = build_graph(ENGINE, PARAMETERS, snapshot, slots, vector_ids, lambda: False)

    @precondition(lambda self: self.building is not None)
    @rule()
    def end_build(self) -> None:
        assert self.building is not None
        self.rows.install(self.building)
        self.building = None

    @rule()
    def build_at_once(self) -> None:
        self.begin_build()
        self.end_build()

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove_what_is_there(self, data: st.DataObject) -> None:
        self.apply_changes({}, {}, data.draw(st.sets(st.sampled_from(sorted(self.known)))))

    @rule()
    def compact(self) -> None:
        self.rows.compact()
        self.building = None

    @rule()
    def hold_a_snapshot(self) -> None:
        self.held = (self.rows.snapshot, self.known)

    @rule(id_=ids, path=paths)
    def similar(self, id_: str, path: str) -> None:
        slot = self.rows.slot_of(id_)
        if slot is None:
            return
        snapshot = self.rows.snapshot
        vector = snapshot.vector(slot)
        assert vector == pytest.approx(self.known[id_].vector, abs=1e-3)
        found = snapshot.search(ENGINE, SCANNING, vector, 1000, path, without_slot=slot)
        assert {hit.product_id for hit in found.hits} == set(expected(self.known, vector, path)) - {
            id_
        }

    @rule(seed=seeds, path=paths)
    def search(self, seed: int, path: str) -> None:
        check(self.rows.snapshot, self.known, random_vector(seed), path)
        check(self.rows.snapshot, self.known, random_vector(seed), "")

    @invariant()
    def a_running_search_sees_its_own_snapshot(self) -> None:
        if self.held is not None:
            snapshot, known = self.held
            # without the masks of the searches before, so that the columns are read again
            check(replace(snapshot, _masks={}), known, random_vector(7), "A")

    @invariant()
    def dead_rows_are_counted(self) -> None:
        snapshot = self.rows.snapshot
        alive = snapshot.alive_slots()
        in_graph = int(np.count_nonzero(alive < snapshot.graph_rows))
        assert self.rows.dead_graph_rows == snapshot.graph_rows - in_graph
        assert len(alive) == snapshot.vectors == len(self.known)
        for id_ in ALL_IDS:
            assert (self.rows.slot_of(id_) is not None) == (id_ in self.known)
        assert len(set(self.rows.vector_ids_of(alive).tolist())) == len(alive)


TestRowsAndDict = RowsAndDict.TestCase
TestRowsAndDict.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)


def filled(count: int, *, category: str = "A", seed: int = 1) -> Rows:
    """Return rows in a graph, clustered as products are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, count // 50), 32)).astype(np.float32)
    vectors = centres[rng.integers(0, len(centres), count)] + 0.5 * rng.standard_normal(
        (count, 32)
    ).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = Rows(32, "one")
    rare = set(range(0, count, 100))
    rows.apply(
        Batch(
            revision=1,
            catalog_id="x",
            is_at_head=True,
            embedded=[
                (columns(f"p{n}", Known(v, "Rare" if n in rare else category, True)), v)
                for n, v in enumerate(vectors)
            ],
        ),
        np.arange(1, count + 1),
    )
    snapshot = rows.snapshot
    slots = snapshot.alive_slots()
    built = build_graph(
        ENGINE, GraphParameters(), snapshot, slots, rows.vector_ids_of(slots), lambda: False
    )
    rows.install(built)
    return rows


def test_a_large_collection_is_searched_by_its_graph_with_a_good_recall() -> None:
    snapshot = filled(9000).snapshot
    policy = GraphPolicy()
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(50):
        query = snapshot.vector(int(rng.integers(9000)))
        query = query + 0.1 * rng.standard_normal(32).astype(np.float32)
        query /= np.linalg.norm(query)
        found = snapshot.search(ENGINE, policy, query, 10, "")
        assert found.strategy is Strategy.GRAPH
        exact = snapshot.search(ENGINE, GraphPolicy(ef_search=10_000), query, 10, "")
        assert exact.strategy is Strategy.EXACT
        hits += len({hit.product_id for hit in found.hits} & {h.product_id for h in exact.hits})
    assert hits / 500 >= 0.97


def test_few_rows_that_pass_are_compared_one_by_one() -> None:
    snapshot = filled(6000).snapshot
    found = snapshot.search(ENGINE, GraphPolicy(), snapshot.vector(5), 100, "Rare")
    assert (found.strategy, found.passing, len(found.hits)) == (Strategy.EXACT, 60, 60)


class Careless(GraphPolicy):
    """Walks, no matter what passes, with the shortest view."""

    def ef(self, *, count: int, graph_rows: int, passing_rows: int) -> int | None:
        return 1


def test_a_walk_that_finds_too_few_is_made_good_by_a_scan() -> None:
    snapshot = filled(6000).snapshot
    found = snapshot.search(ENGINE, Careless(), snapshot.vector(5), 60, "Rare")
    assert (found.strategy, len(found.hits)) == (Strategy.EXACT, 60)


def test_a_graph_whose_rows_are_gone_finds_what_came_after() -> None:
    rows = filled(300)
    late = Known(random_vector(1).repeat(6)[:32], "A", True)
    vector = late.vector / np.linalg.norm(late.vector)
    rows.apply(
        Batch(
            revision=2,
            catalog_id="x",
            is_at_head=True,
            embedded=[(columns("late", late), vector.astype(np.float32))],
            removed=[f"p{n}" for n in range(300)],
        ),
        np.array([301]),
    )
    found = rows.snapshot.search(ENGINE, GraphPolicy(), vector, 10, "")
    assert [hit.product_id for hit in found.hits] == ["late"]
    assert rows.dead_graph_rows == 300
