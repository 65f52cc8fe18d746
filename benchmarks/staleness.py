"""Write at one gateway, then ask all of them for that revision: whoever answers older is stale."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc.aio

from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

PRODUCTS = 12
CATEGORIES = ("Kitchen > Kettles", "Kitchen > Kettles > Electric", "Garden")
# Every product is a kettle, so that each of these finds every one of its category.
QUERIES = (
    pb.SearchRequest(query="kettle"),
    pb.SearchRequest(query="kettle", mode=pb.MODE_LEXICAL),
    pb.SearchRequest(query="kettle", mode=pb.MODE_SEMANTIC),
    pb.SearchRequest(query="kettle", category="Kitchen > Kettles"),
    pb.SearchRequest(query="kettle", category="Garden", mode=pb.MODE_LEXICAL),
)


@dataclass
class Tally:
    """What came of the rounds. `stale` names the first answers that were older than asked for."""

    rounds: int = 0
    answers: int = 0
    # Answers that the cache held before the write, and answers at the revision that it held.
    warm: int = 0
    from_cache: int = 0
    degraded: int = 0
    failed: int = 0
    stale_answers: int = 0
    stale: list[str] = field(default_factory=list)


class Gateway:
    """The two services of one gateway."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.catalog: catalog_pb2_grpc.CatalogServiceAsyncStub
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self.search: search_pb2_grpc.SearchServiceAsyncStub
        self.search = search_pb2_grpc.SearchServiceStub(channel)


class Rounds:
    """A small shop that changes at any of its gateways, and what it ought to hold."""

    def __init__(self, gateways: Sequence[Gateway], seed: int = 7) -> None:
        self.tally = Tally()
        self._gateways = gateways
        self._chance = random.Random(seed)
        # Name and category of each product that is there.
        self._expected: dict[str, tuple[str, str]] = {}

    async def play(self, rounds: int) -> Tally:
        """Play so many rounds more; return the tally of all."""
        for _ in range(rounds):
            query = self._chance.choice(QUERIES)
            for gateway in self._gateways:
                await self._warm(gateway, query)
            revision = await self._write(self._chance.choice(self._gateways))
            for gateway in self._chance.sample(self._gateways, len(self._gateways)):
                for _ in range(2):  # the second one may come from the cache
                    await self._ask(gateway, query, revision)
            self.tally.rounds += 1
        return self.tally

    async def _warm(self, gateway: Gateway, query: pb.SearchRequest) -> None:
        request = _whole(query)
        await gateway.search.Search(request)
        response = await gateway.search.Search(request)
        self.tally.warm += response.info.provenance == pb.PROVENANCE_MEMORY

    async def _write(self, gateway: Gateway) -> int:
        product_id = f"kettle-{self._chance.randrange(PRODUCTS)}"
        if product_id in self._expected and self._chance.random() < 0.2:
            del self._expected[product_id]
            removal = catalog_pb2.DeleteProductRequest(id=product_id)
            return (await gateway.catalog.DeleteProduct(removal)).revision
        name = f"kettle of round {self.tally.rounds}"
        category = self._chance.choice(CATEGORIES)
        self._expected[product_id] = name, category
        product = catalog_pb2.Product(id=product_id, name=name, category=category)
        upsert = catalog_pb2.UpsertProductRequest(product=product)
        return (await gateway.catalog.UpsertProduct(upsert)).revision

    async def _ask(self, gateway: Gateway, query: pb.SearchRequest, revision: int) -> None:
        try:
            response = await gateway.search.Search(_whole(query, revision))
        except grpc.aio.AioRpcError as error:
            self.tally.failed += 1
            self._note(f"{query.mode} {query.category!r}: {error.code().name}")
            return
        self.tally.answers += 1
        self.tally.degraded += bool(response.info.degraded)
        self.tally.from_cache += response.info.provenance == pb.PROVENANCE_MEMORY
        found = {
            result.product.id: (result.product.name, result.product.category)
            for result in response.results
        }
        expected = {
            product_id: (name, category)
            for product_id, (name, category) in self._expected.items()
            if f"{category} > ".startswith(f"{query.category} > " if query.category else "")
        }
        if found != expected or response.info.revision < revision:
            self.tally.stale_answers += 1
            provenance = pb.Provenance.Name(response.info.provenance)
            self._note(
                f"round {self.tally.rounds}, {provenance}: revision {response.info.revision} for "
                f"{revision}, differs in {sorted(found.items() ^ expected.items())}"
            )

    def _note(self, problem: str) -> None:
        if len(self.tally.stale) < 5:
            self.tally.stale.append(problem)


def _whole(query: pb.SearchRequest, min_revision: int = 0) -> pb.SearchRequest:
    request = pb.SearchRequest(page_size=2 * PRODUCTS, min_revision=min_revision)
    request.MergeFrom(query)
    return request
