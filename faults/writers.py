"""Clients that write: each has products of its own, and knows what was acknowledged."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import grpc.aio

from faults.clients import TRANSIENT, Calls, Gateway
from faults.history import History, Write
from faults.products import product_of
from vitrina.catalog.v1 import catalog_pb2 as pb

_TIMEOUT_SECONDS = 3.0
_RETRY_SECONDS = 0.05
_LONG_PAUSE_CHANCE = 0.1
_WAITING_CHANCE = 0.25

Attempt = Callable[[Gateway], Awaitable[list[int]]]


@dataclass
class Writer:
    """Upserts, batches, moves between categories, and removals, one at a time."""

    name: str
    product_ids: Sequence[str]
    gateways: Mapping[str, Gateway]
    history: History
    calls: Calls
    pause_seconds: float
    # After an attempt that failed; whether the write happened is open then.
    give_up_chance: float = 0.15
    is_closing: bool = False
    done: int = 0
    _versions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._chance = random.Random(f"{self.history.seed}/{self.name}")

    async def run(self) -> None:
        """Write until told to close."""
        chance = self._chance
        await self.fill()
        while not self.is_closing:
            dice = chance.random()
            if dice < 0.2:
                await self.delete(chance.choice(self.product_ids))
            elif dice < 0.4:
                await self.upsert(chance.sample(self.product_ids, 5))
            else:
                is_waiting = chance.random() < _WAITING_CHANCE
                await self.upsert([chance.choice(self.product_ids)], is_waiting=is_waiting)
            # Now and then nothing changes for a while, and cached answers are used.
            pause = 10 if chance.random() < _LONG_PAUSE_CHANCE else chance.uniform(0.5, 1.5)
            await asyncio.sleep(self.pause_seconds * pause)

    async def fill(self) -> None:
        """Write every product once."""
        for first in range(0, len(self.product_ids), 50):
            await self.upsert(self.product_ids[first : first + 50])

    async def upsert(self, product_ids: Sequence[str], *, is_waiting: bool = False) -> bool:
        """Write the next versions, as a batch where they are several; tell whether it is known.

        `is_waiting`: until they are found by meaning.
        """
        writes = []
        for product_id in product_ids:
            version = self._versions[product_id] = self._versions.get(product_id, 0) + 1
            writes.append(Write(self.name, product_id, version, time.monotonic()))
        products = [product_of(self.history.seed, w.product_id, w.version or 0) for w in writes]

        async def attempt(gateway: Gateway) -> list[int]:
            if len(products) == 1:
                request = pb.UpsertProductRequest(product=products[0], wait_searchable=is_waiting)
                response = await gateway.catalog.UpsertProduct(request, timeout=_TIMEOUT_SECONDS)
                self.history.show(response.product, f"answer to {self.name}")
                if is_waiting:
                    self.history.promise(response.revision)
                return [response.product.revision]
            batch = await gateway.catalog.BatchUpsertProducts(
                pb.BatchUpsertProductsRequest(products=products), timeout=_TIMEOUT_SECONDS
            )
            return [result.revision for result in batch.results]

        return await self._tried(writes, attempt, "wait" if is_waiting else "write")

    async def delete(self, product_id: str) -> bool:
        """Remove a product, whether it is there or not."""
        write = Write(self.name, product_id, None, time.monotonic())

        async def attempt(gateway: Gateway) -> list[int]:
            request = pb.DeleteProductRequest(id=product_id, allow_missing=True)
            response = await gateway.catalog.DeleteProduct(request, timeout=_TIMEOUT_SECONDS)
            return [response.revision]

        return await self._tried([write], attempt, "write")

    async def _tried(self, writes: list[Write], attempt: Attempt, kind: str) -> bool:
        """Try until it is acknowledged, or sometimes give up."""
        for write in writes:
            self.history.begin(write)
        names = list(self.gateways)
        turn = self._chance.randrange(len(names))
        while True:
            name = names[turn % len(names)]
            started = time.monotonic()
            try:
                revisions = await attempt(self.gateways[name])
            except grpc.aio.AioRpcError as error:
                call = self.calls.failed(kind, name, started, error, str(writes[0]))
                for write in writes:
                    write.failures.append(f"{name} {call.status}")
                if call.status not in TRANSIENT:
                    self.history.violate("writes go in", f"{writes[0]}: {call.error}")
                    return False
                if self._chance.random() < self.give_up_chance:
                    return False
                turn += 1
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self.calls.succeeded(kind, name, started)
            for write, revision in zip(writes, revisions, strict=True):
                self.history.acknowledge(write, revision)
            self.done += 1
            return True
