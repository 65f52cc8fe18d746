"""Calls one at a time, in an order of chance, some of them beside a bare echo of their answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

import grpc.aio
from google.protobuf.message import Message

from benchmarks.echo import GET, SET

# By the number of a query.
Call: TypeAlias = Callable[[int], Awaitable[Message]]
Seconds: TypeAlias = dict[str, list[float]]

WARM_UP_QUERIES = 30


@dataclass
class Asked:
    """Seconds of each call by kind, and of the echo beside it, in the same order."""

    seconds: Seconds = field(default_factory=dict)
    echo: Seconds = field(default_factory=dict)


class Asker:
    """Asks questions of several kinds."""

    def __init__(self, kinds: Mapping[str, Call], queries: int, echo: grpc.aio.Channel) -> None:
        self._kinds = kinds
        self._queries = queries
        self._set_reply: Any = echo.unary_unary(SET)
        self._echo: Any = echo.unary_unary(GET)
        self._chance = Random(5)

    async def warm_up(self) -> None:
        """Ask some, untimed."""
        for query in range(min(WARM_UP_QUERIES, self._queries)):
            await self._round(query, self._nothing())

    async def ask_all(self) -> Asked:
        """Ask each query once in each kind."""
        asked = self._nothing()
        for query in range(self._queries):
            await self._round(query, asked)
        return asked

    async def ask_during(self, work: Awaitable[object]) -> Asked:
        """Ask again and again until something is done; once at least."""
        asked = self._nothing()
        task = asyncio.ensure_future(work)
        try:
            query = 0
            while query == 0 or not task.done():
                await self._round(query % self._queries, asked)
                query += 1
            await task
        finally:
            task.cancel()
        return asked

    def _nothing(self) -> Asked:
        return Asked({kind: [] for kind in self._kinds}, {kind: [] for kind in self._kinds})

    async def _round(self, query: int, asked: Asked) -> None:
        for kind in self._chance.sample(list(self._kinds), len(self._kinds)):
            started = time.perf_counter()
            reply = await self._kinds[kind](query)
            asked.seconds[kind].append(time.perf_counter() - started)
            await self._set_reply(reply.SerializeToString())
            started = time.perf_counter()
            await self._echo(b"")
            asked.echo[kind].append(time.perf_counter() - started)


@asynccontextmanager
async def asker(kinds: Mapping[str, Call], queries: int, echo: str) -> AsyncIterator[Asker]:
    """Open a channel to an echo server, and ask."""
    async with grpc.aio.insecure_channel(echo) as channel:
        yield Asker(kinds, queries, channel)
