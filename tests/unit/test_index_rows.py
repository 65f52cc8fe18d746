"""Rows in memory against a dict: whatever happens, what is found is what is there."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.common.filters import Node, matches, parse
from services.index.attributes import AttributeColumn
from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import GraphParameters
from services.index.graphs import build_segment
from services.index.masks import attributes_of
from services.index.model import Batch, Columns, Strategy, Vector
from services.index.policy import GraphPolicy, Joining, Way
from services.index.rows import BuiltSegment, Rows
from services.index.segments import Segment
from services.index.snapshot import NO_SLOT, Snapshot
from tests.index_graph import put_into_graph

DIMENSIONS = 6
CATEGORIES = ["", "A", "A > B", "A > B > C", "AB", "D"]
PARAMETERS = GraphParameters(links=8, ef_construction=40)
# Scans always: what is found is then exact.
SCANNING = GraphPolicy(parameters=PARAMETERS)
ENGINE = FaissEngine()
ENGINE.prepare_thread()
FILTERS = [
    parse(text)
    for text in (
        "",
        'category = "A"',
        'category = "A > B" OR NOT category:*',
        'brand = "x" AND price < 2',
        'NOT brand:"X" OR stock >= 1',
        'NOT price = 1 AND attributes.color = "red"',
        "attributes.color:*",
        "attributes.size > 1 OR attributes.color = true",
        "NOT attributes.size <= 1",
    )
]
BY_NOTHING = None
RARE = parse('category = "Rare"')


@dataclass
class Content:
    """All of a product but its vector."""

    category: str = ""
    active: bool = True
    brand: str = ""
    price: Decimal | None = None
    stock: int | None = None
    attributes: dict[str, str | float | bool] = field(default_factory=dict)


@dataclass
class Known:
    vector: Vector
    content: Content


def columns(id_: str, content: Content) -> Columns:
    return Columns(
        id_,
        b"",
        content.category,
        content.brand,
        None if content.price is None else int(content.price * 10_000),
        content.stock,
        content.active,
        1,
        content.attributes,
    )


def random_vector(seed: int) -> Vector:
    vector = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return vector / np.linalg.norm(vector)


def vector_at(snapshot: Snapshot, slot: int) -> Vector:
    vector: Vector = snapshot.gather(np.array([slot]))[0]
    return vector


def expected(known: dict[str, Known], query: Vector, passing: Node | None) -> dict[str, float]:
    return {
        id_: float(row.vector @ query)
        for id_, row in known.items()
        if row.content.active and (passing is None or matches(passing, row.content))
    }


def check(snapshot: Snapshot, known: dict[str, Known], query: Vector, passing: Node | None) -> None:
    """Compare one search for everything, and one for a few, with the dict."""
    cosines = expected(known, query, passing)
    found = snapshot.search(ENGINE, SCANNING, query, 1000, passing)
    assert len(found.product_ids) == len(cosines) == found.passing
    assert found.vectors == len(known)
    assert dict(zip(found.product_ids, found.cosines, strict=True)) == pytest.approx(
        cosines, abs=2e-3
    )
    assert found.cosines == sorted(found.cosines, reverse=True)
    few = snapshot.search(ENGINE, SCANNING, query, 3, passing)
    assert few.cosines == found.cosines[:3]


def built(rows: Rows, joining: Joining) -> BuiltSegment:
    return build_segment(ENGINE, PARAMETERS, rows.snapshot, joining, lambda: False)


def without_masks(snapshot: Snapshot) -> Snapshot:
    segments = tuple(Segment(segment.graph, segment.ids) for segment in snapshot.segments)
    return replace(snapshot, segments=segments, _recent_parts={})


ALL_IDS = [f"p{n}" for n in range(30)]
ids = st.sampled_from(ALL_IDS)
filters = st.sampled_from(FILTERS)
contents = st.builds(
    Content,
    category=st.sampled_from(CATEGORIES),
    active=st.booleans(),
    brand=st.sampled_from(["", "x", "X", "y"]),
    price=st.sampled_from([None, Decimal(0), Decimal("1"), Decimal("1.9999"), Decimal(2)]),
    stock=st.sampled_from([None, 0, 1]),
    attributes=st.fixed_dictionaries(
        {},
        optional={
            "color": st.sampled_from(["red", "Red", "", True, False, 1.0]),
            "size": st.sampled_from([0.0, 1.0, 1.5, True, "2"]),
        },
    ),
)
seeds = st.integers(0, 2**32)


class RowsAndDict(RuleBasedStateMachine):
    """Batches, builds that take their time, and searches that hold an old snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = Rows(DIMENSIONS, "one")
        self.known: dict[str, Known] = {}
        self.vector_ids = 0
        # By product, the id of its vector.
        self.numbers: dict[str, int] = {}
        self.revision = 0
        self.building: list[BuiltSegment] = []
        self.held: tuple[Snapshot, dict[str, Known]] | None = None

    @rule(
        upserts=st.dictionaries(ids, st.tuples(seeds, contents), max_size=12),
        moves=st.dictionaries(ids, contents, max_size=6),
        removals=st.sets(ids, max_size=6),
    )
    def apply(
        self,
        upserts: dict[str, tuple[int, Content]],
        moves: dict[str, Content],
        removals: set[str],
    ) -> None:
        self.apply_changes(upserts, moves, removals)

    def apply_changes(
        self,
        upserts: dict[str, tuple[int, Content]],
        moves: dict[str, Content],
        removals: set[str],
    ) -> None:
        moved = {id_: move for id_, move in moves.items() if id_ not in upserts}
        removed = removals - set(upserts) - set(moved)
        known = dict(self.known)
        for id_ in removed:
            known.pop(id_, None)
        for id_, content in moved.items():
            if id_ in known:
                known[id_] = Known(known[id_].vector, content)
        for id_, (seed, content) in upserts.items():
            known[id_] = Known(random_vector(seed), content)
        self.revision += 1
        first = self.vector_ids + 1
        self.vector_ids += len(upserts)
        self.rows.apply(
            Batch(
                revision=self.revision,
                catalog_id="x",
                is_at_head=True,
                embedded=[(columns(id_, known[id_].content), known[id_].vector) for id_ in upserts],
                retained=[columns(id_, content) for id_, content in moved.items()],
                removed=list(removed),
            ),
            np.arange(first, self.vector_ids + 1),
        )
        self.known = known
        self.numbers = {id_: number for id_, number in self.numbers.items() if id_ in known}
        self.numbers.update(zip(upserts, range(first, self.vector_ids + 1), strict=True))

    @rule(data=st.data(), has_recent=st.booleans(), extends=st.booleans())
    def begin_build(self, data: st.DataObject, has_recent: bool, extends: bool) -> None:
        segments = len(self.rows.snapshot.segments)
        first = data.draw(st.integers(0, segments), label="first")
        end = segments if has_recent else data.draw(st.integers(first, segments), label="end")
        joining = Joining(first, end, has_recent, extends=extends and end > first)
        self.building.append(built(self.rows, joining))

    @precondition(lambda self: self.building)
    @rule(data=st.data())
    def end_build(self, data: st.DataObject) -> None:
        building = self.building.pop(data.draw(st.integers(0, len(self.building) - 1)))
        before = self.rows.snapshot
        if not self.rows.install(building):
            assert self.rows.snapshot is before

    @rule()
    def build_what_is_recent(self) -> None:
        segments = len(self.rows.snapshot.segments)
        joining = Joining(segments, segments, has_recent=True, extends=False)
        assert self.rows.install(built(self.rows, joining))

    @rule()
    def build_one_of_all(self) -> None:
        joining = Joining(0, len(self.rows.snapshot.segments), has_recent=True, extends=False)
        assert self.rows.install(built(self.rows, joining))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove_what_is_there(self, data: st.DataObject) -> None:
        self.apply_changes({}, {}, data.draw(st.sets(st.sampled_from(sorted(self.known)))))

    @rule()
    def compact(self) -> None:
        self.rows.compact()

    @rule()
    def hold_a_snapshot(self) -> None:
        self.held = (self.rows.snapshot, self.known)

    def slot_of(self, id_: str) -> int | None:
        slot = int(self.rows.slots_of([id_])[0])
        return None if slot == NO_SLOT else slot

    def name(self, passing: Node | None) -> Snapshot:
        """Have the columns of the filter's attributes; return the snapshot that has them."""
        names = attributes_of(passing)
        made = {}
        for name in names - self.rows.snapshot.columns.attributes.keys():
            ids = [id_ for id_, row in self.known.items() if name in row.content.attributes]
            slots = [slot for id_ in ids if (slot := self.slot_of(id_)) is not None]
            made[name] = AttributeColumn.gathered(
                self.rows.vector_ids,
                self.rows.vector_ids[slots],
                [self.known[id_].content.attributes[name] for id_ in ids],
            )
        self.rows.keep_attributes(made, names)
        return self.rows.snapshot

    @rule(id_=ids, passing=filters)
    def similar(self, id_: str, passing: Node | None) -> None:
        slot = self.slot_of(id_)
        if slot is None:
            return
        snapshot = self.name(passing)
        vector = vector_at(snapshot, slot)
        assert vector == pytest.approx(self.known[id_].vector, abs=1e-3)
        without = np.array([slot])
        found = snapshot.search(ENGINE, SCANNING, vector, 1000, passing, without_slots=without)
        cosines = expected(self.known, vector, passing)
        assert set(found.product_ids) == set(cosines) - {id_}

    @rule(measured=st.lists(ids, max_size=20))
    def gather(self, measured: list[str]) -> None:
        snapshot = self.rows.snapshot
        slots = self.rows.slots_of(measured)
        vectors = snapshot.gather(slots)
        for id_, vector in zip(measured, vectors, strict=True):
            held = self.known[id_].vector if id_ in self.known else np.zeros(DIMENSIONS)
            assert vector == pytest.approx(held, abs=1e-3)

    @rule(seed=seeds, passing=filters)
    def search(self, seed: int, passing: Node | None) -> None:
        check(self.name(passing), self.known, random_vector(seed), passing)
        check(self.rows.snapshot, self.known, random_vector(seed), BY_NOTHING)

    @invariant()
    def a_running_search_sees_its_own_snapshot(self) -> None:
        if self.held is not None:
            snapshot, known = self.held
            for passing in FILTERS:
                if attributes_of(passing) <= snapshot.columns.attributes.keys():
                    check(snapshot, known, random_vector(7), passing)
                    # and without the masks of the searches before: the columns are read again
                    check(without_masks(snapshot), known, random_vector(7), passing)

    @invariant()
    def dead_rows_are_counted(self) -> None:
        snapshot = self.rows.snapshot
        alive = snapshot.alive_slots()
        in_graph = int(np.count_nonzero(alive < snapshot.graph_rows))
        assert sum(self.rows.dead_rows) == snapshot.graph_rows - in_graph
        assert len(alive) == snapshot.vectors == len(self.known)
        for id_ in ALL_IDS:
            assert (self.slot_of(id_) is not None) == (id_ in self.known)
        assert self.rows.snapshot.ids_of(alive) == [
            id_ for id_, _ in sorted(self.numbers.items(), key=lambda item: item[1])
        ]
        assert self.rows.vector_ids[alive].tolist() == sorted(self.numbers.values())
        assert (np.diff(self.rows.vector_ids) > 0).all()


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
                (columns(f"p{n}", Content("Rare" if n in rare else category, stock=n)), v)
                for n, v in enumerate(vectors)
            ],
        ),
        np.arange(1, count + 1),
    )
    put_into_graph(ENGINE, rows)
    return rows


def test_a_large_collection_is_searched_by_its_graph_with_a_good_recall() -> None:
    snapshot = filled(9000).snapshot
    policy = GraphPolicy()
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(50):
        query = vector_at(snapshot, int(rng.integers(9000)))
        query = query + 0.1 * rng.standard_normal(32).astype(np.float32)
        query /= np.linalg.norm(query)
        found = snapshot.search(ENGINE, policy, query, 10, BY_NOTHING)
        assert found.strategy is Strategy.GRAPH
        exact = snapshot.search(ENGINE, GraphPolicy(ef_search=10_000), query, 10, BY_NOTHING)
        assert exact.strategy is Strategy.EXACT
        hits += len(set(found.product_ids) & set(exact.product_ids))
    assert hits / 500 >= 0.97


def test_few_rows_that_pass_are_compared_one_by_one() -> None:
    snapshot = filled(6000).snapshot
    found = snapshot.search(ENGINE, GraphPolicy(), vector_at(snapshot, 5), 100, RARE)
    assert (found.strategy, found.passing, len(found.product_ids)) == (Strategy.EXACT, 60, 60)


class Careless(GraphPolicy):
    """Walks as narrowly as can be, as long as a hundredth seems to pass."""

    def way(self, *, count: int, rows: int, passing_rows: int, share: float, can_sift: bool) -> Way:
        narrow = Way(Strategy.GRAPH, 1, enough=min(count, passing_rows))
        return narrow if share > 0.009 else Way(Strategy.EXACT)


def test_a_walk_that_finds_too_few_is_made_good_by_a_scan() -> None:
    snapshot = filled(6000).snapshot
    found = snapshot.search(ENGINE, Careless(), vector_at(snapshot, 5), 60, RARE)
    assert (found.strategy, len(found.product_ids)) == (Strategy.EXACT, 60)


def test_a_graph_whose_rows_are_gone_finds_what_came_after() -> None:
    rows = filled(300)
    vector = random_vector(1).repeat(6)[:32]
    vector /= np.linalg.norm(vector)
    rows.apply(
        Batch(
            revision=2,
            catalog_id="x",
            is_at_head=True,
            embedded=[(columns("late", Content()), vector)],
            removed=[f"p{n}" for n in range(300)],
        ),
        np.array([301]),
    )
    found = rows.snapshot.search(ENGINE, GraphPolicy(), vector, 10, BY_NOTHING)
    assert found.product_ids == ["late"]
    assert sum(rows.dead_rows) == 300


@pytest.mark.parametrize("passing", [3000, 600, 60, 6, 1, 0])
@pytest.mark.parametrize("policy", [GraphPolicy(), Careless()])
def test_however_few_pass_the_nearest_of_them_are_found(passing: int, policy: GraphPolicy) -> None:
    rows = filled(6000)
    # beside the graph, some newer ones
    newer = np.random.default_rng(5).standard_normal((60, 32)).astype(np.float32)
    newer /= np.linalg.norm(newer, axis=1, keepdims=True)
    embedded = [(columns(f"n{n}", Content(stock=100 * n)), v) for n, v in enumerate(newer)]
    rows.apply(Batch(2, "x", is_at_head=True, embedded=embedded), np.arange(6001, 6061))
    snapshot = rows.snapshot
    vectors = snapshot.gather(np.arange(6060))
    stocks = np.concatenate([np.arange(6000), 100 * np.arange(60)])
    right = 0
    for number in range(20):
        query = vector_at(snapshot, number * 300)
        found = snapshot.search(ENGINE, policy, query, 10, parse(f"stock < {passing}"))
        assert found.passing == np.count_nonzero(stocks < passing)
        assert len(found.product_ids) == min(10, found.passing)
        cosines = np.where(stocks < passing, vectors @ query, -2)
        best = np.argsort(-cosines)[: len(found.product_ids)]
        nearest = set(snapshot.ids_of(best))
        right += len(nearest & set(found.product_ids))
    if type(policy) is GraphPolicy:
        assert right >= 0.97 * 20 * min(10, found.passing)
