"""One run: a stack, its clients, the faults, and the verdict."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import httpx

from faults.clients import Calls, Gateway, channel, gateways_of
from faults.cluster import Cluster, running_cluster
from faults.history import History
from faults.injector import Injector
from faults.leaks import Sampler
from faults.oracle import Oracle
from faults.outages import Outages
from faults.polling import becomes_true
from faults.schedule import planned
from faults.searchers import Searcher, grpc_ways, http_way
from faults.tuning import Tuner
from faults.verdict import Outcome, Run, Settings, verdict
from faults.watching import Watcher
from faults.writers import Writer
from vitrina.catalog.v1 import catalog_pb2_grpc
from vitrina.search.v1 import search_pb2 as pb

_WRITERS = 3
_PRODUCTS_EACH = 40
# Cached answers must live long enough to be used, and to be wrong.
_WRITER_PAUSE_SECONDS = 0.3
_TUNER_PAUSE_SECONDS = 0.1
_SEARCHERS = 3
_SEARCHER_PAUSE_SECONDS = 0.03
_PROBE_SECONDS = 2.0
_START_SECONDS = 60.0
_SETTLE_SECONDS = 45.0


async def run(settings: Settings, data_dir: Path, log: Path) -> Outcome:
    """Run once, with a data folder that is not there yet; what the stack does wrong is noted."""
    async with running_cluster(data_dir, log) as cluster:
        return await _Run(settings, cluster).carried_out()


class _Run:
    """The parts of one run."""

    def __init__(self, settings: Settings, cluster: Cluster) -> None:
        self._settings = settings
        self._cluster = cluster
        self._history = History(settings.seed)
        self._calls = Calls()
        self._oracle = Oracle(self._history)
        self._outages = Outages()
        self._sampler = Sampler(cluster)
        self._began = time.monotonic()

    async def carried_out(self) -> Outcome:
        async with AsyncExitStack() as stack:
            gateways = await stack.enter_async_context(gateways_of(self._cluster))
            probes = await stack.enter_async_context(gateways_of(self._cluster))
            http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            writers = [
                self._writer(f"writer-{n}", gateways, _PRODUCTS_EACH) for n in range(_WRITERS)
            ]
            self._prober = self._writer("probe", probes, 1)
            self._prober.give_up_chance = 1.0
            product_ids = [i for writer in writers for i in writer.product_ids]
            tuner = Tuner(gateways, product_ids, self._history, self._calls, _TUNER_PAUSE_SECONDS)
            rest = f"http://{self._cluster.processes['rest'].address}"
            ways = grpc_ways(gateways) | {"rest": http_way(http, rest)}
            searchers = [
                Searcher(
                    f"searcher-{n}",
                    ways,
                    product_ids,
                    self._history,
                    self._oracle,
                    self._calls,
                    _SEARCHER_PAUSE_SECONDS,
                )
                for n in range(_SEARCHERS)
            ]
            injector = Injector(self._cluster, self._outages, self._is_whole, self._history.violate)
            watchers = await stack.enter_async_context(self._watchers(gateways))
            beside = [watcher.run() for watcher in watchers]
            beside += [self._sampler.run(), self._checking()]
            async with _running(beside):
                clients: list[Writer | Searcher | Tuner] = [*writers, *searchers, tuner]
                async with asyncio.TaskGroup() as tasks:
                    for client in clients:
                        tasks.create_task(client.run())
                    await self._hurt(injector)
                    for client in clients:
                        client.is_closing = True
                await self._ended(watchers)
                run = Run(
                    self._settings,
                    self._began,
                    self._history,
                    self._calls,
                    self._outages,
                    injector,
                    self._sampler,
                    self._oracle,
                )
                return await verdict(run, self._cluster, gateways, watchers, tuner)

    def _writer(self, name: str, gateways: Mapping[str, Gateway], products: int) -> Writer:
        return Writer(
            name,
            [f"{name}/{number}" for number in range(products)],
            gateways,
            self._history,
            self._calls,
            _WRITER_PAUSE_SECONDS,
        )

    async def _hurt(self, injector: Injector) -> None:
        settings = self._settings
        if not await becomes_true(self._is_whole, _START_SECONDS):
            self._history.violate("comes back", "not whole after the start")
        until = time.monotonic() + settings.seconds if settings.seconds else None
        if settings.kills:
            has_redis = self._cluster.has_redis
            await injector.run(planned(settings.seed, settings.kills, has_redis=has_redis), until)
        elif settings.seconds:
            await asyncio.sleep(settings.seconds)

    async def _is_whole(self) -> bool:
        """Tell whether all serve, and a write by each gateway is found by meaning in both."""
        names = self._cluster.processes
        if not all(await asyncio.gather(*map(self._cluster.serves, names))):
            return False
        for gateway in self._prober.gateways.values():
            try:
                status = await gateway.search.GetStatus(
                    pb.GetStatusRequest(), timeout=_PROBE_SECONDS
                )
                serving = [p for p in status.processes if p.state == pb.PROCESS_STATE_SERVING]
                is_up = len(serving) == 4 and status.cache.is_following
                if not is_up or status.cache.redis == pb.REDIS_STATE_DOWN:
                    return False
            except grpc.aio.AioRpcError:
                return False
        product_id = self._prober.product_ids[0]
        if not await self._prober.upsert([product_id]):
            return False
        request = pb.SearchRequest(
            query="mesa",
            filter='attributes.sku = "skuprobe0"',
            mode=pb.MODE_SEMANTIC,
            min_revision=self._history.acknowledged,
        )
        try:
            answers = await asyncio.gather(
                *(
                    gateway.search.Search(request, timeout=_PROBE_SECONDS)
                    for gateway in self._prober.gateways.values()
                )
            )
        except grpc.aio.AioRpcError:
            return False
        return not any(answer.info.degraded for answer in answers)

    async def _checking(self) -> None:
        while True:
            self._oracle.check_what_can_be()
            await asyncio.sleep(0.2)

    @asynccontextmanager
    async def _watchers(self, gateways: Mapping[str, Gateway]) -> AsyncIterator[list[Watcher]]:
        async with channel(self._cluster.processes["catalog"].address) as direct:
            stub: catalog_pb2_grpc.CatalogServiceAsyncStub
            stub = catalog_pb2_grpc.CatalogServiceStub(direct)
            yield [
                Watcher("catalog", stub, self._history, self._calls),
                *(
                    Watcher(name, gateway.catalog, self._history, self._calls)
                    for name, gateway in gateways.items()
                ),
            ]

    async def _ended(self, watchers: Sequence[Watcher]) -> None:
        """Return when the feed has told everything to everybody, or the time for it is over."""
        history, probe = self._history, self._prober.product_ids
        # Begun after the last answer came, so it tells what that one cannot have seen.
        await becomes_true(lambda: self._prober.upsert(probe), _SETTLE_SECONDS)
        await becomes_true(lambda: history.head >= history.acknowledged, _SETTLE_SECONDS)
        await becomes_true(lambda: all(w.cursor == history.head for w in watchers), _SETTLE_SECONDS)


@asynccontextmanager
async def _running(work: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run these beside the block, and end them with it; what they raise ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
