"""A catalog that has its products from the start: nothing is stored, so that millions are there
at once.

python -m benchmarks.scale.stand_in_catalog FILE COUNT    a file of `RealShop`; the port is printed
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

from benchmarks.scale.real_shop import RealShop
from benchmarks.scale.shop import Shop, number_of
from benchmarks.scale.stand_in_embedder import serve
from vitrina.catalog.v1 import catalog_pb2 as pb
from vitrina.catalog.v1 import catalog_pb2_grpc

_CATALOG_ID = "stand-in"
_CHANGES_PER_RESPONSE = 500
Context = grpc.aio.ServicerContext[Any, Any]


class StandInCatalog(catalog_pb2_grpc.CatalogServiceServicer):
    """The feed of a shop whose products came in order of their numbers; takes upserts."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        # What came after the shop: products in order of their revisions.
        self._written: list[pb.Product] = []
        self._latest: dict[int, int] = {}
        self._moved = asyncio.Condition()

    async def BatchUpsertProducts(  # noqa: N802, D102
        self, request: pb.BatchUpsertProductsRequest, _context: Context
    ) -> pb.BatchUpsertProductsResponse:
        results: list[pb.BatchUpsertResult] = []
        async with self._moved:
            for product in request.products:
                product.revision = self._head + 1
                self._written.append(product)
                self._latest[number_of(product.id)] = product.revision
                results.append(pb.BatchUpsertResult(id=product.id, revision=product.revision))
            self._moved.notify_all()
        return pb.BatchUpsertProductsResponse(results=results, revision=self._head)

    async def WatchChanges(  # noqa: N802, D102
        self, request: pb.WatchChangesRequest, _context: Context
    ) -> AsyncIterator[pb.WatchChangesResponse]:
        position = request.after_revision
        yield self._page(position, 0)
        while True:
            async with self._moved:
                await self._moved.wait_for(lambda: self._head > position)  # noqa: B023
            page = self._page(position, _CHANGES_PER_RESPONSE)
            position += len(page.changes)
            yield page

    @property
    def _head(self) -> int:
        return self._shop.size + len(self._written)

    def _page(self, after: int, count: int) -> pb.WatchChangesResponse:
        revisions = range(after + 1, min(after + count, self._head) + 1)
        return pb.WatchChangesResponse(
            changes=map(self._change, revisions),
            head_revision=self._head,
            catalog_id=_CATALOG_ID,
        )

    def _change(self, revision: int) -> pb.Change:
        product = self._product_of(revision)
        change = pb.Change(
            revision=revision, kind=pb.CHANGE_KIND_UPSERT, category_after=product.category
        )
        change.product_id = product.id
        if self._latest.get(number_of(product.id), revision) == revision:
            change.product.CopyFrom(product)
        return change

    def _product_of(self, revision: int) -> pb.Product:
        if revision > self._shop.size:
            return self._written[revision - self._shop.size - 1]
        product = self._shop.product(revision - 1)
        product.revision = revision
        return product


async def _main() -> None:
    shop = Shop(RealShop.load(Path(sys.argv[1])).products, int(sys.argv[2]))
    servicer = StandInCatalog(shop)  # type: ignore[abstract]
    await serve(
        lambda server: catalog_pb2_grpc.add_CatalogServiceServicer_to_server(servicer, server)
    )


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
