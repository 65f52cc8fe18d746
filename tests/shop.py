"""All services over real gRPC in the process of the tests: a whole shop that starts at once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc.aio

from services.catalog.__main__ import compose as compose_catalog
from services.catalog.settings import CatalogSettings
from services.common.channel import channel_to
from services.common.server import Service, serving
from services.embedder.__main__ import compose as compose_embedder
from services.embedder.settings import EmbedderSettings
from services.gateway.__main__ import compose as compose_gateway
from services.gateway.settings import GatewaySettings
from services.index.__main__ import compose as compose_index
from services.index.settings import IndexSettings
from tests.support import free_port
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from vitrina.search.v1 import search_pb2_grpc


@dataclass
class GatewayStubs:
    """One gateway, seen from outside."""

    channel: grpc.aio.Channel

    @property
    def catalog(self) -> "catalog_pb2_grpc.CatalogServiceAsyncStub":
        """The catalog service on it."""
        return catalog_pb2_grpc.CatalogServiceStub(self.channel)

    @property
    def search(self) -> "search_pb2_grpc.SearchServiceAsyncStub":
        """The search service on it."""
        return search_pb2_grpc.SearchServiceStub(self.channel)

    async def put(
        self, product_id: str, name: str, *, wait_searchable: bool = False, timeout: float = 20.0
    ) -> int:
        """Store a product; return the revision that holds it."""
        product = catalog_pb2.Product(id=product_id, name=name)
        request = catalog_pb2.UpsertProductRequest(product=product, wait_searchable=wait_searchable)
        return (await self.catalog.UpsertProduct(request, timeout=timeout)).revision

    async def remove(self, product_id: str, *, wait_searchable: bool = False) -> int:
        """Remove a product; return the revision that holds the removal."""
        request = catalog_pb2.DeleteProductRequest(id=product_id, wait_searchable=wait_searchable)
        return (await self.catalog.DeleteProduct(request, timeout=20)).revision


class Shop:
    """A catalog, an embedder that hashes, an index that comes and goes, and gateways."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Of what runs or did run; what comes back does so at the same address.
        self._addresses: dict[str, str] = {}
        self._stack = AsyncExitStack()
        self._index = AsyncExitStack()
        self._embedder = AsyncExitStack()
        self.gateways: list[GatewayStubs] = []

    async def start(self, *, gateways: int, without: Sequence[str]) -> None:
        """Start everything but what is to be away."""
        for name in without:
            self._addresses[name] = f"127.0.0.1:{free_port()}"
        catalog = CatalogSettings(data_dir=self._folder, listen=self._address("catalog"))
        await self._serve("catalog", compose_catalog(catalog), self._stack)
        if "embedder" not in without:
            await self.start_embedder()
        if "index" not in without:
            await self.start_index()
        for _ in range(gateways):
            self.gateways.append(await self._gateway())

    async def stop(self) -> None:
        """Stop everything."""
        await self._stack.aclose()
        await self.stop_index()
        await self.stop_embedder()

    async def start_embedder(self) -> None:
        """Start the embedder, at its address."""
        settings = EmbedderSettings(listen=self._address("embedder"), providers=("hashing",))
        await self._serve("embedder", compose_embedder(settings), self._embedder)

    async def stop_embedder(self) -> None:
        """Stop the embedder."""
        await self._embedder.aclose()

    async def start_index(self) -> None:
        """Start the index, at its address."""
        settings = IndexSettings(
            listen=self._address("index"),
            data_dir=self._folder,
            catalog_address=self._addresses["catalog"],
            embedder_address=self._addresses["embedder"],
            spaces_interval_seconds=0.05,
            grace_seconds=1,
        )
        await self._serve("index", compose_index(settings), self._index)

    async def stop_index(self) -> None:
        """Stop the index."""
        await self._index.aclose()

    def _address(self, name: str) -> str:
        return self._addresses.get(name, "127.0.0.1:0")

    async def _serve(self, name: str, service: Service, stack: AsyncExitStack) -> None:
        port = await stack.enter_async_context(serving(service))
        self._addresses[name] = f"127.0.0.1:{port}"

    def serving_gateway(self) -> AbstractAsyncContextManager[int]:
        """Run a gateway inside the block; give its port."""
        addresses = {f"{name}_address": address for name, address in self._addresses.items()}
        settings = GatewaySettings.model_validate(
            {"listen": "127.0.0.1:0", "grace_seconds": 1, **addresses}
        )
        return serving(compose_gateway(settings))

    async def _gateway(self) -> GatewayStubs:
        port = await self._stack.enter_async_context(self.serving_gateway())
        channel: grpc.aio.Channel = await self._stack.enter_async_context(
            channel_to(f"127.0.0.1:{port}")
        )
        return GatewayStubs(channel)


@asynccontextmanager
async def running_shop(
    folder: Path, *, gateways: int = 1, without: Sequence[str] = ()
) -> AsyncIterator[Shop]:
    """Run a shop inside the block."""
    shop = Shop(folder)
    try:
        await shop.start(gateways=gateways, without=without)
        yield shop
    finally:
        await shop.stop()
