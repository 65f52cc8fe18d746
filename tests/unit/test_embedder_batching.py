"""The queue in front of a provider: order, fairness, bounds, and callers who leave."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from services.common.errors import Overloaded, Unavailable
from services.embedder.batching import Queue
from services.embedder.providers.base import (
    LaneLimits,
    ProviderFailed,
    ProviderTimeout,
    TextRefused,
)
from services.embedder.spaces import Purpose
from services.embedder.traffic import QueryTraffic
from tests.embedder_support import ScriptedProvider, hashed
from tests.support import until

QUERY, DOCUMENT = Purpose.QUERY, Purpose.DOCUMENT


@asynccontextmanager
async def opened(
    provider: ScriptedProvider, max_waiting_texts: int = 1_000
) -> AsyncIterator[Queue]:
    traffic = QueryTraffic()
    async with Queue(provider, max_waiting_texts=max_waiting_texts, traffic=traffic) as queue:
        try:
            yield queue
        finally:
            provider.may_go_on.set()


async def held_up(queue: Queue, provider: ScriptedProvider) -> asyncio.Task[object]:
    """Return a call for a query that keeps the only worker busy."""
    provider.may_go_on.clear()
    calls_before = len(provider.calls)
    task: asyncio.Task[object] = asyncio.ensure_future(queue.embed(["first"], QUERY, 30))
    await until(lambda: len(provider.calls) > calls_before)
    return task


async def test_rows_keep_their_order_over_many_batches_and_workers() -> None:
    provider = ScriptedProvider(lanes={DOCUMENT: LaneLimits(workers=3, batch_texts=7)})
    texts = [f"text number {number}" for number in range(250)]
    async with opened(provider) as queue:
        halves = await asyncio.gather(
            queue.embed(texts[:125], DOCUMENT, 30), queue.embed(texts[125:], DOCUMENT, 30)
        )
    assert np.array_equal(np.concatenate([half.vectors for half in halves]), hashed(texts))
    assert max(len(call) for call in provider.calls) == 7


async def test_what_waits_goes_together() -> None:
    provider = ScriptedProvider()
    async with opened(provider) as queue:
        first = await held_up(queue, provider)
        rest = [asyncio.ensure_future(queue.embed([f"q{n}"], QUERY, 30)) for n in range(5)]
        await asyncio.sleep(0)
        provider.may_go_on.set()
        await asyncio.gather(first, *rest)
    assert provider.calls == [["first"], ["q0", "q1", "q2", "q3", "q4"]]


async def test_a_call_that_a_batch_can_hold_is_never_in_two() -> None:
    provider = ScriptedProvider()
    async with opened(provider) as queue:
        first = await held_up(queue, provider)
        rest = [
            asyncio.ensure_future(queue.embed([f"{name}{n}" for n in range(count)], QUERY, 30))
            for name, count in (("a", 5), ("b", 2), ("c", 3), ("d", 11))
        ]
        await asyncio.sleep(0)
        provider.may_go_on.set()
        await asyncio.gather(first, *rest)
    whole = [["a0", "a1", "a2", "a3", "a4", "b0", "b1"], ["c0", "c1", "c2"]]
    assert provider.calls[1] == whole[0]
    assert provider.calls[2][:3] == whole[1]
    assert len(provider.calls[2]) == 8


async def test_a_query_does_not_wait_behind_documents() -> None:
    provider = ScriptedProvider()
    is_busy, may_end = threading.Event(), threading.Event()

    def before(texts: Sequence[str], purpose: Purpose, timeout_seconds: float) -> None:
        if purpose is DOCUMENT:
            is_busy.set()
            may_end.wait(30)

    provider.before = before
    async with opened(provider) as queue:
        documents = asyncio.ensure_future(queue.embed(["d"] * 100, DOCUMENT, 30))
        await until(is_busy.is_set)
        assert len((await queue.embed(["q"], QUERY, 30)).vectors) == 1
        assert not documents.done()
        may_end.set()
        await documents


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux")
async def test_documents_give_way_to_queries_on_the_processor() -> None:
    seen: dict[Purpose, int] = {}

    def before(texts: Sequence[str], purpose: Purpose, timeout_seconds: float) -> None:
        seen[purpose] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    lanes = {QUERY: LaneLimits(1, 1), DOCUMENT: LaneLimits(1, 1, niceness=3)}
    async with opened(ScriptedProvider(lanes=lanes, before=before)) as queue:
        await queue.embed(["q"], QUERY, 30)
        await queue.embed(["d"], DOCUMENT, 30)
    assert seen[DOCUMENT] == min(seen[QUERY] + 3, 19)


class ToldTraffic(QueryTraffic):
    """Is calm when it is told so."""

    is_told_calm = True

    def is_calm(self) -> bool:
        return self.is_told_calm


async def test_documents_leave_room_while_queries_come_and_take_it_back() -> None:
    may_leave = threading.Semaphore(0)

    def before(texts: Sequence[str], purpose: Purpose, timeout_seconds: float) -> None:
        may_leave.acquire(timeout=30)

    limits = LaneLimits(workers=3, batch_texts=1, workers_beside_queries=1)
    provider = ScriptedProvider(lanes={DOCUMENT: limits}, before=before)
    traffic = ToldTraffic()
    async with Queue(provider, max_waiting_texts=100, traffic=traffic) as queue:
        documents = asyncio.ensure_future(queue.embed(["d"] * 20, DOCUMENT, 30))
        await until(lambda: len(provider.calls) == 3)
        traffic.is_told_calm = False
        may_leave.release(3)  # two of the threads are not fed again
        await until(lambda: len(provider.calls) == 4)
        for calls in (5, 6, 7):
            may_leave.release()
            await until(lambda calls=calls: len(provider.calls) == calls)  # type: ignore[misc]
        traffic.is_told_calm = True
        may_leave.release()  # the one that comes back brings the others along
        await until(lambda: len(provider.calls) == 10)
        may_leave.release(20)
        await documents


async def test_queries_make_traffic_and_documents_do_not() -> None:
    traffic = QueryTraffic()
    async with Queue(ScriptedProvider(), max_waiting_texts=10, traffic=traffic) as queue:
        await queue.embed(["d"], DOCUMENT, 30)
        assert traffic.is_calm()
        query = asyncio.ensure_future(queue.embed(["q"], QUERY, 30))
        await asyncio.sleep(0)
        assert not traffic.is_calm()
        await query
        await until(traffic.is_calm)


async def test_a_full_queue_refuses_at_once_and_takes_again_later() -> None:
    provider = ScriptedProvider()
    async with opened(provider, max_waiting_texts=10) as queue:
        first = await held_up(queue, provider)
        waiting = asyncio.ensure_future(queue.embed(["w"] * 8, QUERY, 30))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="8 texts are waiting, at most 10"):
            await queue.embed(["x"] * 3, QUERY, 30)
        waiting.cancel()
        await asyncio.wait([waiting])
        more = asyncio.ensure_future(queue.embed(["x"] * 3, QUERY, 30))
        await asyncio.sleep(0)
        provider.may_go_on.set()
        await asyncio.gather(first, more)


async def test_texts_of_a_caller_who_leaves_are_not_embedded() -> None:
    provider = ScriptedProvider()
    async with opened(provider) as queue:
        first = await held_up(queue, provider)
        leaving = asyncio.ensure_future(queue.embed(["left"], QUERY, 30))
        staying = asyncio.ensure_future(queue.embed(["stays"], QUERY, 30))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(ProviderTimeout):
            await queue.embed(["late"], QUERY, 0.01)
        provider.may_go_on.set()
        await asyncio.gather(first, staying)
    assert provider.calls == [["first"], ["stays"]]


async def test_a_defect_fails_its_call_and_not_the_lane() -> None:
    provider = ScriptedProvider()

    def before(texts: Sequence[str], purpose: Purpose, timeout_seconds: float) -> None:
        if "bad" in texts:
            raise ZeroDivisionError

    provider.before = before
    async with opened(provider) as queue:
        with pytest.raises(ProviderFailed):
            await queue.embed(["bad"] * 20, QUERY, 30)
        assert len((await queue.embed(["good"], QUERY, 30)).vectors) == 1
    # 20 texts, but no second batch of a call that had failed already
    assert len(provider.calls) == 2


async def test_a_refused_text_fails_only_its_own_caller() -> None:
    provider = ScriptedProvider()

    def before(texts: Sequence[str], purpose: Purpose, timeout_seconds: float) -> None:
        if "bad" in texts:
            raise TextRefused

    provider.before = before
    async with opened(provider) as queue:
        first = await held_up(queue, provider)
        bad = asyncio.ensure_future(queue.embed(["bad"], QUERY, 30))
        good = asyncio.ensure_future(queue.embed(["good"], QUERY, 30))
        await asyncio.sleep(0)
        provider.may_go_on.set()
        await first
        assert len((await good).vectors) == 1
        with pytest.raises(TextRefused):
            await bad


async def test_the_end_wakes_those_who_wait() -> None:
    provider = ScriptedProvider()
    queue = Queue(provider, max_waiting_texts=10, traffic=QueryTraffic())
    await queue.__aenter__()
    first = await held_up(queue, provider)
    waiting = asyncio.ensure_future(queue.embed(["w"], QUERY, 30))
    await asyncio.sleep(0)
    ending = asyncio.ensure_future(queue.__aexit__())
    with pytest.raises(Unavailable):
        await waiting
    provider.may_go_on.set()
    await asyncio.gather(first, ending)
    with pytest.raises(Unavailable):
        await queue.embed(["too late"], QUERY, 30)
