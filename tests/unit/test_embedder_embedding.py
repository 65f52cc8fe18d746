"""Which space answers, within which share of the deadline, and what is said of the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from services.common import deadlines
from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    Overloaded,
    Unavailable,
)
from services.embedder.embedding import Embedder
from services.embedder.providers.base import (
    CircuitOpen,
    Provider,
    ProviderFailed,
    ProviderUnusable,
    QuotaExhausted,
)
from services.embedder.spaces import Purpose, SkipReason
from tests.embedder_support import ScriptedProvider, hashed
from tests.support import until

QUERY = Purpose.QUERY


def raising(error: Exception) -> Callable[[Sequence[str], Purpose, float], None]:
    def before(texts: Sequence[str], purpose: Purpose, timeout_seconds: float) -> None:
        raise error

    return before


@asynccontextmanager
async def opened(
    *providers: ScriptedProvider, max_waiting_texts: int = 1000
) -> AsyncIterator[Embedder]:
    def factory(provider: Provider) -> Callable[[], Provider]:
        return lambda: provider

    factories = {str(number): factory(provider) for number, provider in enumerate(providers)}
    embedder = Embedder(
        factories, max_waiting_texts=max_waiting_texts, default_timeout_seconds=30.0
    )
    async with embedder:
        try:
            yield embedder
        finally:
            for provider in providers:
                provider.may_go_on.set()


async def test_without_a_wish_the_most_preferred_space_answers() -> None:
    first, second = ScriptedProvider("first"), ScriptedProvider("second")
    async with opened(first, second) as embedder:
        outcome = await embedder.embed(["a", "b"], [], QUERY)
        assert [status.space for status in embedder.spaces()] == [first.space, second.space]
    assert outcome.space == first.space
    assert outcome.skipped == []
    assert np.array_equal(outcome.vectors, hashed(["a", "b"]))
    assert not second.calls


async def test_the_callers_order_counts() -> None:
    first, second = ScriptedProvider("first"), ScriptedProvider("second")
    async with opened(first, second) as embedder:
        wish = [second.space.id, second.space.id, first.space.id]
        assert (await embedder.embed(["a"], wish, QUERY)).space == second.space


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ProviderFailed("no"), SkipReason.FAILED),
        (QuotaExhausted(), SkipReason.QUOTA),
        (CircuitOpen(), SkipReason.CIRCUIT_OPEN),
        (ZeroDivisionError(), SkipReason.FAILED),
    ],
)
async def test_a_space_that_fails_is_passed_over_and_named(
    error: Exception, reason: SkipReason
) -> None:
    first, second = ScriptedProvider("first", before=raising(error)), ScriptedProvider("second")
    async with opened(first, second) as embedder:
        outcome = await embedder.embed(["a"], ["gone", first.space.id, second.space.id], QUERY)
    assert outcome.space == second.space
    assert [(each.space_id, each.reason) for each in outcome.skipped] == [
        ("gone", SkipReason.UNKNOWN_SPACE),
        (first.space.id, reason),
    ]


async def test_a_space_that_hangs_leaves_time_for_the_next() -> None:
    first, second = ScriptedProvider("first"), ScriptedProvider("second")
    first.may_go_on.clear()
    async with opened(first, second) as embedder:
        deadlines.start(0.5)
        started = time.monotonic()
        outcome = await embedder.embed(["a"], [], QUERY)
        assert 0.2 < time.monotonic() - started < 0.45
    assert outcome.space == second.space
    assert [each.reason for each in outcome.skipped] == [SkipReason.TIMEOUT]


async def test_a_single_space_has_the_whole_deadline() -> None:
    seen: list[float] = []
    only = ScriptedProvider(before=lambda texts, purpose, seconds: seen.append(seconds))
    async with opened(only) as embedder:
        deadlines.start(5.0)
        await embedder.embed(["a"], [only.space.id, "unknown"], QUERY)
    assert 4.5 < seen[0] <= 5.0


async def test_when_all_hang_the_deadline_is_exceeded() -> None:
    first, second = ScriptedProvider("first"), ScriptedProvider("second")
    first.may_go_on.clear()
    second.may_go_on.clear()
    async with opened(first, second) as embedder:
        deadlines.start(0.1)
        with pytest.raises(DeadlineExceeded) as caught:
            await embedder.embed(["a"], [], QUERY)
    assert caught.value.metadata == {first.space.id: "TIMEOUT", second.space.id: "TIMEOUT"}


async def test_when_all_fail_the_error_names_the_cause_of_each() -> None:
    first = ScriptedProvider("first", before=raising(QuotaExhausted()))
    second = ScriptedProvider("second", before=raising(CircuitOpen()))
    async with opened(first, second) as embedder:
        with pytest.raises(Unavailable) as caught:
            await embedder.embed(["a"], [], QUERY)
    assert caught.value.reason == "SPACES_UNAVAILABLE"
    assert caught.value.metadata == {first.space.id: "QUOTA", second.space.id: "CIRCUIT_OPEN"}


async def test_a_space_that_does_not_exist_here_is_a_failed_precondition() -> None:
    async with opened(ScriptedProvider()) as embedder:
        with pytest.raises(FailedPrecondition) as caught:
            await embedder.embed(["a"], ["gone", "gone too"], QUERY)
    assert caught.value.reason == "SPACE_UNKNOWN"


async def test_a_full_queue_gives_way_to_the_next_space_or_is_an_overload() -> None:
    first, second = ScriptedProvider("first"), ScriptedProvider("second")
    first.may_go_on.clear()
    async with opened(first, second, max_waiting_texts=4) as embedder:
        busy = asyncio.ensure_future(embedder.embed(["b"] * 4, [first.space.id], QUERY))
        await until(lambda: bool(first.calls))
        waiting = asyncio.ensure_future(embedder.embed(["w"] * 4, [first.space.id], QUERY))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await embedder.embed(["a"], [first.space.id], QUERY)
        assert (await embedder.embed(["a"], [], QUERY)).space == second.space
        first.may_go_on.set()
        await asyncio.gather(busy, waiting)


@pytest.mark.parametrize(
    ("texts", "wish", "message"),
    [
        ([], [], "texts: none given, at least 1 and at most 256"),
        (["a"] * 257, [], "texts: 257 given, at most 256"),
        (["a", ""], [], "texts[1]: empty"),
        (["a" * 100_001], [], "texts[0]: 100001 characters, at most 100000"),
        (["a"], ["s"] * 33, "spaces: 33 given, at most 32"),
        (["a"], ["s", ""], "spaces[1]: empty"),
    ],
)
async def test_what_is_not_within_the_limits_is_refused(
    texts: list[str], wish: list[str], message: str
) -> None:
    async with opened(ScriptedProvider()) as embedder:
        with pytest.raises(InvalidArgument) as caught:
            await embedder.embed(texts, wish, QUERY)
    assert caught.value.message == message


def _unusable() -> Provider:
    raise ProviderUnusable("no model")


def _missing_library() -> Provider:
    raise ImportError("no such library")


async def test_a_provider_that_cannot_be_opened_is_left_out() -> None:
    good = ScriptedProvider()
    factories = {"a": _unusable, "b": _missing_library, "c": lambda: good}
    async with Embedder(factories, max_waiting_texts=1000, default_timeout_seconds=30) as embedder:
        assert [status.space for status in embedder.spaces()] == [good.space]


@pytest.mark.parametrize("factories", [{}, {"minilm": _unusable}])
async def test_without_any_provider_there_is_no_start(
    factories: dict[str, Callable[[], Provider]],
) -> None:
    embedder = Embedder(factories, max_waiting_texts=1000, default_timeout_seconds=30)
    with pytest.raises(ProviderUnusable, match="no provider could be opened"):
        await embedder.__aenter__()


async def test_a_caller_who_leaves_frees_his_place() -> None:
    only = ScriptedProvider()
    only.may_go_on.clear()
    async with opened(only, max_waiting_texts=4) as embedder:
        calls = [asyncio.ensure_future(embedder.embed(["x"], [], QUERY)) for _ in range(3)]
        await until(lambda: bool(only.calls))
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        only.may_go_on.set()
        outcome = await embedder.embed(["y"] * 4, [], QUERY)
    assert len(outcome.vectors) == 4
