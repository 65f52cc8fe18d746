"""Collections of several spaces: built beside one another, pinned, dropped."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.common.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from services.common.rpc_status import calling
from tests.index_upstreams import TEMPLATE, World, product, running
from tests.support import until
from vitrina.index.v1 import index_pb2 as pb


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(World(tmp_path)) as world:
        yield world


async def pinned(world: World) -> str:
    return (await world.stub.ListCollections(pb.ListCollectionsRequest())).pinned_space


async def use(world: World, space: str) -> None:
    with calling("index"):
        await world.stub.UseSpace(pb.UseSpaceRequest(space=space), timeout=10)


async def drop(world: World, space: str, *, allow_missing: bool = False) -> int:
    request = pb.DropCollectionRequest(space=space, allow_missing=allow_missing)
    with calling("index"):
        return (await world.stub.DropCollection(request, timeout=10)).freed_bytes


async def no_longer_followed(world: World, space: str) -> None:
    async def is_so() -> bool:
        return not (await world.collection(space)).is_followed

    await until(is_so, what=f"{space} is not followed any more")


async def test_all_spaces_are_followed_side_by_side(world: World) -> None:
    world.embedder.spaces |= {"gemini-x": 16, "other": 4}
    await world.catalog.put(*(product(f"p{n}") for n in range(30)))
    for space in world.embedder.spaces:
        await world.holds_what_the_catalog_holds(space)
    assert all(each.is_followed for each in (await world.collections()).values())


async def test_what_is_left_to_do_is_told_while_a_collection_is_built(world: World) -> None:
    await world.at_head()
    world.embedder.may_answer.clear()
    await world.catalog.put(*(product(f"p{n}", "four" * 10) for n in range(2500)))

    async def is_known() -> bool:
        return (await world.collection()).pending_documents == 2500

    await until(is_known)
    await until(lambda: bool(world.embedder.calls))
    found = await world.collection()
    assert found.pending_tokens == 2500 * 10
    assert found.pending_seconds == -1
    world.embedder.may_answer.set()
    found = await world.at_head()
    assert (found.pending_documents, found.pending_tokens, found.pending_seconds) == (0, 0, 0)
    assert (found.embedded_documents, found.embedded_tokens) == (2500, 25_000)


async def test_the_pace_tells_how_long_the_rest_takes(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(100)))
    await world.at_head()
    world.embedder.may_answer.clear()
    await world.catalog.put(*(product(f"q{n}") for n in range(700)))

    async def is_known() -> bool:
        return (await world.collection()).pending_seconds > 0

    await until(is_known)
    assert (await world.collection()).pending_documents <= 700
    world.embedder.may_answer.set()
    await world.at_head()


async def test_a_pin_outlives_a_restart_and_can_be_taken_back(world: World) -> None:
    await world.at_head()
    assert await pinned(world) == ""
    await use(world, "small-1")
    await use(world, "small-1")
    await world.restart_index()
    assert await pinned(world) == "small-1"
    await use(world, "")
    await world.restart_index()
    assert await pinned(world) == ""


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"gone-space\n"])
async def test_a_pin_that_says_nothing_useful_stops_nothing(world: World, content: bytes) -> None:
    await world.at_head()
    await world.stop_index()
    (world.data_dir / "index" / ".pinned").write_bytes(content)
    await world.start_index()
    await world.at_head()
    await use(world, "small-1")
    assert await pinned(world) == "small-1"


async def test_what_cannot_answer_is_not_pinned(world: World) -> None:
    await world.at_head()
    with pytest.raises(FailedPrecondition, match="space: no collection of space nothing") as caught:
        await use(world, "nothing")
    assert caught.value.reason == "SPACE_MISMATCH"
    world.embedder.may_answer.clear()
    await world.catalog.put(product("p"))
    world.embedder.spaces["late"] = 4
    await until(lambda: any(space == "late" for space, _ in world.embedder.calls))
    with pytest.raises(FailedPrecondition) as caught:
        await use(world, "late")
    assert caught.value.reason == "COLLECTION_NOT_READY"
    world.embedder.may_answer.set()
    await world.at_head("late")
    del world.embedder.spaces["late"]
    await no_longer_followed(world, "late")
    with pytest.raises(FailedPrecondition, match="the embedder does not have late"):
        await use(world, "late")
    assert await pinned(world) == ""


async def test_a_space_that_the_embedder_has_no_more_is_dropped_with_its_files(
    world: World,
) -> None:
    world.embedder.spaces["old"] = 4
    await world.catalog.put(*(product(f"p{n}") for n in range(50)))
    await world.at_head("old")
    folder = world.data_dir / "index" / "old"
    del world.embedder.spaces["old"]
    await no_longer_followed(world, "old")
    freed = await drop(world, "old")
    assert freed > 50 * 4 * 4
    assert not folder.exists()
    assert {path.name for path in folder.parent.iterdir() if path.is_dir()} == {"small-1"}
    assert set(await world.collections()) == {"small-1"}
    with pytest.raises(NotFound) as caught:
        await drop(world, "old")
    assert caught.value.reason == "SPACE_NOT_FOUND"
    assert await drop(world, "old", allow_missing=True) == 0
    # and it may come back, from nothing
    world.embedder.spaces["old"] = 4
    await world.holds_what_the_catalog_holds("old")


async def test_a_space_in_use_is_not_dropped(world: World) -> None:
    world.embedder.spaces["old"] = 4
    await world.at_head("old")
    await use(world, "old")
    with pytest.raises(FailedPrecondition, match="the embedder has small-1") as caught:
        await drop(world, "small-1")
    assert caught.value.reason == "SPACE_IN_USE"
    del world.embedder.spaces["old"]
    await no_longer_followed(world, "old")
    with pytest.raises(FailedPrecondition, match="old is pinned"):
        await drop(world, "old")
    await use(world, "")
    await world.embedder.upstream.stop()
    with pytest.raises(FailedPrecondition, match="while the embedder is away") as caught:
        await drop(world, "old")
    assert caught.value.reason == "SPACE_IN_USE"
    await world.embedder.upstream.start()
    assert await drop(world, "old") > 0
    with pytest.raises(InvalidArgument, match="space: is required"):
        await drop(world, "")


async def test_those_who_wait_for_a_dropped_collection_do_not_wait_for_ever(world: World) -> None:
    world.embedder.spaces["old"] = 4
    await world.at_head("old")
    del world.embedder.spaces["old"]
    await no_longer_followed(world, "old")
    request = pb.WaitForRevisionRequest(spaces=["old"], min_revision=99)
    waiting = asyncio.ensure_future(world.stub.WaitForRevision(request, timeout=20))
    await drop(world, "old")
    with pytest.raises((Unavailable, FailedPrecondition)), calling("index"):
        await waiting


async def test_a_drop_that_was_cut_off_is_finished_at_the_next_start(world: World) -> None:
    world.embedder.spaces["old"] = 4
    await world.at_head("old")
    del world.embedder.spaces["old"]
    await world.stop_index()
    folder = world.data_dir / "index" / "old"
    half = folder.rename(folder.with_name(".dropped-old"))
    await world.start_index()
    await world.at_head()
    assert not half.exists()
    assert set(await world.collections()) == {"small-1"}


async def test_another_template_is_built_anew_and_the_way_back_embeds_only_what_changed(
    world: World,
) -> None:
    await world.catalog.put(*(product(f"p{n}", brand="B") for n in range(100)))
    await world.at_head()
    world.embedder.template, world.embedder.spaces = "${name} by ${brand}", {"small-2": 8}
    await world.at_head("small-2")
    assert len(world.embedder.texts) == 200
    assert world.embedder.texts[-1].endswith(" by B")
    await world.catalog.put(product("p1", "Changed"), product("new"))
    await world.catalog.delete("p2")
    await world.at_head("small-2")
    before = len(world.embedder.texts)
    world.embedder.template, world.embedder.spaces = TEMPLATE, {"small-1": 8}
    await world.holds_what_the_catalog_holds("small-1")
    assert sorted(world.embedder.texts[before:]) == ["Changed", "Product new"]
