"""The queues in front of a provider."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Self

from services.embedder.lane import Lane
from services.embedder.providers.base import Embedded, Provider
from services.embedder.spaces import Purpose
from services.embedder.traffic import QueryTraffic


class Queue:
    """A provider, opened, with a lane per purpose: queries never wait behind documents."""

    def __init__(
        self, provider: Provider, *, max_waiting_texts: int, traffic: QueryTraffic
    ) -> None:
        self.provider = provider
        self._max_waiting_texts = max_waiting_texts
        self._traffic = traffic
        self._lanes: Mapping[Purpose, Lane] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.provider)
            self._lanes = {
                purpose: await stack.enter_async_context(
                    Lane(self.provider, purpose, limits, self._max_waiting_texts, self._traffic)
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
        if purpose is Purpose.QUERY:
            self._traffic.note()
        return await self._lanes[purpose].embed(texts, timeout_seconds)
