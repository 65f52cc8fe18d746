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


async def test_a_search_shows_what_was_just_written(shop: Shop, reads: list[str]) -> None:
    writer, other = shop.gateways
    for product_id in ("one", "two"):
        await write(writer, product_id, "10.00")
    for number in range(ROUNDS):
        for gateway in shop.gateways:
            await until(lambda: is_known(gateway, reads), what="lamps in memory")  # noqa: B023
        price = f"{20 + number}.00"
        revision = await write(writer, "one", price)
        assert await prices(writer) == {"one": price, "two": "10.00"}
        assert await prices(other, min_revision=revision) == {"one": price, "two": "10.00"}
        stored = await other.catalog.GetProduct(catalog_pb2.GetProductRequest(id="one"))
        assert (stored.product.price, stored.revision) == (price, revision)


async def test_later_pages_show_nothing_that_was_withdrawn_or_repriced_meanwhile(
    shop: Shop, reads: list[str]
) -> None:
    gateway, _ = shop.gateways
    for product_id in ("one", "two", "three", "four"):
        await write(gateway, product_id, "10.00")
    await until(lambda: is_known(gateway, reads), what="lamps in memory")
    request = pb.SearchRequest(query="lamp", skip_cache=True, page_size=1)
    first = await gateway.search.Search(request, timeout=20)
    (on_first_page,) = (result.product.id for result in first.results)
    inactive, gone, left = {"one", "two", "three", "four"} - {on_first_page}

    await write(gateway, inactive, "10.00", active=False)
    await gateway.remove(gone)
    await write(gateway, left, "11.00")
    later: dict[str, str] = {}
    request.page_token = first.next_page_token
    while request.page_token:
        page = await gateway.search.Search(request, timeout=20)
        later |= {each.product.id: each.product.price for each in page.results}
        request.page_token = page.next_page_token
    assert later == {left: "11.00"}
