"""The queue in front of a provider, and the threads that empty it."""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
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
    missing: int

    def finish(self, error: Exception | None = None) -> None:
        """Wake the caller, from a worker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the caller with it
            self.result.get_loop().call_soon_threadsafe(self._set, error)

    def _set(self, error: Exception | None) -> None:
        if self.result.done():
            return
        if error is not None:
            self.result.set_exception(error)
        else:
            self.result.set_result(self.embedded)


@dataclass
class _Share:
    """What one batch holds of one call."""

    call: _Call
    rows: list[int] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [self.call.texts[row] for row in self.rows]


class Lane:
    """A bounded queue of texts for one purpose. Its threads belong to its async context.

    Whatever waits while a thread is busy goes together into its next call, first
    come, first served. A caller who gives up takes his texts back out.
    """

    def __init__(
        self, provider: Provider, purpose: Purpose, limits: LaneLimits, max_waiting_texts: int
    ) -> None:
        self._provider = provider
        self._purpose = purpose
        self._limits = limits
        self._max_waiting_texts = max_waiting_texts
        self._waiting: deque[tuple[_Call, int]] = deque()
        self._changed = threading.Condition()
        self._is_closing = False
        self._threads: list[threading.Thread] = []

    async def __aenter__(self) -> Self:
        name = f"{self._provider.space.provider}-{self._purpose.value}"
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(self._limits.workers)
        ]
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with self._changed:
            self._is_closing = True
            left_over = {call for call, _ in self._waiting}
            self._waiting.clear()
            self._changed.notify_all()
        for call in left_over:
            call.finish(Unavailable("the embedder is stopping"))
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
        count = len(texts)
        call = _Call(
            texts=texts,
            give_up_at=time.monotonic() + timeout_seconds,
            result=asyncio.get_running_loop().create_future(),
            embedded=Embedded(
                np.empty((count, self._provider.space.dimensions), dtype=np.float32),
                np.zeros(count, dtype=np.bool_),
            ),
            missing=count,
        )
        with self._changed:
            if self._is_closing:
                raise Unavailable("the embedder is stopping")
            if len(self._waiting) + count > self._max_waiting_texts:
                raise Overloaded(
                    f"{len(self._waiting)} texts are waiting, at most {self._max_waiting_texts}"
                )
            self._waiting.extend((call, row) for row in range(count))
            self._changed.notify(count)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await call.result
        except TimeoutError:
            raise ProviderTimeout from None
        finally:
            self._withdraw([call])
            if not call.result.cancel() and not call.result.cancelled():
                # An error that came at the same moment as the end is not "never retrieved".
                call.result.exception()

    def _withdraw(self, calls: Sequence[_Call]) -> None:
        with self._changed:
            if any(call.missing for call in calls):
                self._waiting = deque(item for item in self._waiting if item[0] not in calls)

    def _work(self) -> None:
        _lower_priority(self._limits.niceness)
        while batch := self._next_batch():
            try:
                self._embed(batch)
            except TextRefused as error:
                self._embed_one_by_one(batch, error)

    def _next_batch(self) -> list[_Share]:
        """Wait for texts and take them; nothing at the end."""
        shares: dict[_Call, _Share] = {}
        with self._changed:
            while not self._waiting:
                if self._is_closing:
                    return []
                self._changed.wait()
            room = self._limits.batch_texts
            while room and self._waiting:
                call, row = self._waiting[0]
                # A call that one batch can hold is in one batch: had half of it been
                # embedded when the other half fails, it would be paid for twice.
                if (
                    shares
                    and call not in shares
                    and room < len(call.texts) <= self._limits.batch_texts
                ):
                    break
                self._waiting.popleft()
                shares.setdefault(call, _Share(call)).rows.append(row)
                room -= 1
        return list(shares.values())

    def _embed(self, batch: list[_Share]) -> None:
        """Embed a batch and wake its callers; only TextRefused is left to be dealt with."""
        # The latest counts: whoever gives up sooner has his own clock.
        timeout_seconds = max(share.call.give_up_at for share in batch) - time.monotonic()
        texts = [text for share in batch for text in share.texts]
        try:
            if timeout_seconds <= 0:
                raise ProviderTimeout
            embedded = self._provider.embed_batch(texts, self._purpose, timeout_seconds)
        except TextRefused:
            raise
        except ProviderError as error:
            self._fail(batch, error)
        except Exception:
            log.exception("provider broke", space=self._provider.space.id)
            self._fail(batch, ProviderFailed("broke"))
        else:
            self._deliver(batch, embedded)

    def _embed_one_by_one(self, batch: list[_Share], error: TextRefused) -> None:
        """Let one caller's bad text not be the failure of the others."""
        if len(batch) == 1:
            self._fail(batch, error)
            return
        for share in batch:
            try:
                self._embed([share])
            except TextRefused as own_error:
                self._fail([share], own_error)

    def _deliver(self, batch: list[_Share], embedded: Embedded) -> None:
        start = 0
        for share in batch:
            end = start + len(share.rows)
            target = share.call.embedded
            target.vectors[share.rows] = embedded.vectors[start:end]
            target.is_truncated[share.rows] = embedded.is_truncated[start:end]
            start = end
            with self._changed:
                share.call.missing -= len(share.rows)
                is_complete = not share.call.missing
            if is_complete:
                share.call.finish()

    def _fail(self, batch: list[_Share], error: ProviderError) -> None:
        calls = [share.call for share in batch]
        self._withdraw(calls)
        for call in calls:
            call.finish(error)


def _lower_priority(niceness: int) -> None:
    """Add to the niceness of this thread, where threads have one of their own."""
    if niceness and sys.platform == "linux":
        thread_id = threading.get_native_id()
        with contextlib.suppress(OSError):  # a matter of speed only
            now = os.getpriority(os.PRIO_PROCESS, thread_id)
            os.setpriority(os.PRIO_PROCESS, thread_id, now + niceness)


class Queue:
    """A provider, opened, with a lane per purpose: queries never wait behind documents."""

    def __init__(self, provider: Provider, *, max_waiting_texts: int) -> None:
        self.provider = provider
        self._max_waiting_texts = max_waiting_texts
        self._lanes: Mapping[Purpose, Lane] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.provider)
            self._lanes = {
                purpose: await stack.enter_async_context(
                    Lane(self.provider, purpose, limits, self._max_waiting_texts)
                )
                for purpose, limits in self.provider.lanes.items()
            }
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def embed(
        self, texts: Sequence[str], purpose: Purpose, timeout_seconds: float
    ) -> Embedded:
        """As `Lane.embed`, in the lane of the purpose."""
        return await self._lanes[purpose].embed(texts, timeout_seconds)
