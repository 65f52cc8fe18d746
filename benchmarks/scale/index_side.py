"""The index with so many products: how it is built, what it holds, how it answers."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import grpc
import grpc.aio
import numpy as np

from benchmarks.scale.asking import Call, asker
from benchmarks.scale.drawing import Drawing, Integers
from benchmarks.scale.exact import Truth, nearest
from benchmarks.scale.figures import IndexFigures, Recall
from benchmarks.scale.running import Folder, Running, running
from benchmarks.scale.shop import Passing, numbers_of
from benchmarks.scale.stand_in_embedder import SPACE
from services.common.channel import channel_to
from services.index.model import Matrix
from vitrina.index.v1 import index_pb2 as pb
from vitrina.index.v1 import index_pb2_grpc

# As the gateway asks for a hybrid search.
GATEWAY_LIMIT = 300
GATEWAY_FEEDBACK = 10
K = 10
TEN, GATEWAY = "ten hits", "as the gateway asks"
_POLL_SECONDS = 0.1
_CPU_SEARCHES = 200
_CHECK_SECONDS = 900.0

Stub: TypeAlias = "index_pb2_grpc.IndexServiceAsyncStub"


@dataclass(frozen=True)
class Index:
    """An index process that follows a catalog and an embedder."""

    process: Running
    stub: Stub

    async def collection(self) -> pb.Collection | None:
        """Return the one collection, if it is there."""
        answer = await self.stub.ListCollections(pb.ListCollectionsRequest())
        return next((each for each in answer.collections if each.space == SPACE), None)

    async def until_ready(self, revision: int, within_seconds: float) -> float:
        """Wait until it is READY and has applied a revision; return the seconds since its start."""
        deadline = time.perf_counter() + within_seconds
        while True:
            collection = await self.collection()
            if (
                collection is not None
                and collection.state == pb.COLLECTION_STATE_READY
                and collection.applied_revision >= revision
            ):
                return time.perf_counter() - self.process.started
            if time.perf_counter() > deadline:
                raise TimeoutError(f"not ready within {within_seconds:.0f} s: {collection}")
            await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def running_index(folder: Folder, catalog: str, embedder: str) -> AsyncIterator[Index]:
    """Start an index; what it holds stays in the folder."""
    upstreams = {"VITRINA_CATALOG_ADDRESS": catalog, "VITRINA_EMBEDDER_ADDRESS": embedder}
    async with (
        running("index", folder, upstreams) as process,
        channel_to(process.address) as channel,
    ):
        yield Index(process, index_pb2_grpc.IndexServiceStub(channel))


class Searches:
    """The searches of one set of query vectors."""

    def __init__(self, stub: Stub, vectors: Matrix) -> None:
        self._stub = stub
        self.vectors = vectors

    def call(self, limit: int, filter_text: str = "", feedback_products: int = 0) -> Call:
        """Return what asks a query by its number."""

        async def ask(query: int) -> pb.SearchResponse:
            return await self._stub.Search(
                pb.SearchRequest(
                    space=SPACE,
                    vector=self.vectors[query].astype("<f4").tobytes(),
                    limit=limit,
                    filter=filter_text,
                    feedback_products=feedback_products,
                ),
                timeout=60.0,
            )

        return ask

    def as_the_gateway(self, filter_text: str = "") -> Call:
        """Return what asks as the gateway does for a hybrid search."""
        return self.call(GATEWAY_LIMIT, filter_text, GATEWAY_FEEDBACK)

    def kinds(self, filters: Sequence[Passing]) -> dict[str, Call]:
        """Return all kinds that are timed."""
        by_filter = {passing.name: self.call(K, passing.text) for passing in filters}
        return {TEN: self.call(K), GATEWAY: self.as_the_gateway(), **by_filter}


async def measure_searches(
    index: Index, queries: Matrix, filters: Sequence[Passing], echo: str, figures: IndexFigures
) -> None:
    """Time searches of all kinds, and what the gateway's cost the processor."""
    searches = Searches(index.stub, queries)
    async with asker(searches.kinds(filters), len(queries), echo) as asking:
        await asking.warm_up()
        figures.searches = await asking.ask_all()
    ask = searches.as_the_gateway()
    before = index.process.cpu_seconds
    for query in range(_CPU_SEARCHES):
        await ask(query % len(queries))
    figures.search_cpu_ms = (index.process.cpu_seconds - before) / _CPU_SEARCHES * 1000


async def measure_recall(
    index: Index,
    drawing: Drawing,
    products: int,
    queries: Matrix,
    filters: Sequence[Passing],
) -> dict[str, Recall]:
    """Hold searches against a comparison with all products, and against CheckRecall."""
    all_filters = [Passing("none", "", None), *filters]
    versions = np.zeros(products, dtype=np.int64)
    masks = [passing.mask for passing in all_filters]
    truths = await asyncio.to_thread(nearest, drawing, versions, queries, masks, K)
    recalls: dict[str, Recall] = {}
    for passing, truth in zip(all_filters, truths, strict=True):
        shares, plans = await _searched(index, queries, passing.text, truth)
        checked = await _checked(index, queries, passing.text)
        cosines = np.median(truth.cosines, axis=0)
        told = next(iter(plans)).passing
        wanted = passing.count(products)
        if told != wanted:
            raise RuntimeError(f"{passing.text}: {told:,} pass, not {wanted:,}")
        recalls[passing.name] = Recall(
            passing=told,
            strategy=_strategy(plans),
            mean=float(np.mean(shares)),
            worst=min(shares),
            own=checked.recall.recall if checked else None,
            own_search_ms=checked.search_ms if checked else None,
            own_scan_ms=checked.scan_ms if checked else None,
            first_cosine=float(cosines[0]),
            tenth_cosine=float(cosines[-1]),
        )
    return recalls


async def recall_at(index: Index, drawing: Drawing, versions: Integers, queries: Matrix) -> float:
    """Return the recall of searches without a filter, of products in these versions."""
    (truth,) = await asyncio.to_thread(nearest, drawing, versions, queries, [None], K)
    shares, _ = await _searched(index, queries, "", truth)
    return float(np.mean(shares))


async def _searched(
    index: Index, queries: Matrix, filter_text: str, truth: Truth
) -> tuple[list[float], list[pb.Plan]]:
    ask = Searches(index.stub, queries).call(K, filter_text)
    shares: list[float] = []
    plans: list[pb.Plan] = []
    for query in range(len(queries)):
        answer = await ask(query)
        assert isinstance(answer, pb.SearchResponse)
        shares.append(truth.share_of(query, numbers_of(answer.product_ids)))
        plans.append(answer.plan)
    return shares, plans


async def _checked(
    index: Index, queries: Matrix, filter_text: str
) -> pb.CheckRecallResponse | None:
    request = pb.CheckRecallRequest(
        space=SPACE, vectors=queries.astype("<f4").tobytes(), limit=K, filter=filter_text
    )
    try:
        return await index.stub.CheckRecall(request, timeout=_CHECK_SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return None
        raise


def _strategy(plans: Sequence[pb.Plan]) -> str:
    (strategy, _), *_ = Counter(plan.strategy for plan in plans).most_common(1)
    return pb.Strategy.Name(strategy).removeprefix("STRATEGY_").lower()
