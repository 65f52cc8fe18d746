"""The catalog and the embedder as the index knows them, to be told what to answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from services.common.channel import channel_to
from services.common.errors import FailedPrecondition, InvalidArgument
from services.common.server import Service, serving
from services.index.__main__ import compose
from services.index.settings import IndexSettings
from tests.support import free_port, until
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from vitrina.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from vitrina.index.v1 import index_pb2, index_pb2_grpc

Vector = NDArray[np.float32]
Context = grpc.aio.ServicerContext[Any, Any]

TEMPLATE = "${name}. ${brand}. ${category}. ${description}"


def vector_of(space: str, text: str, dimensions: int) -> Vector:
    """Return the vector that the fake embedder gives: random, but always the same."""
    seed = int.from_bytes(blake2b(f"{space}\0{text}".encode(), digest_size=8).digest(), "big")
    vector = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return vector / np.linalg.norm(vector)


class Upstream:
    """A server on a port of its own, that can go away and come back."""

    def __init__(self, register: Callable[[grpc.aio.Server], None]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._register = register
        self._stack: AsyncExitStack | None = None

    async def start(self) -> None:
        self._stack = AsyncExitStack()
        service = Service(
            name="fake",
            listen=self.address,
            service_names=[],
            registrations=[self._register],
            adapters=[],
            grace_seconds=0,
        )
        await self._stack.enter_async_context(serving(service))

    async def stop(self) -> None:
        if self._stack is not None:
            await self._stack.aclose()
            self._stack = None


class FakeCatalog(catalog_pb2_grpc.CatalogServiceServicer):
    """A feed of what `put` and `delete` did."""

    def __init__(self) -> None:
        self.catalog_id = "catalog-1"
        self.products: dict[str, catalog_pb2.Product] = {}
        self.changes: list[catalog_pb2.Change] = []
        self.page_size = 500
        self.watches: list[int] = []
        self._moved = asyncio.Condition()
        self._epoch = 0
        self.upstream = Upstream(
            lambda server: catalog_pb2_grpc.add_CatalogServiceServicer_to_server(self, server)
        )

    @property
    def head(self) -> int:
        return len(self.changes)

    async def put(self, *products: catalog_pb2.Product) -> int:
        for product in products:
            product.revision = self.head + 1
            self.products[product.id] = product
            self._add(product.id, catalog_pb2.CHANGE_KIND_UPSERT)
        return await self._announce()

    async def delete(self, *ids: str) -> int:
        for id_ in ids:
            self.products.pop(id_, None)
            self._add(id_, catalog_pb2.CHANGE_KIND_DELETE)
        return await self._announce()

    async def tune(self) -> int:
        """Change a rule: a revision without a product."""
        self._add("", catalog_pb2.CHANGE_KIND_TUNING)
        return await self._announce()

    async def become_another(self) -> None:
        """Be a new, empty catalog; the streams end."""
        self.catalog_id += "-another"
        self.products.clear()
        self.changes.clear()
        await self.end_streams()

    async def end_streams(self) -> None:
        self._epoch += 1
        await self._announce()

    async def WatchChanges(
        self, request: catalog_pb2.WatchChangesRequest, context: Context
    ) -> AsyncIterator[catalog_pb2.WatchChangesResponse]:
        position = request.after_revision
        self.watches.append(position)
        if position > self.head:
            raise FailedPrecondition("after_revision is not known", reason="REVISION_UNKNOWN")
        epoch = self._epoch
        is_first = True
        while epoch == self._epoch:
            page = self.changes[position : position + self.page_size]
            if page or is_first:
                yield catalog_pb2.WatchChangesResponse(
                    changes=[self._with_product(change) for change in page],
                    head_revision=self.head,
                    catalog_id=self.catalog_id,
                )
            is_first = False
            position += len(page)
            async with self._moved:
                await self._moved.wait_for(
                    lambda: self.head > position or epoch != self._epoch  # noqa: B023
                )

    def _add(self, id_: str, kind: "catalog_pb2.ChangeKind.ValueType") -> None:
        self.changes.append(catalog_pb2.Change(revision=self.head + 1, kind=kind, product_id=id_))

    def _with_product(self, change: catalog_pb2.Change) -> catalog_pb2.Change:
        """Give the product along, unless a later change superseded this one."""
        product = self.products.get(change.product_id)
        if product is None or product.revision != change.revision:
            return change
        whole = catalog_pb2.Change()
        whole.CopyFrom(change)
        whole.product.CopyFrom(product)
        return whole

    async def _announce(self) -> int:
        async with self._moved:
            self._moved.notify_all()
        return self.head


class FakeEmbedder(embedder_pb2_grpc.EmbedderServiceServicer):
    """Embeds at once, unless it is told to do otherwise."""

    def __init__(self, dimensions: int = 8) -> None:
        self.dimensions = dimensions
        self.spaces: dict[str, int] = {"small-1": dimensions}
        self.template = TEMPLATE
        self.calls: list[tuple[str, list[str]]] = []
        self.listings = 0
        # A text that contains one of these is refused.
        self.poison: set[str] = set()
        # Raised instead of an answer, one a call.
        self.failures: list[Exception] = []
        # What to make of a right answer.
        self.distort: Callable[[embedder_pb2.EmbedResponse], None] = lambda _: None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.upstream = Upstream(
            lambda server: embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(self, server)
        )

    @property
    def texts(self) -> list[str]:
        """Every text that was answered or refused, in order."""
        return [text for _, texts in self.calls for text in texts]

    async def Embed(
        self, request: embedder_pb2.EmbedRequest, context: Context
    ) -> embedder_pb2.EmbedResponse:
        self.calls.append((request.spaces[0], list(request.texts)))
        await self.may_answer.wait()
        if self.failures:
            raise self.failures.pop(0)
        if list(request.spaces) != [request.spaces[0]] or not 1 <= len(request.texts) <= 256:
            raise InvalidArgument("spaces", "the index asks for one space, and 1 to 256 texts")
        if request.purpose != embedder_pb2.PURPOSE_DOCUMENT:
            raise InvalidArgument("purpose", "the index embeds documents")
        space = request.spaces[0]
        if space not in self.spaces:
            raise FailedPrecondition("no such space", reason="SPACE_UNKNOWN")
        for place, text in enumerate(request.texts):
            if not 1 <= len(text) <= 100_000 or any(word in text for word in self.poison):
                raise InvalidArgument(f"texts[{place}]", "cannot be embedded")
        dimensions = self.spaces[space]
        rows = [vector_of(space, text, dimensions) for text in request.texts]
        response = embedder_pb2.EmbedResponse(
            space=space,
            dimensions=dimensions,
            vectors=np.stack(rows).astype("<f4").tobytes(),
            truncated_texts=sum(len(text) > 1000 for text in request.texts),
        )
        self.distort(response)
        return response

    async def ListSpaces(
        self, request: embedder_pb2.ListSpacesRequest, context: Context
    ) -> embedder_pb2.ListSpacesResponse:
        self.listings += 1
        return embedder_pb2.ListSpacesResponse(
            spaces=[
                embedder_pb2.Space(id=id_, dimensions=dimensions, document_template=self.template)
                for id_, dimensions in self.spaces.items()
            ]
        )


def product(
    id_: str, name: str = "", category: str = "", *, active: bool | None = None, **fields: Any
) -> catalog_pb2.Product:
    return catalog_pb2.Product(
        id=id_, name=name or f"Product {id_}", category=category, active=active, **fields
    )


@dataclass
class World:
    """The index between a fake catalog and a fake embedder."""

    data_dir: Path
    catalog: FakeCatalog = field(default_factory=FakeCatalog)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    # Small, so that graphs come and go in a small test.
    graph_min_rows: int = 4096
    stub: "index_pb2_grpc.IndexServiceAsyncStub" = field(init=False)
    _index: AsyncExitStack = field(default_factory=AsyncExitStack)

    def settings(self, **more: Any) -> IndexSettings:
        return IndexSettings(
            listen="127.0.0.1:0",
            data_dir=self.data_dir,
            catalog_address=self.catalog.upstream.address,
            embedder_address=self.embedder.upstream.address,
            spaces_interval_seconds=0.05,
            graph_min_rows=self.graph_min_rows,
            grace_seconds=1,
            **more,
        )

    @property
    def folder(self) -> Path:
        return self.data_dir / "index" / "small-1"

    async def start_index(self) -> None:
        port = await self._index.enter_async_context(serving(compose(self.settings())))
        channel = await self._index.enter_async_context(channel_to(f"127.0.0.1:{port}"))
        self.stub = index_pb2_grpc.IndexServiceStub(channel)

    async def stop_index(self) -> None:
        await self._index.aclose()

    async def restart_index(self) -> None:
        await self.stop_index()
        await self.start_index()

    async def collections(self) -> dict[str, index_pb2.Collection]:
        response = await self.stub.ListCollections(index_pb2.ListCollectionsRequest())
        return {collection.space: collection for collection in response.collections}

    async def collection(self, space: str = "small-1") -> index_pb2.Collection:
        return (await self.collections()).get(space, index_pb2.Collection())

    async def at_head(self, space: str = "small-1") -> index_pb2.Collection:
        """Wait until the collection is ready and has everything; return it."""

        async def is_there() -> bool:
            found = await self.collection(space)
            is_ready = found.state == index_pb2.COLLECTION_STATE_READY
            return is_ready and found.applied_revision == self.catalog.head

        await until(is_there, what=f"{space} at the catalog's head")
        return await self.collection(space)

    async def stalled(self, reason: str, space: str = "small-1") -> None:
        async def is_so() -> bool:
            return (await self.collection(space)).stalled_by == reason

        await until(is_so, what=f"stalled by {reason!r}")

    def text(self, id_: str) -> str:
        """Return the text that the product is embedded by, as long as it has no description."""
        found = self.catalog.products[id_]
        return ". ".join(part for part in (found.name, found.brand, found.category) if part)

    def vector(self, text: str, space: str = "small-1") -> Vector:
        return vector_of(space, text, self.embedder.spaces[space])

    async def search(
        self,
        text: str,
        *,
        limit: int = 10,
        filter: str = "",  # noqa: A002 - as in the contract
        min_revision: int = 0,
        space: str = "small-1",
        timeout: float = 20.0,
    ) -> index_pb2.SearchResponse:
        request = index_pb2.SearchRequest(
            space=space,
            vector=self.vector(text, space).astype("<f4").tobytes(),
            limit=limit,
            filter=filter,
            min_revision=min_revision,
        )
        return await self.stub.Search(request, timeout=timeout)

    async def ids(self, **query: Any) -> set[str]:
        """Return the ids of all products that a search can find."""
        response = await self.search("anything", limit=1000, **query)
        return set(response.product_ids)

    async def holds_what_the_catalog_holds(self, space: str = "small-1") -> None:
        """Compare with the catalog, product by product: membership and vectors."""
        await self.at_head(space)
        active = {
            id_
            for id_, found in self.catalog.products.items()
            if not found.HasField("active") or found.active
        }
        assert await self.ids(space=space) == active
        for id_ in sorted(active):
            response = await self.search(self.text(id_), limit=1000, space=space)
            own = list(response.product_ids).index(id_)
            assert response.cosines[own] > 0.999, id_


@asynccontextmanager
async def running(world: World, *, without: Sequence[str] = ()) -> AsyncIterator[World]:
    """Run the index between its upstreams, but those that are to be away."""
    upstreams = {"catalog": world.catalog.upstream, "embedder": world.embedder.upstream}
    try:
        for name, upstream in upstreams.items():
            if name not in without:
                await upstream.start()
        await world.start_index()
        yield world
    finally:
        await world.stop_index()
        for upstream in upstreams.values():
            await upstream.stop()
