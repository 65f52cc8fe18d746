"""The cache, its tiers and its entries."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import facets
from services.gateway.answers import Answer, Degradation, Provenance
from services.gateway.codec import ProtobufCodec
from services.gateway.entries import Entry
from services.gateway.queries import Filter, Mode
from services.gateway.stores.memory import OVERHEAD_BYTES, MemoryStore
from services.gateway.validity import CategoryChange
from tests.cache_world import World, answer, query


@pytest.fixture
def world() -> World:
    return World()


async def test_an_answer_comes_back_as_it_was(world: World) -> None:
    asked, kept = query(category="Home"), answer("Home", "Home > Lamps")
    world.keep(asked, kept)
    found = await world.cache.find_answer(world.key(asked), 0)
    assert found == (world.cache.encoded(asked, kept), Provenance.MEMORY, False)
    assert ProtobufCodec().decode(found.encoded.body) == kept


async def test_another_gateway_finds_it_in_the_shared_tier_and_then_in_its_own(
    world: World,
) -> None:
    asked = query(category="Home")
    world.keep(asked, answer("Home"))
    other = world.gateway()
    found = [await other.find_answer(world.key(asked), 0) for _ in range(2)]
    assert [hit and hit[1] for hit in found] == [Provenance.REDIS, Provenance.MEMORY]


async def test_a_change_in_the_category_ends_it_in_both_tiers(world: World) -> None:
    asked = query(category="Home")
    world.keep(asked, answer("Home > Lamps"))
    world.changes.apply([CategoryChange(2, "Home > Chairs", "Home > Chairs")])
    assert await world.cache.find_answer(world.key(asked), 0) is None
    assert await world.gateway().find_answer(world.key(asked), 0) is None


async def test_a_change_elsewhere_leaves_it_alone(world: World) -> None:
    asked = query(category="Home")
    world.keep(asked, answer("Home"))
    world.changes.apply([CategoryChange(2, None, "Garden")])
    assert await world.cache.find_answer(world.key(asked), 0) is not None


async def test_min_revision_passes_an_older_entry_by(world: World) -> None:
    asked = query()
    world.changes.begin("catalog-1", 7)
    world.keep(asked, answer("Home", revision=7))
    assert await world.cache.find_answer(world.key(asked), 7) is not None
    assert await world.cache.find_answer(world.key(asked), 8) is None


async def test_a_corrected_query_depends_on_the_words_of_all_categories(world: World) -> None:
    asked = query(category="Home")
    corrected = replace(answer("Home"), corrected_query="lamp")
    world.keep(asked, corrected)
    world.changes.apply([CategoryChange(2, None, "Garden")])
    world.wait(31)
    assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_an_answer_with_wider_counts_falls_with_a_change_in_its_category_too(
    world: World,
) -> None:
    asked = replace(query(category="Home"), facets=facets.parse(["category(ignore_own_filter)"]))
    world.keep(asked, answer("Home > Lamps"))
    world.changes.apply([CategoryChange(2, None, "Home > Chairs")])
    assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_no_results_fall_with_any_change(world: World) -> None:
    asked = query("zzz")
    world.keep(asked, answer())
    assert await world.cache.find_answer(world.key(asked), 0) is not None
    world.changes.apply([CategoryChange(2, None, "Garden")])
    assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_a_degraded_answer_is_not_kept(world: World) -> None:
    asked, sound = query(), answer("Home")
    poor = Answer(
        sound.results, 1, "", frozenset({Degradation.LEXICAL_ONLY}), sound.plan, sound.computed_at
    )
    world.keep(asked, poor)
    assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_an_answer_that_was_overtaken_while_computed_is_not_kept(world: World) -> None:
    asked = query(category="Home")
    world.changes.apply([CategoryChange(2, None, "Home")])
    world.keep(asked, answer("Home", revision=1))
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
    body = Entry(b"\xff\xff\xff", 2e9, 300.0, 1, frozenset()).encode()
    endless = b'[3,1,1,1,Infinity,[],true,""]\nx'
    deep = b"[" * 100_000 + b"\n"
    for data in (b"", b"\n", b"\x80\x04pickle", b"[1,2]\n", b"[99,1,1,[]]\nx", endless, deep, body):
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
    entry = Entry(body, expires_at, 300.0, revision, touched, not revision % 2, 30.0)
    assert Entry.decode(entry.encode()) == entry


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=60))
def test_the_memory_tier_stays_in_its_bounds_and_never_mixes_entries_up(
    puts: list[tuple[int, int]],
) -> None:
    limit = 10_000
    store = MemoryStore(limit, clock=lambda: 0.0, wall_clock=lambda: 0.0)
    newest: dict[str, bytes] = {}
    for number, size in puts:
        newest[str(number)] = bytes([number]) * size
        store.put(str(number), Entry(newest[str(number)], 1.0, 1.0))
        assert store.size_bytes <= limit
        kept = store.get(str(number))
        assert kept is not None
        assert kept.body == newest[str(number)]
    for key, body in newest.items():
        entry = store.get(key)
        assert entry is None or entry.body == body
    assert store.size_bytes >= store.entry_count * OVERHEAD_BYTES


def test_an_entry_larger_than_the_tier_is_left_out_and_replaces_its_older_self() -> None:
    store = MemoryStore(2_000, clock=lambda: 0.0, wall_clock=lambda: 0.0)
    store.put("a", Entry(b"small", 1.0, 1.0))
    store.put("a", Entry(b"x" * 5_000, 1.0, 1.0))
    assert store.get("a") is None
    assert store.size_bytes == 0
