"""Who waits for a revision of the index wakes up with it, or is told how far it is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    VitrinaError,
)
from services.common.rpc_status import calling
from tests.index_upstreams import World, product, running
from tests.support import until
from vitrina.index.v1 import index_pb2 as pb


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(World(tmp_path)) as world:
        await world.at_head()
        yield world


async def wait(
    world: World, min_revision: int, *spaces: str, timeout: float | None = 20.0
) -> pb.WaitForRevisionResponse:
    request = pb.WaitForRevisionRequest(spaces=spaces or ["small-1"], min_revision=min_revision)
    with calling("index"):
        return await world.stub.WaitForRevision(request, timeout=timeout)


async def refusal(
    world: World, min_revision: int, *spaces: str, timeout: float = 20.0
) -> VitrinaError:
    with pytest.raises(VitrinaError) as caught:
        await wait(world, min_revision, *spaces, timeout=timeout)
    return caught.value


async def test_what_is_applied_already_is_not_waited_for(world: World) -> None:
    await world.catalog.put(product("a"), product("b"))
    await world.at_head()
    for revision in (0, 1, 2):
        found = await wait(world, revision)
        assert (found.revision, found.space) == (2, "small-1")


async def test_it_returns_with_the_write_and_searches_find_it_then(world: World) -> None:
    waiting = [asyncio.create_task(wait(world, revision)) for revision in (1, 2, 2)]
    await world.catalog.put(product("a"))
    assert (await waiting[0]).revision >= 1
    assert not waiting[1].done()
    assert not waiting[2].done()
    await world.catalog.put(product("b"))
    assert [(await each).revision for each in waiting[1:]] == [2, 2]
    assert await world.ids() == {"a", "b"}


async def test_a_revision_without_a_product_is_reached_too(world: World) -> None:
    waiting = asyncio.create_task(wait(world, 1))
    await world.catalog.tune()
    assert (await waiting).revision == 1


async def test_it_ends_before_its_deadline_and_says_how_far_it_is(world: World) -> None:
    await world.catalog.put(product("a"))
    await world.at_head()
    # Past its deadline the caller would not learn the revision.
    error = await refusal(world, 7, timeout=0.5)
    assert isinstance(error, DeadlineExceeded)
    assert (error.reason, error.metadata) == ("REVISION_NOT_REACHED", {"revision": "1"})


async def test_the_first_ready_space_is_waited_for_and_named(world: World) -> None:
    world.embedder.spaces = {"small-1": 8, "late": 4}
    world.embedder.may_answer.clear()
    await world.catalog.put(product("a"))

    async def is_building() -> bool:
        return (await world.collection("late")).state == pb.COLLECTION_STATE_BUILDING

    await until(is_building)
    waiting = asyncio.create_task(wait(world, 1, "unknown", "late", "small-1"))
    world.embedder.may_answer.set()
    assert (await waiting).space == "small-1"
    await world.at_head("late")
    assert (await wait(world, 1, "unknown", "late", "small-1")).space == "late"


async def test_a_space_that_is_not_there_or_not_ready_is_refused(world: World) -> None:
    error = await refusal(world, 0, "unknown")
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "SPACE_MISMATCH"
    world.embedder.may_answer.clear()
    await world.catalog.put(product("a"))
    world.embedder.spaces = {"late": 4}

    async def is_building() -> bool:
        return (await world.collection("late")).state == pb.COLLECTION_STATE_BUILDING

    await until(is_building)
    assert (await refusal(world, 0, "late")).reason == "COLLECTION_NOT_READY"
    world.embedder.may_answer.set()


async def test_arguments_are_refused_by_name(world: World) -> None:
    with pytest.raises(InvalidArgument, match="min_revision: -1 given"):
        await wait(world, -1)
    with pytest.raises(InvalidArgument, match="spaces: 101 given, 1 to 100 allowed"):
        await wait(world, 0, *map(str, range(101)))
    with pytest.raises(InvalidArgument, match="spaces: 0 given"), calling("index"):
        await world.stub.WaitForRevision(pb.WaitForRevisionRequest())


async def test_another_catalog_is_not_the_one_that_was_waited_for(world: World) -> None:
    await world.catalog.put(product("a"))
    await world.at_head()
    waiting = asyncio.create_task(wait(world, 2))
    await wait(world, 1)
    await world.catalog.become_another()
    with pytest.raises(FailedPrecondition) as caught:
        await waiting
    assert caught.value.reason == "COLLECTION_NOT_READY"
