"""Changes that reach the index while it is searched."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import numpy as np

from benchmarks.scale.asking import asker
from benchmarks.scale.drawing import Drawing, Integers
from benchmarks.scale.figures import Changes, IndexFigures
from benchmarks.scale.index_side import GATEWAY, Index, Searches, recall_at
from benchmarks.scale.shop import Passing, Shop
from benchmarks.scale.stand_in_embedder import SPACE
from services.common.channel import channel_to
from services.index.model import Matrix
from vitrina.catalog.v1 import catalog_pb2
from vitrina.index.v1 import index_pb2

# At the same pace: how many of them are written at once.
PACED = {"texts at a pace, in fifties": 50, "texts at a pace, in fives": 5}
_UPSERT = "/vitrina.catalog.v1.CatalogService/BatchUpsertProducts"
_FLOOD_BATCH = 250
_WAIT_SECONDS = 60.0
_APPLIED_WITHIN_SECONDS = 1800.0


@dataclass(frozen=True)
class Load:
    """How much is changed."""

    # So long are quiet searches asked, and so long changes come at the pace.
    seconds: float
    changes_per_second: float
    # As fast as they go.
    flood: int


async def measure_changes(
    index: Index,
    catalog: str,
    *,
    shop: Shop,
    drawing: Drawing,
    queries: Matrix,
    filters: list[Passing],
    load: Load,
    echo: str,
    figures: IndexFigures,
) -> None:
    """Search quietly, beside changes of texts at a pace, and beside floods of texts and prices."""
    searches = Searches(index.stub, queries)
    kinds = {GATEWAY: searches.as_the_gateway()}
    kinds |= {passing.name: searches.as_the_gateway(passing.text) for passing in filters}
    writes = Writes(shop)
    paced = min(round(load.seconds * load.changes_per_second), shop.size)
    async with (
        channel_to(catalog) as channel,
        asker(kinds, len(queries), echo) as asking,
    ):
        upsert: Any = channel.unary_unary(
            _UPSERT, response_deserializer=catalog_pb2.BatchUpsertProductsResponse.FromString
        )
        await asking.warm_up()
        figures.quiet = await asking.ask_during(asyncio.sleep(load.seconds))
        plans: dict[str, tuple[Iterator[tuple[int, bytes]], float | None]] = {
            name: (writes.texts(paced, batch), load.changes_per_second)
            for name, batch in PACED.items()
        }
        plans["texts, at once"] = (writes.texts(load.flood, _FLOOD_BATCH), None)
        plans["prices, at once"] = (writes.prices(load.flood, _FLOOD_BATCH), None)
        for name, (batches, pace) in plans.items():
            changes = Changes(0, 0.0, 0.0, searches=figures.quiet)
            changes.searches = await asking.ask_during(
                _write(upsert, index, list(batches), pace, changes)
            )
            figures.changes[name] = changes
    figures.changed = index.process.memory
    figures.recall_after_changes = await recall_at(index, drawing, writes.versions, queries)


class Writes:
    """Batches of changed products as bytes, so that making them costs nothing while searches go."""

    def __init__(self, shop: Shop) -> None:
        self.versions: Integers = np.zeros(shop.size, dtype=np.int64)
        self._shop = shop
        self._chance = np.random.default_rng(11)

    def texts(self, count: int, batch: int) -> Iterator[tuple[int, bytes]]:
        """Yield changed texts, which have other vectors."""
        for numbers in self._parts(count, batch):
            self.versions[numbers] += 1
            yield self._batch(numbers, 0)

    def prices(self, count: int, batch: int) -> Iterator[tuple[int, bytes]]:
        """Yield changed prices, up by a cent."""
        for numbers in self._parts(count, batch):
            yield self._batch(numbers, 100)

    def _parts(self, count: int, batch: int) -> list[Integers]:
        count = min(count, self._shop.size)
        numbers = self._chance.choice(self._shop.size, count, replace=False)
        return [numbers[start : start + batch] for start in range(0, count, batch)]

    def _batch(self, numbers: Integers, price_change_e4: int) -> tuple[int, bytes]:
        products = (
            self._shop.product(number, int(self.versions[number]), price_change_e4=price_change_e4)
            for number in numbers.tolist()
        )
        request = catalog_pb2.BatchUpsertProductsRequest(products=products)
        return len(numbers), request.SerializeToString()


async def _write(
    upsert: Any,
    index: Index,
    batches: list[tuple[int, bytes]],
    pace: float | None,
    changes: Changes,
) -> None:
    started = time.perf_counter()
    revision = 0
    for count, request in batches:
        if pace is not None:
            await asyncio.sleep(started + changes.changes / pace - time.perf_counter())
        answer = await upsert(request, timeout=_WAIT_SECONDS)
        revision = answer.revision
        changes.changes += count
    changes.written_seconds = time.perf_counter() - started
    await _applied(index, revision)
    changes.applied_seconds = time.perf_counter() - started


async def _applied(index: Index, revision: int) -> None:
    deadline = time.perf_counter() + _APPLIED_WITHIN_SECONDS
    request = index_pb2.WaitForRevisionRequest(spaces=[SPACE], min_revision=revision)
    while True:
        try:
            await index.stub.WaitForRevision(request, timeout=_WAIT_SECONDS)
        except grpc.aio.AioRpcError as error:
            is_late = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if not is_late or time.perf_counter() > deadline:
                raise
        else:
            return
