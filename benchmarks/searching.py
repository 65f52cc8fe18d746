"""Searches of every kind beside their floors: all of them, in turn, for each query."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import grpc.aio

from benchmarks.bare_onnx import BareModel
from benchmarks.echo import GET, SET
from benchmarks.floors import BareTables
from benchmarks.processes import OneProcess, Stack
from benchmarks.queries import cached, computed
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

# Known to type checkers alone.
Stub: TypeAlias = "search_pb2_grpc.SearchServiceAsyncStub"
Raw: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]"
# Milliseconds by the stage's name.
Stages: TypeAlias = dict[str, float]

ECHO = "bare grpc.aio echo of the same reply"
EMBEDDING = "bare onnxruntime, the query's vector"
WORDS = "bare FTS5, 200 hits"
ROWS = "bare sqlite3, ten rows"
ONE_PROCESS = "one process, hybrid"
ONE_PROCESS_FILTERED = "one process, hybrid, price filter"
FLOORS = (ECHO, EMBEDDING, WORDS, ROWS, ONE_PROCESS, ONE_PROCESS_FILTERED)
CACHED = "cached"
CLIENT = "client"
HYBRID, FILTERED = "hybrid", "hybrid, price filter"
# What each kind of search is held against.
FLOOR_OF = {CACHED: ECHO, HYBRID: ONE_PROCESS, FILTERED: ONE_PROCESS_FILTERED}

# All products of its page are in the gateway's memory; for the others they are read.
KNOWN = "hybrid, its products in memory"
KINDS = (CACHED, KNOWN, *computed("", ""))
# They need the answer of the query before they can be asked.
_ABOUT_AN_ANSWER = (ECHO, ROWS, CACHED, KNOWN)


@dataclass
class Measured:
    """Seconds of each kind of call, and the stages that the answers tell, by query."""

    seconds: dict[str, list[float]]
    # Milliseconds.
    stages: dict[str, list[Stages]]
    # Of the one process.
    stages_of_one: list[Stages]
    reply_bytes: list[int]

    @classmethod
    def blank(cls, queries: int) -> "Measured":
        """Return room for so many queries."""
        return cls(
            {kind: [0.0] * queries for kind in (*FLOORS, *KINDS)},
            {kind: [{}] * queries for kind in KINDS},
            [{}] * queries,
            [0] * queries,
        )


class Asking:
    """Asks queries in every way. What it finds degraded ends the run: it would measure less.

    `gateway` is that of the stack, `reading` one that keeps no products.
    """

    def __init__(
        self,
        gateway: grpc.aio.Channel,
        reading: grpc.aio.Channel,
        echo: grpc.aio.Channel,
        model: BareModel,
        tables: BareTables,
        one_process: OneProcess,
        passing: str,
    ) -> None:
        self._gateway: Stub = search_pb2_grpc.SearchServiceStub(gateway)
        self._reading: Stub = search_pb2_grpc.SearchServiceStub(reading)
        self._set: Raw = echo.unary_unary(SET)
        self._echo: Raw = echo.unary_unary(GET)
        self._model = model
        self._tables = tables
        self._one = one_process
        self._passing = passing
        # The order of the calls, that none always follows the same other one.
        self._chance = random.Random(11)

    async def ask(self, queries: Sequence[str]) -> Measured:
        """Ask each query once in each way, all ways in turn, in an order of chance.

        Each way is at another query at a time, as far away as can be: so none finds in a
        memory what another one has just left there.
        """
        measured = Measured.blank(len(queries))
        ways = (*(kind for kind in measured.seconds if kind not in _ABOUT_AN_ANSWER), "")
        ahead = {way: n * len(queries) // len(ways) for n, way in enumerate(ways)}
        for turn in range(len(queries)):
            for way in self._chance.sample(ways, len(ways)):
                place = (turn + ahead[way]) % len(queries)
                if way:
                    await self._call(way, queries[place], place, measured)
                else:
                    await self._call_about_an_answer(queries[place], place, measured)
        return measured

    async def _call(self, kind: str, query: str, place: int, measured: Measured) -> None:
        started = time.perf_counter()
        if kind == EMBEDDING:
            self._model.embed(query)
        elif kind == WORDS:
            self._tables.words(query)
        elif kind in (ONE_PROCESS, ONE_PROCESS_FILTERED):
            is_filtered = kind == ONE_PROCESS_FILTERED
            spent = self._one.seconds_by_stage(query, self._passing if is_filtered else "")
            measured.seconds[kind][place] = spent["total"]
            if not is_filtered:
                stages = {stage: seconds * 1000 for stage, seconds in spent.items()}
                measured.stages_of_one[place] = stages
            return
        else:
            request = computed(query, self._passing)[kind]
            await self._search(self._reading, kind, request, place, measured)
            return
        measured.seconds[kind][place] = time.perf_counter() - started

    async def _call_about_an_answer(self, query: str, place: int, measured: Measured) -> None:
        reply = await self._gateway.Search(cached(query))  # from now on it is cached
        ids = [result.product.id for result in reply.results]
        reply_bytes = reply.SerializeToString()
        await self._set(reply_bytes)
        measured.reply_bytes[place] = len(reply_bytes)
        for kind in self._chance.sample(_ABOUT_AN_ANSWER, len(_ABOUT_AN_ANSWER)):
            if kind in (CACHED, KNOWN):
                request = cached(query) if kind == CACHED else computed(query, "")[HYBRID]
                await self._search(self._gateway, kind, request, place, measured)
                continue
            started = time.perf_counter()
            if kind == ECHO:
                await self._echo(b"")
            else:
                self._tables.rows(ids)
            measured.seconds[kind][place] = time.perf_counter() - started

    async def _search(
        self,
        stub: Stub,
        kind: str,
        request: pb.SearchRequest,
        place: int,
        measured: Measured,
    ) -> None:
        started = time.perf_counter()
        response = await stub.Search(request)
        seconds = time.perf_counter() - started
        refuse_degraded(kind, response)
        measured.seconds[kind][place] = seconds
        measured.stages[kind][place] = stages_of(response.info.timings, seconds)


def refuse_degraded(kind: str, response: pb.SearchResponse) -> None:
    """Raise unless the answer is whole, and from where it ought to be."""
    expected = pb.PROVENANCE_MEMORY if kind == CACHED else pb.PROVENANCE_COMPUTED
    if response.info.degraded or response.info.provenance != expected:
        said = [pb.Degradation.Name(each) for each in response.info.degraded]
        provenance = pb.Provenance.Name(response.info.provenance)
        raise RuntimeError(f"{kind}: answered {provenance}, degraded: {', '.join(said) or 'no'}")


def stages_of(timings: pb.Timings, seconds: float) -> Stages:
    """Return milliseconds of each stage, of the gateway's rest, and of all that is around it.

    Words go beside embedding and index, so of these the longer way counts.
    """
    ways = max(timings.embed_ms + timings.index_ms, timings.text_ms)
    after = timings.arrange_ms + timings.hydrate_ms
    return {
        "cache": timings.cache_ms,
        "embed": timings.embed_ms,
        "index": timings.index_ms,
        "text": timings.text_ms,
        "arrange": timings.arrange_ms,
        "hydrate": timings.hydrate_ms,
        "rest of the gateway": timings.total_ms - timings.cache_ms - ways - after,
        "gateway, total": timings.total_ms,
        "client and transport": seconds * 1000 - timings.total_ms,
    }


async def measure(
    stack: Stack,
    reading: Stack,
    echo_address: str,
    one_process: OneProcess,
    tables: BareTables,
    queries: Sequence[str],
    passing: str,
    *,
    warm_up: Sequence[str],
) -> Measured:
    """Ask every query in every way, after others that do not count."""
    async with (
        grpc.aio.insecure_channel(stack.grpc) as gateway,
        grpc.aio.insecure_channel(reading.grpc) as reader,
        grpc.aio.insecure_channel(echo_address) as echo,
    ):
        asking = Asking(gateway, reader, echo, BareModel(), tables, one_process, passing)
        await asking.ask(warm_up)
        return await asking.ask(queries)


async def cpu_per_query(
    stack: Stack, reading: Stack, queries: Sequence[str], passing: str
) -> Mapping[str, Mapping[str, float]]:
    """Return milliseconds of processor per query, by kind and process, the caller's too.

    Each kind has queries of its own.
    """
    found: dict[str, dict[str, float]] = {}
    for number, kind in enumerate(KINDS):
        own = queries[number :: len(KINDS)]
        is_known = kind in (CACHED, KNOWN)
        asked = stack if is_known else reading
        async with grpc.aio.insecure_channel(asked.grpc) as channel:
            search: Stub = search_pb2_grpc.SearchServiceStub(channel)
            for query in own if is_known else own[:1]:
                await search.Search(cached(query))
            before, own_before = asked.cpu_seconds(), time.process_time()
            for query in own:
                requests = {**computed(query, passing), CACHED: cached(query)}
                request = requests[HYBRID if kind == KNOWN else kind]
                refuse_degraded(kind, await search.Search(request))
            spent = {name: after - before[name] for name, after in asked.cpu_seconds().items()}
            spent[CLIENT] = time.process_time() - own_before
            found[kind] = {name: 1000 * seconds / len(own) for name, seconds in spent.items()}
    return found
