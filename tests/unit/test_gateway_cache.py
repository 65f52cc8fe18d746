"""The cache, its tiers and its entries."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.answers import (
    Answer,
    Degradation,
    Explanation,
    Plan,
    Product,
    Provenance,
    Result,
    Strategy,
)
from services.gateway.cache import AnswerCache, Lifetimes
from services.gateway.codec import ProtobufCodec
from services.gateway.entries import Entry
from services.gateway.queries import Filter, Mode, Query
from services.gateway.stores.memory import OVERHEAD_BYTES, MemoryStore
from services.gateway.validity import CategoryChange, ChangeLog
from vitrina.catalog.v1.catalog_pb2 import Product as ProductMessage


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class SharedDict:
    """A shared tier that is always up: what another gateway would see."""

    def __init__(self) -> None:
        self.is_up = True
        self.data: dict[str, bytes] = {}

    async def get(self, key: str) -> Entry | None:
        return Entry.decode(self.data[key]) if key in self.data else None

    def put(self, key: str, entry: Entry) -> None:
        self.data[key] = entry.encode()


def query(text: str = "lamp", category: str = "", page_size: int = 10) -> Query:
    return Query(
        text, page_size, min_revision=0, budget_seconds=5.0, filter=Filter.parse("", category)
    )


def product(product_id: str, category: str) -> Product:
    return ProductMessage(id=product_id, name="Lamp", category=category, price="5.00")


def answer(*categories: str, revision: int = 1, computed_at: float = 1_000_000.0) -> Answer:
    results = [
        Result(product(f"p{n}", category), Explanation(0.75, semantic_rank=n + 1, cosine=0.5))
        for n, category in enumerate(categories)
    ]
    plan = Plan(Strategy.EXACT, 9, 8, len(results))
    return Answer(results, revision, "space-a", frozenset(), plan, computed_at)


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.changes = ChangeLog()
        self.changes.begin("catalog-1", 1)
        self.shared = SharedDict()
        self.cache = self.gateway()

    def gateway(self) -> AnswerCache:
        return AnswerCache(
            MemoryStore(1 << 20, clock=self.clock),
            self.shared,
            self.changes,
            ProtobufCodec(),
            Lifetimes(answer=300, unbounded_answer=30, vector=1000),
            self.clock,
        )

    def key(self, asked: Query, space: str = "space-a") -> str:
        key = self.cache.answer_key(asked, space)
        assert key is not None
        return key


@pytest.fixture
def world() -> World:
    return World()


async def test_an_answer_comes_back_as_it_was(world: World) -> None:
    asked, kept = query(category="Home"), answer("Home", "Home > Lamps")
    world.cache.keep_answer(world.key(asked), asked, kept)
    assert await world.cache.find_answer(world.key(asked), 0) == (kept, Provenance.MEMORY)


async def test_another_gateway_finds_it_in_the_shared_tier_and_then_in_its_own(
    world: World,
) -> None:
    asked = query(category="Home")
    world.cache.keep_answer(world.key(asked), asked, answer("Home"))
    other = world.gateway()
    found = [await other.find_answer(world.key(asked), 0) for _ in range(2)]
    assert [hit and hit[1] for hit in found] == [Provenance.REDIS, Provenance.MEMORY]


async def test_a_change_in_the_category_ends_it_in_both_tiers(world: World) -> None:
    asked = query(category="Home")
    world.cache.keep_answer(world.key(asked), asked, answer("Home > Lamps"))
    world.changes.apply([CategoryChange(2, "Home > Chairs", "Home > Chairs")])
    assert await world.cache.find_answer(world.key(asked), 0) is None
    assert await world.gateway().find_answer(world.key(asked), 0) is None


async def test_a_change_elsewhere_leaves_it_alone(world: World) -> None:
    asked = query(category="Home")
    world.cache.keep_answer(world.key(asked), asked, answer("Home"))
    world.changes.apply([CategoryChange(2, None, "Garden")])
    assert await world.cache.find_answer(world.key(asked), 0) is not None


async def test_min_revision_passes_an_older_entry_by(world: World) -> None:
    asked = query()
    world.cache.keep_answer(world.key(asked), asked, answer("Home", revision=7))
    assert await world.cache.find_answer(world.key(asked), 7) is not None
    assert await world.cache.find_answer(world.key(asked), 8) is None


async def test_the_expiry_is_absolute(world: World) -> None:
    asked = query(category="Home")
    world.cache.keep_answer(world.key(asked), asked, answer("Home"))
    for _ in range(3):
        world.clock.now += 99
        assert await world.cache.find_answer(world.key(asked), 0) is not None
    world.clock.now += 4
    assert world.cache.memory.get(world.key(asked)) is None


async def test_an_answer_that_no_category_bounds_lives_shorter(world: World) -> None:
    asked = query()
    world.cache.keep_answer(world.key(asked), asked, answer("Home"))
    world.clock.now += 31
    assert world.cache.memory.get(world.key(asked)) is None


async def test_no_results_fall_with_any_change(world: World) -> None:
    asked = query("zzz")
    world.cache.keep_answer(world.key(asked), asked, answer())
    assert await world.cache.find_answer(world.key(asked), 0) is not None
    world.changes.apply([CategoryChange(2, None, "Garden")])
    assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_a_degraded_answer_is_not_kept(world: World) -> None:
    asked, sound = query(), answer("Home")
    poor = Answer(
        sound.results, 1, "", frozenset({Degradation.LEXICAL_ONLY}), sound.plan, sound.computed_at
    )
    world.cache.keep_answer(world.key(asked), asked, poor)
    assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_an_answer_that_was_overtaken_while_computed_is_not_kept(world: World) -> None:
    asked = query(category="Home")
    world.changes.apply([CategoryChange(2, None, "Home")])
    world.cache.keep_answer(world.key(asked), asked, answer("Home", revision=1))
    assert world.cache.memory.entry_count == 0


def test_keys_differ_by_all_that_shapes_an_answer(world: World) -> None:
    keys = [
        world.key(query()),
        world.key(query("lamps")),
        world.key(query(category="Home")),
        world.key(query(page_size=11)),
        world.key(replace(query(), mode=Mode.LEXICAL)),
        world.key(replace(query(), semantic_weight=0.25)),
        world.key(replace(query(), literal=True)),
        world.key(replace(query(), filter=Filter.parse("price < 5", ""))),
        world.key(query(), space="space-b"),
    ]
    world.changes.begin("catalog-2", 1)
    keys.append(world.key(query()))
    assert len(set(keys)) == len(keys)


def test_without_a_known_catalog_there_is_no_key(world: World) -> None:
    world.changes.catalog_id = ""
    assert world.cache.answer_key(query(), "space-a") is None


async def test_foreign_bytes_under_our_key_are_a_miss(world: World) -> None:
    asked = query()
    body = Entry(b"\xff\xff\xff", 2e9, 1, frozenset()).encode()
    for data in (b"", b"\n", b"\x80\x04pickle", b"[1,2]\n", b"[99,1,1,[]]\nx", body):
        world.shared.data[world.key(asked)] = data
        assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_query_vectors_are_kept_by_space(world: World) -> None:
    world.cache.keep_vector("space-a", "lamp", b"\x00\x01")
    assert await world.cache.find_vector("space-a", "lamp") == b"\x00\x01"
    assert await world.cache.find_vector("space-b", "lamp") is None
    assert await world.gateway().find_vector("space-a", "lamp") == b"\x00\x01"


@given(
    body=st.binary(max_size=200),
    expires_at=st.floats(0, 4e9),
    revision=st.integers(0, 2**62),
    touched=st.frozensets(st.text(max_size=20), max_size=5),
)
def test_an_entry_survives_the_wire(
    body: bytes, expires_at: float, revision: int, touched: frozenset[str]
) -> None:
    touched = frozenset(path.encode("utf-8", "ignore").decode() for path in touched)
    entry = Entry(body, expires_at, revision, touched)
    assert Entry.decode(entry.encode()) == entry


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=60))
def test_the_memory_tier_stays_in_its_bounds_and_never_mixes_entries_up(
    puts: list[tuple[int, int]],
) -> None:
    limit = 10_000
    store = MemoryStore(limit, clock=lambda: 0.0)
    newest: dict[str, bytes] = {}
    for number, size in puts:
        newest[str(number)] = bytes([number]) * size
        store.put(str(number), Entry(newest[str(number)], 1.0))
        assert store.size_bytes <= limit
        kept = store.get(str(number))
        assert kept is not None
        assert kept.body == newest[str(number)]
    for key, body in newest.items():
        entry = store.get(key)
        assert entry is None or entry.body == body
    assert store.size_bytes >= store.entry_count * OVERHEAD_BYTES


def test_an_entry_larger_than_the_tier_is_left_out_and_replaces_its_older_self() -> None:
    store = MemoryStore(2_000, clock=lambda: 0.0)
    store.put("a", Entry(b"small", 1.0))
    store.put("a", Entry(b"x" * 5_000, 1.0))
    assert store.get("a") is None
    assert store.size_bytes == 0
