"""Latencies of searches beside a bare echo of the same reply, call by call in turn."""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc.aio
import numpy as np

from benchmarks.echo import GET, SET
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"

MODES: dict[str, pb.Mode.ValueType] = {
    "hybrid": pb.MODE_HYBRID,
    "semantic": pb.MODE_SEMANTIC,
    "lexical": pb.MODE_LEXICAL,
}


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Latency":
        """Return the percentiles of these measurements."""
        p50, p99 = np.percentile(np.array(seconds) * 1000, [50, 99])
        return cls(float(p50), float(p99))


def queries_from(names: list[str], count: int) -> list[str]:
    """Return distinct queries of two or three words out of product names; always the same ones."""
    chance = random.Random(7)
    queries: dict[str, None] = {}
    for name in chance.sample(names, min(len(names), count * 2)):
        words = [word for word in name.split() if word.isalpha()]
        if len(words) >= 2:
            queries[" ".join(words[: chance.choice([2, 3])])] = None
    return list(queries)[:count]


async def search_latencies(
    address: str, echo_address: str, queries: list[str]
) -> dict[str, Latency]:
    """Measure each query in each mode and cached, beside an echo of the very same reply."""
    spent: dict[str, list[float]] = {"echo": [], "cached": [], **{mode: [] for mode in MODES}}

    async def timed(kind: str, call: Callable[[], Awaitable[object]]) -> None:
        started = time.perf_counter()
        await call()
        spent[kind].append(time.perf_counter() - started)

    async with (
        grpc.aio.insecure_channel(address) as channel,
        grpc.aio.insecure_channel(echo_address) as echo_channel,
    ):
        stub: search_pb2_grpc.SearchServiceAsyncStub = search_pb2_grpc.SearchServiceStub(channel)
        set_reply: Call = echo_channel.unary_unary(SET)
        echo: Call = echo_channel.unary_unary(GET)
        for query in queries[:50]:  # warm up
            await stub.Search(pb.SearchRequest(query=query, skip_cache=True))
            await echo(b"")
        for query in queries:
            request = pb.SearchRequest(query=query, page_size=10)
            reply = await stub.Search(request)  # fills the cache
            await set_reply(reply.SerializeToString())
            await timed("echo", lambda: echo(b""))
            for name, mode in MODES.items():
                computed = pb.SearchRequest(query=query, page_size=10, skip_cache=True, mode=mode)
                await timed(name, lambda computed=computed: stub.Search(computed))  # type: ignore[misc]
            await timed("cached", lambda request=request: stub.Search(request))  # type: ignore[misc]
    return {kind: Latency.of(seconds) for kind, seconds in spent.items()}
