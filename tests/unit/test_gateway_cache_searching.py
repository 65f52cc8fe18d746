"""Searches over the cache: what is computed anew beside, and what may be shared."""

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from services.common.errors import FailedPrecondition, Unavailable
from services.gateway.answers import Degradation, Provenance
from services.gateway.ports import QueryVector
from services.gateway.queries import Filter, Mode, Query
from tests.cache_shop import Clocks, SharedTier, Shop, ShopCatalog, ShopGateway, ShopIndex
from tests.shown import Shown, shown
from tests.support import until
from vitrina.catalog.v1.catalog_pb2 import Product

LAMPS = Query("lamp", 10, 0, 1.0)


class World:
    def __init__(self) -> None:
        self.clocks = Clocks()
        self.shop = Shop("catalog-1")
        self.shop.put("a", "Home")
        self.catalog = ShopCatalog(self.shop, self.clocks)
        self.index = ShopIndex()
        self.index.follow(self.shop, 1)
        self.tier = SharedTier(self.clocks)
        self.gateway = ShopGateway(self.catalog, self.index, self.tier, self.clocks)

    def changed(self) -> None:
        self.catalog.changed()
        self.index.follow(self.shop, self.shop.head)

    async def search(self, query: Query = LAMPS) -> Shown:
        return shown(await self.gateway.searching.search(query))

    @property
    def is_computing(self) -> bool:
        return len(asyncio.all_tasks()) > 1

    @property
    def refreshed(self) -> int:
        return self.gateway.cache.counts.refreshed_answers


@pytest.fixture
async def world() -> World:
    world = World()
    await world.gateway.hear(1)
    return world


async def test_an_overdue_answer_is_served_while_it_is_computed_anew_once(world: World) -> None:
    first = await world.search()
    world.clocks.passed += 31
    calls = world.index.trouble.calls
    for _ in range(5):
        served = await world.search()
        assert served.provenance is Provenance.MEMORY
        assert served.answer.computed_at == first.answer.computed_at
    await until(lambda: not world.is_computing)
    assert (world.refreshed, world.index.trouble.calls) == (1, calls + 1)
    world.clocks.passed += 29
    served = await world.search()
    assert served.provenance is Provenance.MEMORY
    assert served.answer.computed_at == first.answer.computed_at + 31


async def test_an_overdue_answer_that_cannot_be_computed_anew_is_served_for_its_time(
    world: World,
) -> None:
    await world.search()
    world.clocks.passed += 31
    world.catalog.trouble.error = Unavailable("away")
    served = await world.search()
    assert served.provenance is Provenance.MEMORY
    await until(lambda: not world.is_computing)
    world.clocks.passed += 31
    world.gateway.lose_the_feed()
    with pytest.raises(Unavailable):
        await world.search()


async def test_a_changed_catalog_never_gets_an_overdue_answer(world: World) -> None:
    await world.search()
    world.shop.put("b", "Garden")
    world.changed()
    await world.gateway.hear(2)
    assert (await world.search()).provenance is Provenance.MEMORY
    world.clocks.passed += 31
    served = await world.search()
    assert served.provenance is Provenance.COMPUTED
    assert len(served.answer.results) == 2
    assert world.refreshed == 0


async def test_a_query_does_not_share_an_answer_begun_before_a_write_that_is_known(
    world: World,
) -> None:
    may_answer = world.index.may_answer = asyncio.Event()
    query = replace(LAMPS, filter=Filter.parse("", "Home"), mode=Mode.SEMANTIC)
    early = asyncio.create_task(world.search(query))
    sharing = asyncio.create_task(world.search(query))
    await until(lambda: world.index.trouble.calls == 1)
    world.shop.put("b", "Home")
    world.changed()
    await world.gateway.hear(2)
    await world.gateway.freshness.known_here(2)
    late = asyncio.create_task(world.search(query))
    await until(lambda: world.index.trouble.calls == 2)
    may_answer.set()
    assert {(await early).provenance, (await sharing).provenance} == {
        Provenance.COMPUTED,
        Provenance.SHARED,
    }
    assert (await late).provenance is Provenance.COMPUTED


async def test_an_answer_of_a_space_that_became_the_preferred_one_meanwhile_is_not_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken_over(text: str, spaces: object, timeout_seconds: float) -> QueryVector:
        world.gateway.spaces.ids = ("best",)
        return QueryVector("best", b"")

    with monkeypatch.context() as context:
        context.setattr(world.gateway.embedder, "embed_query", taken_over)
        world.gateway.spaces.ids = ("other", "best")
        served = await world.search()
        assert (served.answer.space, served.answer.degraded) == ("best", frozenset())
    world.gateway.spaces.ids = ("other",)
    assert (await world.search()).provenance is Provenance.COMPUTED


async def test_a_write_that_the_feed_has_not_brought_labels_cached_answers_and_pages(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.freshness.KNOWN_WRITE_SECONDS", 0.0)
    world.shop.put("b", "Home")
    world.changed()
    await world.gateway.hear(2)
    query = replace(LAMPS, page_size=1)
    token = (await world.search(query)).answer.next_page_token
    world.shop.put("c", "Home")
    world.changed()
    await world.gateway.freshness.known_here(3)
    for asked in (query, replace(query, page_token=token)):
        served = await world.search(asked)
        assert served.degraded == {Degradation.UNVERIFIED_CACHE}
    await world.gateway.hear(3)
    assert not (await world.search(replace(query, page_token=token))).degraded


async def test_an_invalidation_counts_at_once_even_where_the_feed_is_broken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.invalidation.FEED_SECONDS", 0.0)
    await world.search()
    world.gateway.lose_the_feed()
    assert (await world.search()).provenance is Provenance.MEMORY
    assert await world.gateway.invalidation.invalidate(" Home ") == 2
    assert world.shop.invalidations == [(2, "Home")]
    assert (await world.search()).provenance is Provenance.COMPUTED


async def test_a_gateway_that_was_behind_notices_that_the_catalog_has_lost_what_it_answered(
    world: World,
) -> None:
    for product_id in ("b", "c"):
        world.shop.put(product_id, "Home")
    world.changed()
    query = replace(LAMPS, page_size=1)
    first = await world.search(query)
    assert first.answer.revision == 3
    world.shop.set_back(2)
    world.changed()
    for _ in range(2):
        await world.gateway.hear(2)
    for product_id in ("d", "e"):
        world.shop.put(product_id, "Home")
    world.changed()
    await world.gateway.hear(4)
    with pytest.raises(FailedPrecondition, match="page_token"):
        await world.search(replace(query, page_token=first.answer.next_page_token))


async def test_a_page_of_another_gateways_result_is_as_new_as_that_result() -> None:
    clocks, shop = Clocks(), Shop("catalog-1")
    for product_id in ("a", "b", "c"):
        shop.put(product_id, "Home")
    catalog, index, tier = ShopCatalog(shop, clocks), ShopIndex(), SharedTier(clocks)
    index.follow(shop, shop.head)
    first, lagging = (ShopGateway(catalog, index, tier, clocks) for _ in range(2))
    for gateway in (first, lagging):
        await gateway.hear(shop.head)
    query = Query("lamp", 10, 0, 1.0)
    await lagging.searching.search(query)  # has them all in its memory
    for product_id in ("a", "b", "c"):
        shop.put(product_id, "Home")
    catalog.changed()
    index.follow(shop, shop.head)
    await first.hear(shop.head)
    one_a_page = replace(query, page_size=1, min_revision=shop.head)
    page = shown(await first.searching.search(one_a_page))
    asked = replace(one_a_page, page_token=page.answer.next_page_token)
    (result,) = shown(await lagging.searching.search(asked)).answer.results
    assert cast(Product, result.product).revision > 3
