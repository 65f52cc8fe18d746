"""How long cached answers are used: lifetimes, clocks that jump, catalogs that come and go."""

import pytest

from services.gateway.answers import Provenance
from services.gateway.pages import SET_SECONDS, ResultSet, new_token
from services.gateway.validity import CategoryChange
from tests.cache_world import World, answer, query


@pytest.fixture
def world() -> World:
    return World()


async def test_the_expiry_is_absolute(world: World) -> None:
    asked = query(category="Home")
    world.keep(asked, answer("Home"))
    for _ in range(3):
        world.wait(99)
        found = await world.cache.find_answer(world.key(asked), 0)
        assert found is not None
        assert not found.is_overdue
    for _ in range(3):
        world.wait(99)
        found = await world.cache.find_answer(world.key(asked), 0)
        assert found is not None
        assert found.is_overdue
    world.wait(7)
    assert world.cache.memory.get(world.key(asked)) is None


async def test_an_answer_that_no_category_bounds_lives_shorter(world: World) -> None:
    asked = query()
    world.keep(asked, answer("Home"))
    world.wait(31)
    found = await world.cache.find_answer(world.key(asked), 0)
    assert found is not None
    assert found.is_overdue
    world.wait(30)
    assert world.cache.memory.get(world.key(asked)) is None


async def test_an_overdue_answer_without_a_category_falls_with_any_change(world: World) -> None:
    asked = query()
    world.keep(asked, answer("Home"))
    world.changes.apply([CategoryChange(2, None, "Garden")])
    assert await world.cache.find_answer(world.key(asked), 0) is not None
    world.wait(31)
    assert await world.cache.find_answer(world.key(asked), 0) is None
    assert await world.gateway().find_answer(world.key(asked), 0) is None


async def test_an_overdue_answer_of_a_category_falls_with_changes_of_it_alone(
    world: World,
) -> None:
    asked = query(category="Home")
    world.keep(asked, answer("Home"))
    world.changes.apply([CategoryChange(2, None, "Garden")])
    world.wait(301)
    assert await world.cache.find_answer(world.key(asked), 0) is not None
    world.changes.apply([CategoryChange(3, None, "Home > Lamps")])
    assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_nothing_overdue_is_found_while_the_catalog_is_not_followed_to_the_last_write(
    world: World,
) -> None:
    asked = query()
    world.keep(asked, answer("Home"))
    world.wait(31)
    world.changes.is_following = False
    assert await world.cache.find_answer(world.key(asked), 0) is None
    world.changes.is_following = True
    assert await world.cache.find_answer(world.key(asked), 0) is not None
    world.changes.expect(2)
    assert await world.cache.find_answer(world.key(asked), 0) is None


async def test_what_another_gateway_computed_anew_is_preferred_to_an_overdue_answer(
    world: World,
) -> None:
    asked, other = query(), world.gateway()
    world.keep(asked, answer("Home"))
    world.wait(31)
    anew = answer("Home", computed_at=world.wall.now)
    world.keep(asked, anew, other)
    found = await world.cache.find_answer(world.key(asked), 0)
    assert found == (other.encoded(asked, anew), Provenance.REDIS, False)


@pytest.mark.parametrize("jump_seconds", [-7200.0, 7200.0])
async def test_a_wall_clock_that_jumps_lets_no_entry_outlive_its_time(
    world: World, jump_seconds: float
) -> None:
    asked = query()
    world.keep(asked, answer("Home"))
    world.wall.now += jump_seconds
    world.clock.now += 31
    entry = world.cache.memory.get(world.key(asked))
    assert entry is not None
    assert entry.is_overdue
    world.clock.now += 30
    assert world.cache.memory.get(world.key(asked)) is None


async def test_an_entry_from_a_clock_that_is_ahead_lives_no_longer_than_its_own_time(
    world: World,
) -> None:
    asked = query()
    world.keep(asked, answer("Home", computed_at=1_007_200.0))
    other = world.gateway()
    assert await other.find_answer(world.key(asked), 0) is not None
    world.clock.now += 31
    entry = other.memory.get(world.key(asked))
    assert entry is not None
    assert entry.is_overdue
    world.clock.now += 30
    assert other.memory.get(world.key(asked)) is None


async def test_an_answer_of_a_revision_that_is_not_known_yet_waits_for_it(world: World) -> None:
    asked = query(category="Home")
    world.changes.begin("catalog-1", 7)
    world.keep(asked, answer("Home", revision=7))
    world.changes.begin("catalog-1", 5)
    assert await world.gateway().find_answer(world.key(asked), 0) is None
    world.changes.apply([CategoryChange(n, None, "Garden") for n in (6, 7)])
    assert await world.gateway().find_answer(world.key(asked), 0) is not None


async def test_what_a_catalog_has_lost_is_not_found_when_it_has_come_as_far_again(
    world: World,
) -> None:
    asked = query(category="Home")
    token = new_token(asked)
    world.changes.begin("catalog-1", 7)
    kept = answer("Home", revision=7)
    world.keep(asked, kept)
    world.cache.keep_result_set(token, ResultSet(kept, []))
    world.changes.lose(was_set_back=True)
    world.changes.begin("catalog-1", 5)
    world.changes.apply([CategoryChange(n, None, "Garden") for n in (6, 7, 8)])
    assert await world.cache.find_answer(world.key(asked), 0) is None
    assert await world.cache.find_result_set(token) is None


async def test_another_catalog_finds_neither_answers_nor_pages_and_the_first_one_does_again(
    world: World,
) -> None:
    asked = query()
    token = new_token(asked)
    world.keep(asked, answer("Home"))
    world.cache.keep_result_set(token, ResultSet(answer("Home"), []))
    world.changes.lose(was_set_back=False)
    world.changes.begin("catalog-2", 1)
    assert await world.cache.find_answer(world.key(asked), 0) is None
    assert await world.cache.find_result_set(token) is None
    world.changes.lose(was_set_back=True)
    world.changes.begin("catalog-1", 1)
    assert await world.cache.find_answer(world.key(asked), 0) is not None
    assert await world.cache.find_result_set(token) is not None


async def test_an_answer_of_a_catalog_that_was_replaced_meanwhile_is_not_kept(
    world: World,
) -> None:
    asked = query()
    key = world.key(asked)
    world.changes.lose(was_set_back=False)
    world.changes.begin("catalog-2", 1)
    world.keep(asked, answer("Home"), key=key)
    assert world.cache.memory.entry_count == 0


async def test_pages_can_be_read_on_for_their_time_after_the_first_came_from_the_cache(
    world: World,
) -> None:
    asked = query(category="Home")
    token = new_token(asked)
    world.keep(asked, answer("Home"))
    world.cache.keep_result_set(token, ResultSet(answer("Home"), []))
    world.wait(599)
    assert await world.cache.find_answer(world.key(asked), 0) is not None
    world.wait(SET_SECONDS)
    assert await world.cache.find_result_set(token) is not None
