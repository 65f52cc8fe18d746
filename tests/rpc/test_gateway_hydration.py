"""Products from memory over real services: what is written is what the next search shows."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from services.gateway.ports import Hydrated, Marking
from services.gateway.upstreams.catalog import GrpcCatalog
from tests.shop import GatewayStubs, Shop, running_shop
from tests.support import until
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb

ROUNDS = 10


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with running_shop(tmp_path, gateways=2) as shop:
        yield shop


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids that gateways ask the catalog for, to show them."""
    ids_read: list[str] = []
    hydrate = GrpcCatalog.hydrate

    async def noting(
        catalog: GrpcCatalog, ids: Sequence[str], marking: Marking | None, timeout_seconds: float
    ) -> Hydrated:
        ids_read.extend(ids)
        return await hydrate(catalog, ids, marking, timeout_seconds)

    monkeypatch.setattr(GrpcCatalog, "hydrate", noting)
    return ids_read


async def write(gateway: GatewayStubs, product_id: str, price: str, *, active: bool = True) -> int:
    product = catalog_pb2.Product(
        id=product_id, name="a lamp", price=price, currency="EUR", active=active
    )
    request = catalog_pb2.UpsertProductRequest(product=product, wait_searchable=True)
    return (await gateway.catalog.UpsertProduct(request, timeout=20)).revision


async def prices(gateway: GatewayStubs, min_revision: int = 0) -> dict[str, str]:
    """Search anew, and return the price of each lamp."""
    request = pb.SearchRequest(query="lamp", skip_cache=True, min_revision=min_revision)
    response = await gateway.search.Search(request, timeout=20)
    return {result.product.id: result.product.price for result in response.results}


async def is_known(gateway: GatewayStubs, reads: list[str]) -> bool:
    """Tell whether a search reads no product."""
    reads.clear()
    await prices(gateway)
    return not reads


async def test_a_search_shows_what_was_just_written_and_reads_what_changed(
    shop: Shop, reads: list[str]
) -> None:
    writer, other = shop.gateways
    for product_id in ("one", "two"):
        await write(writer, product_id, "10")
    for number in range(ROUNDS):
        for gateway in shop.gateways:
            await until(lambda: is_known(gateway, reads), what="lamps in memory")  # noqa: B023
        price = str(20 + number)
        revision = await write(writer, "one", price)
        assert await prices(writer) == {"one": price, "two": "10"}
        assert "one" in reads
        assert await prices(other, min_revision=revision) == {"one": price, "two": "10"}
        stored = await other.catalog.GetProduct(catalog_pb2.GetProductRequest(id="one"))
        assert (stored.product.price, stored.revision) == (price, revision)


async def test_a_product_that_was_just_withdrawn_is_not_shown(shop: Shop, reads: list[str]) -> None:
    gateway, _ = shop.gateways
    for product_id in ("one", "two", "three"):
        await write(gateway, product_id, "10")
    await until(lambda: is_known(gateway, reads), what="lamps in memory")
    await write(gateway, "one", "10", active=False)
    assert set(await prices(gateway)) == {"two", "three"}
    await gateway.remove("two")
    assert set(await prices(gateway)) == {"three"}
    await write(gateway, "one", "11")
    assert await prices(gateway) == {"one": "11", "three": "10"}
