"""Texts of one purpose on their way to a provider, and the threads that take them there."""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Self

import numpy as np

from services.common.errors import Overloaded, Unavailable
from services.common.telemetry import get_logger
from services.embedder.providers.base import (
    Embedded,
    LaneLimits,
    Provider,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    TextRefused,
)
from services.embedder.spaces import Purpose
from services.embedder.traffic import QueryTraffic

log = get_logger()

# How long the end waits for a thread that is inside a call of its provider.
_JOIN_SECONDS = 2.0


@dataclass(eq=False)
class _Call:
    """The texts of one caller, on their way through a lane."""

    texts: Sequence[str]
    give_up_at: float
    result: asyncio.Future[Embedded]
    embedded: Embedded
    # Those that are in batches already, and those that came back.
    taken: int = 0
    done: int = 0

    @property
    def waiting(self) -> int:
        return len(self.texts) - self.taken

    def receive(self, start: int, embedded: Embedded) -> None:
        end = start + len(embedded.vectors)
        self.embedded.vectors[start:end] = embedded.vectors
        self.embedded.is_truncated[start:end] = embedded.is_truncated
        self.done += end - start
        if self.done == len(self.texts) and not self.result.done():
            self.result.set_result(self.embedded)

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)


@dataclass(frozen=True)
class _Share:
    """What one batch holds of one call: some of its texts, in a row."""

    call: _Call
    start: int
    texts: Sequence[str]


# What became of each share of a batch.
_Outcome = tuple[_Share, Embedded | ProviderError]


class Lane:
    """A bounded queue of texts for one purpose. Its threads belong to its async context.

    Whatever waits while all threads are busy goes together into the next call, first
    come, first served. A caller who gives up takes his texts back out. Only the calls
    of the provider are made in threads; all else is the event loop's, and needs no lock.
    """

    def __init__(
        self,
        provider: Provider,
        purpose: Purpose,
        limits: LaneLimits,
        max_waiting_texts: int,
        traffic: QueryTraffic,
    ) -> None:
        self._provider = provider
        self._purpose = purpose
        self._limits = limits
        self._max_waiting_texts = max_waiting_texts
        self._traffic = traffic
        self._waiting: deque[_Call] = deque()
        self._waiting_texts = 0
        self._busy_threads = 0
        # None ends the thread that takes it.
        self._batches: SimpleQueue[Sequence[_Share] | None] = SimpleQueue()
        self._is_closing = False
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        name = f"{self._provider.space.provider}-{self._purpose.value}"
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(self._limits.workers)
        ]
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closing = True
        for call in list(self._waiting):
            self._withdraw(call)
            call.fail(Unavailable("the embedder is stopping"))
        for _thread in self._threads:
            self._batches.put(None)
        await asyncio.to_thread(self._join)

    def _join(self) -> None:
        give_up_at = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, give_up_at - time.monotonic()))
            if thread.is_alive():
                log.warning("thread left behind", thread=thread.name)

    async def embed(self, texts: Sequence[str], timeout_seconds: float) -> Embedded:
        """Embed the texts, which may go in several calls of the provider.

        Raises ProviderError, and Overloaded when too many texts wait already.
        """
        if self._is_closing:
            raise Unavailable("the embedder is stopping")
        count = len(texts)
        if self._waiting_texts + count > self._max_waiting_texts:
            raise Overloaded(
                f"{self._waiting_texts} texts are waiting, at most {self._max_waiting_texts}"
            )
        call = _Call(
            texts,
            time.monotonic() + timeout_seconds,
            self._loop.create_future(),
            Embedded(
                np.empty((count, self._provider.space.dimensions), dtype=np.float32),
                np.zeros(count, dtype=np.bool_),
            ),
        )
        self._waiting.append(call)
        self._waiting_texts += count
        self._feed_threads()
        timer = self._loop.call_later(timeout_seconds, call.fail, ProviderTimeout())
        try:
            return await call.result
        finally:
            timer.cancel()
            self._withdraw(call)

    def _withdraw(self, call: _Call) -> None:
        """Take out what still waits of a call."""
        if call.waiting:
            self._waiting.remove(call)
            self._waiting_texts -= call.waiting
            call.taken = len(call.texts)

    def _feed_threads(self) -> None:
        """Hand out batches. A thread that is held back is looked at again after each batch."""
        allowed = self._limits.workers
        if self._limits.workers_beside_queries and not self._traffic.is_calm():
            allowed = self._limits.workers_beside_queries
        while self._busy_threads < allowed and self._waiting:
            self._busy_threads += 1
            self._batches.put(self._next_batch())

    def _next_batch(self) -> Sequence[_Share]:
        shares: list[_Share] = []
        room = self._limits.batch_texts
        while room and self._waiting:
            call = self._waiting[0]
            # A call that one batch can hold is in one batch: had half of it been
            # embedded when the other half fails, it would be paid for twice.
            if shares and room < len(call.texts) <= self._limits.batch_texts:
                break
            count = min(room, call.waiting)
            shares.append(_Share(call, call.taken, call.texts[call.taken : call.taken + count]))
            call.taken += count
            self._waiting_texts -= count
            room -= count
            if not call.waiting:
                self._waiting.popleft()
        return shares

    def _work(self) -> None:
        """Embed batches until there are no more; the body of each thread."""
        _lower_priority(self._limits.niceness)
        for batch in iter(self._batches.get, None):
            outcomes = list(self._embed(batch))
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the callers with it
                self._loop.call_soon_threadsafe(self._finish, outcomes)

    def _embed(self, batch: Sequence[_Share]) -> Iterable[_Outcome]:
        # The latest counts: whoever gives up sooner has his own clock.
        timeout_seconds = max(share.call.give_up_at for share in batch) - time.monotonic()
        texts = [text for share in batch for text in share.texts]
        failure: ProviderError
        try:
            if timeout_seconds <= 0:
                raise ProviderTimeout
            embedded = self._provider.embed_batch(texts, self._purpose, timeout_seconds)
        except TextRefused as error:
            if len(batch) > 1:  # one caller's bad text is not the failure of the others
                return [outcome for share in batch for outcome in self._embed([share])]
            failure = error
        except ProviderError as error:
            failure = error
        except Exception:
            log.exception("provider broke", space=self._provider.space.id)
            failure = ProviderFailed("broke")
        else:
            return _shared_out(batch, embedded)
        return [(share, failure) for share in batch]

    def _finish(self, outcomes: Sequence[_Outcome]) -> None:
        """Give the thread that has come back its next batch, and then the callers theirs."""
        for share, outcome in outcomes:
            if isinstance(outcome, ProviderError):
                self._withdraw(share.call)
        self._busy_threads -= 1
        self._feed_threads()
        for share, outcome in outcomes:
            if isinstance(outcome, ProviderError):
                share.call.fail(outcome)
            else:
                share.call.receive(share.start, outcome)


def _shared_out(batch: Sequence[_Share], embedded: Embedded) -> Iterable[_Outcome]:
    start = 0
    for share in batch:
        end = start + len(share.texts)
        yield share, Embedded(embedded.vectors[start:end], embedded.is_truncated[start:end])
        start = end


def _lower_priority(niceness: int) -> None:
    """Add to the niceness of this thread, where threads have one of their own."""
    if niceness and sys.platform == "linux":
        thread_id = threading.get_native_id()
        with contextlib.suppress(OSError):  # a matter of speed only
            now = os.getpriority(os.PRIO_PROCESS, thread_id)
            os.setpriority(os.PRIO_PROCESS, thread_id, now + niceness)
