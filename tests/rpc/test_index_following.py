"""How the index follows the catalog, whatever its upstreams do."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from google.protobuf import struct_pb2

from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    Overloaded,
    Unavailable,
    VitrinaError,
)
from services.common.rpc_status import calling
from tests.index_upstreams import World, product, running
from tests.support import until
from vitrina.embedder.v1 import embedder_pb2
from vitrina.index.v1 import index_pb2 as pb


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(World(tmp_path)) as world:
        yield world


async def test_an_empty_catalog_makes_a_ready_collection(world: World) -> None:
    found = await world.at_head()
    assert (found.applied_revision, found.vectors) == (0, 0)
    assert list((await world.search("x")).product_ids) == []


async def test_a_history_and_what_comes_after_it_are_applied(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(1300)))
    await world.catalog.delete("p3", "p1299")
    await world.at_head()
    await world.catalog.put(product("p3", "Again"), product("p4", "Changed"))
    await world.at_head()
    response = await world.search("Changed", limit=1)
    assert response.product_ids[0] == "p4"
    assert response.cosines[0] == pytest.approx(1.0)
    # its former vector is gone: nothing is as near to it as it was
    assert (await world.search("Product p4", limit=1)).cosines[0] < 0.9999
    assert len(await world.ids()) == 1000
    assert (await world.collection()).vectors == 1299


async def test_a_collection_is_refused_until_it_was_at_the_head(world: World) -> None:
    await world.at_head()
    # the first answer is the last one for now
    world.embedder.distort = lambda _: world.embedder.may_answer.clear()
    await world.catalog.put(*(product(f"p{n}") for n in range(1500)))
    world.embedder.spaces = {"late": 4}

    async def has_begun() -> bool:
        return (await world.collection("late")).vectors > 0

    world.embedder.may_answer.clear()
    await until(lambda: any(space == "late" for space, _ in world.embedder.calls))
    world.embedder.may_answer.set()
    await until(has_begun)
    found = await world.collection("late")
    assert found.state == pb.COLLECTION_STATE_BUILDING
    assert 0 < found.applied_revision < found.head_revision == 1500
    with pytest.raises(FailedPrecondition) as caught, calling("index"):
        await world.search("x", space="late")
    assert caught.value.reason == "COLLECTION_NOT_READY"
    world.embedder.distort = lambda _: None
    world.embedder.may_answer.set()
    assert (await world.at_head("late")).vectors == 1500


async def test_texts_are_embedded_in_large_calls_and_only_once(world: World) -> None:
    await world.at_head()
    world.embedder.may_answer.clear()
    await world.catalog.put(*(product(f"p{n}") for n in range(2000)))
    await until(lambda: len(world.embedder.calls) >= 3)
    world.embedder.may_answer.set()
    await world.at_head()
    assert Counter(world.embedder.texts).most_common(1)[0][1] == 1
    assert len(world.embedder.texts) == 2000
    assert len(world.embedder.calls) <= 24


async def test_a_text_that_is_as_before_is_not_embedded_again(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}", category="Audio") for n in range(20)))
    await world.at_head()
    before = len(world.embedder.calls)
    await world.catalog.put(
        *(product(f"p{n}", category="Audio", price="4.9", stock=n) for n in range(20))
    )
    await world.catalog.put(product("p1", category="Audio", active=False))
    found = await world.at_head()
    assert len(world.embedder.calls) == before
    assert found.unchanged_documents >= 20
    assert await world.ids() == {f"p{n}" for n in range(20)} - {"p1"}


async def test_a_text_that_changes_to_and_fro_while_it_waits_ends_right(world: World) -> None:
    await world.catalog.put(product("p", "First"))
    await world.at_head()
    world.embedder.may_answer.clear()
    await world.catalog.put(product("p", "Second"))
    await until(lambda: "Second" in world.embedder.texts)
    await world.catalog.put(product("p", "First"), product("q", "Other"))
    await until(lambda: "Other" in world.embedder.texts)
    world.embedder.may_answer.set()
    await world.at_head()
    response = await world.search("First", limit=1)
    assert response.product_ids == ["p"]
    assert response.cosines[0] == pytest.approx(1.0)


async def test_a_price_that_changes_while_the_text_waits_does_not_embed_it_again(
    world: World,
) -> None:
    await world.at_head()
    world.embedder.may_answer.clear()
    await world.catalog.put(product("p", "First"))
    await until(lambda: "First" in world.embedder.texts)
    await world.catalog.put(product("p", "First", price="1"), product("q", "Other"))
    await until(lambda: "Other" in world.embedder.texts)
    world.embedder.may_answer.set()
    await world.at_head()
    assert world.embedder.texts.count("First") == 1


async def test_a_revision_whose_change_was_superseded_is_not_reported_before_its_successor(
    world: World,
) -> None:
    await world.catalog.put(product("p", "Old"))
    await world.at_head()
    world.catalog.page_size = 2
    world.embedder.may_answer.clear()
    await world.catalog.put(product("q", "Holds it up"))
    await until(lambda: "Holds it up" in world.embedder.texts)
    first = await world.catalog.put(product("p", "Superseded"))
    await world.catalog.put(*(product(f"x{n}") for n in range(600)))
    await world.catalog.put(product("p", "New"))
    world.embedder.may_answer.set()
    await world.search("p", min_revision=first)
    response = await world.search("New", limit=1)
    assert response.product_ids[0] == "p"
    assert response.cosines[0] == pytest.approx(1.0)


async def test_tuning_between_changes_of_products_moves_the_revision_on(world: World) -> None:
    world.catalog.page_size = 3
    await world.catalog.tune()
    await world.catalog.put(product("p"), product("q"))
    for _ in range(5):
        await world.catalog.tune()
    await world.catalog.delete("q")
    await world.catalog.put(product("p", "Changed"))
    await world.catalog.tune()
    last = await world.catalog.tune()
    found = await world.at_head()
    assert (found.applied_revision, found.vectors) == (last, 1)
    revision = await world.catalog.tune()
    assert (await world.search("Changed", min_revision=revision)).revision == revision
    await world.holds_what_the_catalog_holds()
    assert world.embedder.texts.count("Changed") == 1


async def test_a_collection_is_ready_though_the_history_ends_with_tuning(world: World) -> None:
    await world.at_head()
    await world.catalog.put(*(product(f"p{n}") for n in range(700)))
    for _ in range(600):
        await world.catalog.tune()
    world.embedder.spaces["late"] = 4
    assert (await world.at_head("late")).vectors == 700


async def test_a_catalog_of_tuning_alone_makes_a_ready_collection(tmp_path: Path) -> None:
    world = World(tmp_path)
    for _ in range(3):
        await world.catalog.tune()
    async with running(world):
        found = await world.at_head()
        assert (found.applied_revision, found.vectors) == (3, 0)


FAILURES: list[tuple[Callable[[], VitrinaError], str]] = [
    (lambda: Unavailable("all failed", reason="SPACES_UNAVAILABLE"), "SPACE_UNAVAILABLE"),
    (lambda: FailedPrecondition("none", reason="SPACE_UNKNOWN"), "SPACE_UNAVAILABLE"),
    (lambda: Unavailable("not serving", reason="NOT_SERVING"), "EMBEDDER_UNAVAILABLE"),
    (lambda: DeadlineExceeded("late"), "EMBEDDER_UNAVAILABLE"),
    (lambda: Overloaded("the queue is full"), ""),
]


@pytest.mark.parametrize(("failure", "stall"), FAILURES)
async def test_a_failing_embedder_is_told_and_tried_again(
    world: World, failure: Callable[[], VitrinaError], stall: str
) -> None:
    await world.at_head()
    world.embedder.failures = [failure() for _ in range(1000)]
    await world.catalog.put(product("p"))
    await until(lambda: len(world.embedder.failures) < 998)
    assert (await world.collection()).stalled_by == stall
    world.embedder.failures.clear()
    await world.holds_what_the_catalog_holds()
    assert (await world.collection()).stalled_by == ""


async def test_an_embedder_that_goes_away_and_comes_back_is_waited_for(world: World) -> None:
    await world.at_head()
    await world.embedder.upstream.stop()
    await world.catalog.put(product("p"))
    await world.stalled("EMBEDDER_UNAVAILABLE")
    assert list((await world.search("x")).product_ids) == []
    await world.embedder.upstream.start()
    await world.holds_what_the_catalog_holds()
    await world.stalled("")


async def test_a_catalog_that_goes_away_and_comes_back_is_followed_on(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(10)))
    await world.at_head()
    await world.catalog.upstream.stop()
    await world.stalled("CATALOG_UNAVAILABLE")
    await world.catalog.put(product("late"))
    assert len(await world.ids()) == 10
    await world.catalog.upstream.start()
    await world.holds_what_the_catalog_holds()
    assert world.catalog.watches[-1] == 10
    await world.stalled("")


async def test_a_stream_that_ends_is_taken_up_where_it_was(world: World) -> None:
    for n in range(8):
        await world.catalog.put(*(product(f"p{n}-{m}") for m in range(20)))
        await world.catalog.end_streams()
    await world.holds_what_the_catalog_holds()
    assert len(world.embedder.texts) == 160


async def test_another_catalog_is_followed_from_its_start(world: World) -> None:
    await world.catalog.put(*(product(f"old{n}") for n in range(5)))
    await world.at_head()
    await world.catalog.become_another()
    await world.catalog.put(*(product(f"new{n}") for n in range(8)))
    await until(lambda: 0 in world.catalog.watches[1:])
    await world.holds_what_the_catalog_holds()
    assert await world.ids() == {f"new{n}" for n in range(8)}


async def test_a_catalog_that_is_behind_is_followed_from_its_start(world: World) -> None:
    await world.catalog.put(*(product(f"old{n}") for n in range(5)))
    await world.at_head()
    await world.catalog.become_another()
    await world.catalog.put(product("new"))
    await world.holds_what_the_catalog_holds()


@pytest.mark.parametrize("poisoned", [{3}, {0, 599}, set(range(100, 110))])
async def test_a_poisonous_text_costs_only_its_own_product(
    world: World, poisoned: set[int]
) -> None:
    world.embedder.poison = {"venom"}
    await world.catalog.put(
        *(product(f"p{n}", f"Name {n}{' venom' * (n in poisoned)}") for n in range(600))
    )
    await world.at_head()
    assert await world.ids() == {f"p{n}" for n in range(600) if n not in poisoned}


async def test_a_product_whose_new_text_is_refused_is_not_found_by_its_old_one(
    world: World,
) -> None:
    world.embedder.poison = {"venom"}
    await world.catalog.put(product("p", "Fine"), product("q", "Fine too"))
    await world.at_head()
    await world.catalog.put(product("p", "venom"))
    await world.catalog.put(product("p", "venom", price="1"))
    await world.at_head()
    assert await world.ids() == {"q"}
    await world.catalog.put(product("p", "Fine"))
    await world.at_head()
    assert await world.ids() == {"p", "q"}


def another_space(answer: embedder_pb2.EmbedResponse) -> None:
    answer.space = "small-2"


def other_dimensions(answer: embedder_pb2.EmbedResponse) -> None:
    answer.dimensions = 4


def too_short(answer: embedder_pb2.EmbedResponse) -> None:
    answer.vectors = answer.vectors[:-4]


def not_finite(answer: embedder_pb2.EmbedResponse) -> None:
    answer.vectors = answer.vectors[:-4] + b"\0\0\xc0\x7f"


def not_of_length_one(answer: embedder_pb2.EmbedResponse) -> None:
    answer.vectors = bytes(len(answer.vectors))


@pytest.mark.parametrize(
    "distort", [another_space, other_dimensions, too_short, not_finite, not_of_length_one]
)
async def test_a_wrong_answer_of_the_embedder_is_never_stored(
    world: World, distort: Callable[[embedder_pb2.EmbedResponse], None]
) -> None:
    await world.at_head()
    good = world.embedder.distort
    world.embedder.distort = distort
    await world.catalog.put(product("p"), product("q"))
    await world.stalled("SPACE_UNAVAILABLE")
    assert await world.ids() == set()
    world.embedder.distort = good
    await world.holds_what_the_catalog_holds()


async def test_a_text_that_the_embedder_always_fails_on_does_not_stop_the_others(
    world: World,
) -> None:
    await world.at_head()

    def fail_on_crash(answer: embedder_pb2.EmbedResponse) -> None:
        if any("crash" in text for text in world.embedder.calls[-1][1]):
            raise ValueError("a defect")

    world.embedder.distort = fail_on_crash
    await world.catalog.put(product("p", "crash"), product("q"), product("r"))
    await world.at_head()
    assert await world.ids() == {"q", "r"}


async def test_a_stalled_space_does_not_hold_up_another(world: World) -> None:
    world.embedder.spaces["broken"] = 4
    await world.at_head("broken")
    await world.at_head()

    def fail_broken(answer: embedder_pb2.EmbedResponse) -> None:
        if answer.space == "broken":
            raise Unavailable("failed", reason="SPACES_UNAVAILABLE")

    world.embedder.distort = fail_broken
    await world.catalog.put(product("p"))
    await world.holds_what_the_catalog_holds()
    await world.stalled("SPACE_UNAVAILABLE", "broken")
    assert (await world.collection("broken")).applied_revision == 0
    assert (await world.collection()).stalled_by == ""


async def test_each_space_has_its_own_collection(world: World) -> None:
    world.embedder.spaces = {"small-1": 8, "other-2": 8, "a/b": 16}
    await world.catalog.put(product("p"), product("q"))
    for space in world.embedder.spaces:
        await world.holds_what_the_catalog_holds(space)
    assert set(await world.collections()) == {"small-1", "other-2", "a/b"}


@pytest.mark.parametrize("space", ["", "..", ".", "x" * 300])
async def test_a_space_with_a_strange_id_harms_nobody(world: World, space: str) -> None:
    world.embedder.spaces = {space: 8, "small-1": 8}
    await world.at_head()
    index_dir = world.data_dir / "index"
    assert {path.name for path in world.data_dir.iterdir()} == {"index"}
    assert {path.name for path in index_dir.iterdir()} <= {"small-1", "%2E", "%2E."}


async def test_a_space_with_a_template_that_is_not_understood_gets_no_collection(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.embedder.template = "${name} ${colour}"
    async with running(world):
        await until(lambda: world.embedder.listings >= 3)
        assert await world.collections() == {}


async def test_a_space_that_goes_while_the_catalog_is_away_is_told_as_gone(world: World) -> None:
    await world.at_head()
    await world.catalog.upstream.stop()
    await world.stalled("CATALOG_UNAVAILABLE")
    world.embedder.spaces = {}
    await world.stalled("SPACE_UNAVAILABLE")


async def test_a_space_that_is_gone_stays_searchable_and_follows_when_it_is_back(
    world: World,
) -> None:
    await world.catalog.put(product("p"))
    await world.at_head()
    gone = world.embedder.spaces.copy()
    world.embedder.spaces = {"new": 4}
    await world.stalled("SPACE_UNAVAILABLE")
    await world.catalog.put(product("q"))
    await world.at_head("new")
    world.embedder.spaces |= gone
    assert "p" in await world.ids()
    await world.holds_what_the_catalog_holds()
    await world.stalled("")


async def test_without_upstreams_the_index_serves_what_it_has(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with running(world, without=["catalog", "embedder"]):
        assert await world.collections() == {}
        await world.embedder.upstream.start()
        await world.stalled("CATALOG_UNAVAILABLE")
        assert (await world.collection()).state == pb.COLLECTION_STATE_BUILDING
        await world.catalog.put(product("p"))
        await world.catalog.upstream.start()
        await world.holds_what_the_catalog_holds()


async def test_large_texts_go_in_several_calls_and_very_large_ones_are_cut(world: World) -> None:
    attributes = {f"a{n}": struct_pb2.Value(string_value="é" * 10_000) for n in range(12)}
    world.embedder.template = "${name} ${attributes}"
    world.embedder.spaces = {"wide-1": 4}
    world.catalog.page_size = 20
    await world.catalog.put(*(product(f"p{n}", attributes=attributes) for n in range(40)))
    await world.at_head("wide-1")
    assert {len(text) for text in world.embedder.texts} == {100_000}
    sizes = [sum(len(text.encode()) for text in texts) for _, texts in world.embedder.calls]
    assert max(sizes) <= 4 * 1024 * 1024


async def test_live_changes_are_applied_one_by_one_at_once(world: World) -> None:
    await world.at_head()
    loop = asyncio.get_running_loop()
    waits = []
    for n in range(20):
        started = loop.time()
        revision = await world.catalog.put(product(f"p{n}"))
        await world.search(f"Product p{n}", min_revision=revision)
        waits.append(loop.time() - started)
    assert sorted(waits)[len(waits) // 2] < 0.25
