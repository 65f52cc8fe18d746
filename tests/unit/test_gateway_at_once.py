"""Answers that memory holds go out without waiting; whatever else is left to a search."""

import time
from dataclasses import replace

import pytest

from services.gateway.answers import Degradation, Provenance
from services.gateway.codec import served_bytes
from services.gateway.queries import Query
from services.gateway.validity import CategoryChange
from tests.gateway_world import World
from tests.shown import shown
from vitrina.search.v1 import search_pb2 as pb

QUERY = Query("lamp", 10, 0, 1.0)


@pytest.fixture
async def world() -> World:
    """A world whose memory holds the answer."""
    world = World()
    await world.searching.search(QUERY)
    return world


async def test_what_is_held_is_what_a_search_would_say(world: World) -> None:
    served = world.searching.search_at_once(QUERY)
    assert served is not None
    searched = await world.search()
    assert replace(shown(served), timings=searched.timings) == searched
    assert searched.provenance is Provenance.MEMORY
    assert world.cache.counts.memory_hits == 2
    said = pb.SearchResponse.FromString(served_bytes(served)).info
    assert said.provenance == pb.PROVENANCE_MEMORY
    assert 0 <= said.timings.cache_ms <= said.timings.total_ms


@pytest.mark.parametrize(
    "asked",
    [
        replace(QUERY, text="other"),
        replace(QUERY, skip_cache=True),
        replace(QUERY, page_token="a page"),
        replace(QUERY, min_revision=2),
        replace(QUERY, space="local"),
    ],
    ids=lambda query: str(query)[:80],
)
async def test_another_request_is_left_to_a_search(world: World, asked: Query) -> None:
    assert world.searching.search_at_once(asked) is None
    assert world.cache.counts.memory_hits == 0


async def test_an_answer_that_a_change_has_touched_is_left_to_a_search(world: World) -> None:
    world.changes.apply([CategoryChange(2, None, "Garden")])
    assert world.searching.search_at_once(QUERY) is not None
    world.changes.apply([CategoryChange(3, None, "Home > Lamps")])
    assert world.searching.search_at_once(QUERY) is None


async def test_an_overdue_answer_is_left_to_a_search(world: World) -> None:
    key = world.cache.answer_key(QUERY, "best")
    assert key is not None
    entry = world.cache.memory.get(key)
    assert entry is not None
    world.cache.memory.put(key, replace(entry, expires_at=time.time() - 1))
    overdue = world.cache.memory.get(key)
    assert overdue is not None
    assert overdue.is_overdue
    assert world.searching.search_at_once(QUERY) is None


async def test_nothing_is_held_of_a_catalog_that_is_not_known() -> None:
    world = World()
    await world.searching.search(QUERY)
    world.changes.lose(was_set_back=False)
    assert world.searching.search_at_once(QUERY) is None


async def test_a_feed_that_has_stopped_is_said(world: World) -> None:
    world.changes.is_following = False
    served = world.searching.search_at_once(QUERY)
    assert served is not None
    assert served.degraded == {Degradation.UNVERIFIED_CACHE}
    said = pb.SearchResponse.FromString(served_bytes(served)).info
    assert list(said.degraded) == [pb.DEGRADATION_UNVERIFIED_CACHE]


async def test_while_redis_is_down_a_search_says_so(world: World) -> None:
    class Down:
        is_up = False

    world.cache.shared = Down()  # type: ignore[assignment]
    assert world.searching.search_at_once(QUERY) is None
