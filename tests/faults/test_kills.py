"""Kill -9 each process in turn while products are written and searched for."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import grpc.aio
import pytest

from tests.index_equality import assert_index_equals_catalog
from tests.stack import SERVICES, Stack, running_stack
from tests.support import until
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb

WORDS = ["lámpara", "mesa", "silla", "roble", "haya", "blanca", "negra", "plegable", "cocina"]

TRANSIENT = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Shop:
    """Writes at random, and knows what was acknowledged."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.chance = random.Random(seed)
        self.acknowledged: dict[str, catalog_pb2.Product] = {}
        self.writes = 0
        self.revision = 0
        self.is_closing = False

    def _product(self) -> catalog_pb2.Product:
        return catalog_pb2.Product(
            id=f"p/{self.chance.randrange(300)}",
            name=" ".join(self.chance.choices(WORDS, k=4)),
            category=self.chance.choice(["Hogar > Mesas", "Hogar > Sillas", "Luz", ""]),
            brand=self.chance.choice(["Olmo", "Brisa"]),
            price=f"{self.chance.randrange(1, 99999) / 100:.2f}",
            currency="EUR",
            stock=self.chance.randrange(50),
        )

    async def write(self) -> None:
        """Write until told to close; what is not acknowledged is tried again, as it is."""
        while not self.is_closing:
            if self.chance.random() < 0.25 and self.acknowledged:
                gone = self.chance.choice(sorted(self.acknowledged))
                request = catalog_pb2.DeleteProductRequest(id=gone, allow_missing=True)
                self.revision = await self._acknowledged(partial(self._delete, request))
                del self.acknowledged[gone]
            else:
                batch = {p.id: p for p in (self._product() for _ in range(8))}
                upsert = partial(self.stack.upsert, list(batch.values()))
                self.revision = await self._acknowledged(upsert)
                self.acknowledged |= batch
            self.writes += 1

    async def _delete(self, request: catalog_pb2.DeleteProductRequest) -> int:
        return (await self.stack.catalog.DeleteProduct(request, timeout=5)).revision

    async def _acknowledged(self, write: Callable[[], Awaitable[int]]) -> int:
        while True:
            try:
                return await write()
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT:
                    raise
                await asyncio.sleep(0.02)


class Customer:
    """Searches all the time, and counts what comes back."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.outcomes: Counter[str] = Counter()
        self.is_closing = False

    async def search(self) -> None:
        """Search until told to close; only errors that a retry may mend may come."""
        number = 0
        while not self.is_closing:
            number += 1
            request = pb.SearchRequest(query=f"{WORDS[number % len(WORDS)]} {number}", page_size=5)
            try:
                answer = await self.stack.search.Search(request, timeout=5)
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT:
                    raise
                self.outcomes[error.code().name] += 1
                await asyncio.sleep(0.01)
                continue
            labels = [pb.Degradation.Name(label) for label in answer.info.degraded]
            self.outcomes["+".join(labels) or "sound"] += 1


@pytest.mark.parametrize("seed", [11])
async def test_nothing_acknowledged_is_lost_and_the_index_equals_the_catalog(
    tmp_path: Path, seed: int
) -> None:
    data_dir = tmp_path / "data"
    async with running_stack(data_dir) as stack:
        shop, customer = Shop(stack, seed), Customer(stack)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(shop.write())
            tasks.create_task(customer.search())
            await until(lambda: shop.writes > 20, what="writing has begun")
            for name in SERVICES:
                others = {other: stack.pid_of(other) for other in SERVICES if other != name}
                await stack.kill(name)
                await until(stack.all_serve, what=f"all serve again after {name} was killed")
                await until(lambda name=name: stack.pid_of(name) is not None)  # type: ignore[misc]
                assert {other: stack.pid_of(other) for other in others} == others
                seen = shop.writes, customer.outcomes["sound"]
                await until(
                    lambda seen=seen: (
                        shop.writes > seen[0] + 5  # type: ignore[misc]
                        and customer.outcomes["sound"] > seen[1] + 5
                    ),
                    what=f"writing and sound searches after {name} was killed",
                )
            shop.is_closing = customer.is_closing = True

        stored = await stack.all_products()
        assert {i: (p.name, p.category, p.price, p.stock) for i, p in stored.items()} == {
            i: (p.name, p.category, p.price, p.stock) for i, p in shop.acknowledged.items()
        }
        await stack.searchable(shop.revision)
        await assert_index_equals_catalog(stack, data_dir)
        log = stack.log.read_text(encoding="utf-8")
        assert len(re.findall("restarting", log)) == len(SERVICES)
        assert "Traceback" not in log


async def test_an_import_lives_through_the_death_of_every_process(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    rows = tmp_path / "rows.csv"
    with rows.open("w", encoding="utf-8") as file:
        file.write("id;nombre;precio\n")
        file.writelines(f"sku {n};Silla número {n};{n % 90},5 €\n" for n in range(3000))
    async with running_stack(data_dir) as stack:
        importing = asyncio.create_task(
            stack.cli(
                "import",
                str(rows),
                "--map",
                "name=nombre,price=precio",
                "--batch-size",
                "50",
                "--wait",
                "--json",
                cwd=tmp_path,
            )
        )

        async def has_begun() -> bool:
            status = await stack.search.GetStatus(pb.GetStatusRequest(), timeout=5)
            return status.catalog.revision > 100

        await until(has_begun)
        for name in SERVICES:
            await stack.kill(name)
            await until(stack.all_serve)
        code, out, err = await asyncio.wait_for(importing, 100)
        assert code == 0, out + err
        stored = await stack.all_products()
        assert len(stored) == 3000
        assert stored["sku 7"].price == "7.50"
        assert stored["sku 7"].currency == "EUR"
        await assert_index_equals_catalog(stack, data_dir)
