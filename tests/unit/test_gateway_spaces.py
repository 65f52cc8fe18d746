"""In which space queries are answered: the pinned one, the preferred one, or one by name."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from services.gateway.answers import Degradation, Provenance
from services.gateway.following import ReadySpaces
from services.gateway.queries import MAX_SPACE_CHARACTERS, Mode, parse_space
from tests.gateway_ports import FakeEmbedder, FakeIndex
from tests.gateway_world import LAMPS, World, ids
from tests.support import until


@pytest.fixture
def world() -> World:
    return World()


class Gateways:
    """Several that share an index and an embedder."""

    def __init__(self) -> None:
        self.embedder = FakeEmbedder(spaces=["new", "old"])
        self.index = FakeIndex(ready={"old"})
        self.stack = AsyncExitStack()

    async def __aenter__(self) -> "Gateways":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    async def start(self, *, takes_over: bool = True) -> ReadySpaces:
        spaces = ReadySpaces(self.embedder, self.index, takes_over=takes_over)
        await self.stack.enter_async_context(spaces)
        return spaces


async def test_a_new_space_takes_over_when_it_is_ready() -> None:
    async with Gateways() as gateways:
        spaces = await gateways.start()
        await until(lambda: spaces.ids == ("old",))
        gateways.index.ready.add("new")
        await until(lambda: spaces.ids == ("new", "old"))


async def test_a_pinned_space_comes_first_in_every_gateway() -> None:
    async with Gateways() as gateways:
        gateways.index.ready.add("new")
        here, there = await gateways.start(), await gateways.start()
        await until(lambda: here.ids == there.ids == ("new", "old"))
        await here.use("old")
        assert here.ids == ("old", "new")
        await until(lambda: there.ids == ("old", "new"))
        await there.use("")
        assert there.ids == ("new", "old")
        await until(lambda: here.ids == ("new", "old"))


async def test_a_pinned_space_that_is_gone_leaves_the_order_to_the_embedder() -> None:
    async with Gateways() as gateways:
        gateways.index.ready.add("new")
        spaces = await gateways.start()
        await spaces.use("old")
        gateways.embedder.spaces = ["new"]
        await until(lambda: spaces.ids == ("new",))


async def test_without_takeover_the_space_that_answers_goes_on_answering() -> None:
    async with Gateways() as gateways:
        here, there = [await gateways.start(takes_over=False) for _ in range(2)]
        await until(lambda: gateways.index.pinned == "old")
        gateways.index.ready.add("new")
        await until(lambda: here.ids == there.ids == ("old", "new"))
        restarted = await gateways.start(takes_over=False)
        await until(lambda: restarted.ids == ("old", "new"))
        await here.use("new")
        await until(lambda: here.ids == there.ids == restarted.ids == ("new", "old"))


async def test_what_cannot_answer_is_not_used() -> None:
    async with Gateways() as gateways:
        spaces = await gateways.start()
        with pytest.raises(FailedPrecondition) as caught:
            await spaces.use("new")
        assert caught.value.reason == "COLLECTION_NOT_READY"
        assert gateways.index.pinned == ""


async def test_a_space_in_use_is_not_dropped_and_another_is() -> None:
    async with Gateways() as gateways:
        gateways.index.ready.add("older")
        spaces = await gateways.start()
        await spaces.use("old")
        with pytest.raises(FailedPrecondition):
            await spaces.drop("old", allow_missing=False)
        assert await spaces.drop("older", allow_missing=False) == 5
        with pytest.raises(NotFound):
            await spaces.drop("older", allow_missing=False)
        await spaces.drop("older", allow_missing=True)


async def test_names_that_cannot_be_spaces_are_refused_by_field() -> None:
    long = "s" * (MAX_SPACE_CHARACTERS + 1)
    async with Gateways() as gateways:
        spaces = await gateways.start()
        for refused in (spaces.use(long), spaces.drop(long, allow_missing=True)):
            with pytest.raises(InvalidArgument, match="space: 201 characters given, at most 200"):
                await refused
        with pytest.raises(InvalidArgument, match="space: must not be empty"):
            await spaces.drop("", allow_missing=True)
    with pytest.raises(InvalidArgument, match="space: goes with meaning"):
        parse_space("local", Mode.LEXICAL)


@pytest.mark.parametrize("mode", [Mode.HYBRID, Mode.SEMANTIC])
async def test_a_space_asked_for_by_name_answers_alone_and_unlabelled(
    world: World, mode: Mode
) -> None:
    served = await world.search(space="local", mode=mode)
    assert (served.answer.space, ids(served)) == ("local", LAMPS)
    assert not served.answer.degraded


async def test_answers_of_two_spaces_are_kept_apart(world: World) -> None:
    for space in ("local", "best", ""):
        assert (await world.search(space=space)).provenance is Provenance.COMPUTED
    again = await world.search(space="local")
    assert (again.provenance, again.answer.space) == (Provenance.MEMORY, "local")


async def test_a_page_of_one_space_is_not_turned_with_another(world: World) -> None:
    first = await world.search(space="local", page_size=2)
    with pytest.raises(InvalidArgument, match="page_token"):
        await world.search(space="best", page_size=2, page_token=first.answer.next_page_token)


@pytest.mark.parametrize("mode", [Mode.HYBRID, Mode.SEMANTIC])
async def test_a_space_that_is_not_ready_is_refused_whatever_else_could_answer(
    world: World, mode: Mode
) -> None:
    with pytest.raises(FailedPrecondition) as caught:
        await world.search(space="unknown", mode=mode)
    assert caught.value.reason == "SPACE_MISMATCH"
    assert caught.value.message.startswith("space: unknown cannot answer")


@pytest.mark.parametrize("mode", [Mode.HYBRID, Mode.SEMANTIC])
async def test_neither_words_nor_another_space_stand_in_for_one_that_fails(
    world: World, mode: Mode
) -> None:
    world.embedder.failing = {"local"}
    with pytest.raises(Unavailable):
        await world.search(space="local", mode=mode)
    world.embedder.failing = set()
    world.index.trouble.hangs = True
    with pytest.raises(DeadlineExceeded):
        await world.search(space="local", mode=mode, budget_seconds=0.3)


async def test_a_query_on_its_way_while_another_space_takes_over_is_not_labelled(
    world: World,
) -> None:
    world.spaces.ids = ("local",)
    world.index.may_answer = asyncio.Event()
    asking = asyncio.create_task(world.search())
    await until(lambda: world.index.trouble.calls > 0)
    world.spaces.ids = ("best", "local")
    world.index.may_answer.set()
    served = await asking
    assert (served.answer.space, served.answer.degraded) == ("local", frozenset())


async def test_without_a_name_another_space_still_stands_in(world: World) -> None:
    world.embedder.failing = {"best"}
    served = await world.search()
    assert served.answer.degraded == {Degradation.FALLBACK_SPACE}
