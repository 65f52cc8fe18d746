"""Whatever happens to a shop, its gateways and Redis: no answer is older than it says.

The model is the shop's whole history. Of each answer it is known which revision it
claims, and which revision its gateway has heard of or acknowledged.
"""

import asyncio
from dataclasses import replace
from typing import Any, cast
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from services.common import categories
from services.common.errors import DeadlineExceeded, FailedPrecondition, Unavailable
from services.gateway.answers import Degradation, Provenance, Result
from services.gateway.cache import SharedStore
from services.gateway.queries import Filter, Mode, Query
from tests.cache_shop import (
    ANSWER_SECONDS,
    UNBOUNDED_SECONDS,
    Clocks,
    SharedTier,
    Shop,
    ShopCatalog,
    ShopGateway,
    ShopIndex,
    Version,
    ids_of,
)
from tests.shown import Shown
from tests.shown import shown as read
from vitrina.catalog.v1.catalog_pb2 import Product

PATHS = ["", "A", "A > X", "A > Y", "B"]
# Tasks that do not end by themselves.
LASTING = {"redis-probe"}
IDS = ["p1", "p2", "p3", "p4"]

gateways = st.sampled_from([0, 1])
QUERIES = [
    Query("lamp", page_size, 0, 1.0, Filter.parse("", category), mode)
    for category, page_size, mode in (
        ("", 10, Mode.HYBRID),
        ("", 10, Mode.SEMANTIC),
        ("", 1, Mode.HYBRID),
        ("A", 10, Mode.HYBRID),
        ("A", 1, Mode.HYBRID),
        ("A > X", 10, Mode.SEMANTIC),
        ("B", 10, Mode.HYBRID),
    )
]


def touches(query: Query, served: Shown, invalidated: str) -> bool:
    """Tell whether an answer may hold what was invalidated."""
    if not invalidated:
        return True
    bound = query.filter.category
    if bound:
        return categories.is_within(bound, invalidated) or categories.is_within(invalidated, bound)
    return any(
        categories.is_within(result.product.category, invalidated)
        for result in served.answer.results
    )


def since_of(result: Result) -> int:
    """Return the revision of the product as it is shown."""
    return cast(Product, result.product).revision


class CacheMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.patches = [
            patch("services.gateway.freshness.KNOWN_WRITE_SECONDS", 0.0),
            patch("services.gateway.invalidation.FEED_SECONDS", 0.0),
        ]
        for each in self.patches:
            each.start()
        self.clocks = Clocks()
        self.shop = Shop("catalog-0")
        self.catalogs = 1
        for product_id, category in zip(IDS, ("A > X", "A > Y", "B", "A"), strict=True):
            self.shop.put(product_id, category)
        self.catalog = ShopCatalog(self.shop, self.clocks)
        self.index = ShopIndex()
        self.index.follow(self.shop, self.shop.head)
        self.prepare_redis()
        self.has_jumped_back = False
        self.is_index_slow = False
        self.is_feed_slow = [False, False]
        # Pages that have a next one: the query, what was served, ids so far, which catalog.
        self.pages: list[tuple[Query, Shown, frozenset[str], int]] = []
        # Of each gateway: what it was told by the feed, and what it has acknowledged.
        self.heard = [0, 0]
        self.acknowledged = [0, 0]
        self.gateways = [self.started(), self.started()]
        for number in (0, 1):
            self.hear(number)

    def prepare_redis(self) -> None:
        self.tier = SharedTier(self.clocks)

    def new_tier(self) -> SharedStore:
        """Return Redis as one gateway sees it."""
        return self.tier

    def empty_redis(self) -> None:
        self.tier.flush()

    def redis_goes_or_comes_back(self) -> None:
        self.tier.is_up = not self.tier.is_up

    def teardown(self) -> None:
        self.runner.close()
        for each in self.patches:
            each.stop()

    def started(self) -> ShopGateway:
        return ShopGateway(self.catalog, self.index, self.new_tier(), self.clocks)

    def run(self, work: Any) -> Any:
        async def settled() -> Any:
            result = await work
            this = asyncio.current_task()
            # What was begun beside comes to its end.
            while beside := {
                task
                for task in asyncio.all_tasks()
                if task is not this and task.get_name() not in LASTING
            }:
                await asyncio.wait(beside)
            return result

        return self.runner.run(settled())

    def hear(self, number: int, revision: int | None = None) -> None:
        upto = self.shop.head if revision is None else revision
        gateway = self.gateways[number]
        for _ in range(3):  # it notices, begins anew, and follows
            self.run(gateway.hear(upto))
        self.heard[number] = gateway.changes.head

    # What happens to the shop

    def changed(self, number: int) -> None:
        """A write went through a gateway, which acknowledges it."""
        self.spread()
        self.run(self.gateways[number].freshness.known_here(self.shop.head))
        self.acknowledged[number] = self.shop.head

    def spread(self) -> None:
        """All gateways and the index follow, if they are well."""
        self.catalog.changed()
        if not self.is_index_slow:
            self.index.follow(self.shop, self.shop.head)
        for each, gateway in enumerate(self.gateways):
            if gateway.changes.is_following and not self.is_feed_slow[each]:
                self.hear(each)

    @rule(
        number=gateways,
        product_id=st.sampled_from(IDS),
        category=st.sampled_from(PATHS),
        is_active=st.sampled_from([True, True, True, False]),
    )
    def put(self, number: int, product_id: str, category: str, is_active: bool) -> None:
        self.shop.put(product_id, category, is_active=is_active)
        self.changed(number)

    @rule(number=gateways, data=st.data(), kind=st.sampled_from(["delete", "rename", "tune"]))
    def change_otherwise(self, number: int, data: st.DataObject, kind: str) -> None:
        if kind == "tune":
            self.shop.tune()
        elif not self.shop.stored:
            return
        elif kind == "delete":
            self.shop.delete(data.draw(st.sampled_from(sorted(self.shop.stored))))
        else:  # products are moved one by one
            old = data.draw(st.sampled_from(PATHS[1:]))
            new = data.draw(st.sampled_from(PATHS))
            for product_id, category in sorted(self.shop.stored.items()):
                if categories.is_within(category, old):
                    self.shop.put(product_id, new)
        self.changed(number)

    @rule(number=gateways, category=st.sampled_from(PATHS))
    def invalidate(self, number: int, category: str) -> None:
        self.run(self.gateways[number].invalidation.invalidate(category))
        self.acknowledged[number] = self.shop.head
        self.spread()

    @rule(number=gateways, lost=st.integers(0, 4))
    def replace_the_catalog(self, number: int, lost: int) -> None:
        """By an older state of itself, and Redis is emptied; or by another one."""
        if lost:
            self.shop.set_back(max(0, self.shop.head - lost))
            self.empty_redis()
        else:
            self.shop = Shop(f"catalog-{self.catalogs}")
            for product_id in IDS[:3]:
                self.shop.put(product_id, "B")
        self.catalogs += 1
        self.catalog.open(self.shop)
        self.index.follow(self.shop, self.shop.head)
        self.acknowledged = [0, 0]
        for each, gateway in enumerate(self.gateways):
            gateway.lose_the_feed()
            # A gateway that has fallen behind both states could not tell them apart.
            if lost or each == number:
                self.hear(each)

    # What happens to what is between

    @rule(number=gateways, kind=st.sampled_from(["arrives", "in part", "breaks", "slow", "well"]))
    def feed(self, number: int, kind: str) -> None:
        gateway = self.gateways[number]
        if kind == "in part" and gateway.changes.is_following:
            self.hear(number, (gateway.changes.head + self.shop.head) // 2)
        elif kind == "breaks":
            gateway.lose_the_feed()
        elif kind == "slow":
            self.is_feed_slow[number] = True
        else:
            self.is_feed_slow[number] &= kind == "arrives"
            self.hear(number)

    @rule(number=gateways, kind=st.sampled_from(["gateway", "index", "redis"]))
    def process(self, number: int, kind: str) -> None:
        if kind == "gateway":  # it starts anew
            self.gateways[number] = self.started()
            self.hear(number)
        elif kind == "redis":  # it goes away, or comes back with what it had
            self.redis_goes_or_comes_back()
        else:
            self.is_index_slow = not self.is_index_slow
            self.index.follow(self.shop, self.shop.head)

    @rule(
        seconds=st.sampled_from([1.0, 20.0, 31.0, 31.0, 200.0, 301.0]),
        jump_seconds=st.sampled_from([0.0, 0.0, 0.0, 0.0, 20.0, 3600.0, -20.0, -3600.0]),
    )
    def time_passes(self, seconds: float, jump_seconds: float) -> None:
        self.clocks.passed += seconds
        self.clocks.wall_offset += jump_seconds
        self.has_jumped_back |= jump_seconds < 0

    # What people ask

    @rule(queries=st.lists(st.sampled_from(QUERIES), min_size=1), number=gateways)
    def ask(self, queries: list[Query], number: int) -> None:
        for query in queries:
            self.asked(query, number)

    @rule()
    def ask_everything(self) -> None:
        for query in QUERIES:
            for number in (0, 1):
                self.asked(query, number)

    @rule(query=st.sampled_from(QUERIES), number=gateways, behind=st.integers(0, 3))
    def ask_for_a_revision(self, query: Query, number: int, behind: int) -> None:
        self.asked(replace(query, min_revision=max(0, self.shop.head - behind)), number)

    @precondition(lambda self: self.pages)
    @rule(number=gateways, data=st.data())
    def ask_for_the_next_page(self, number: int, data: st.DataObject) -> None:
        query, before, shown, catalogs = data.draw(st.sampled_from(self.pages))
        asked = replace(query, page_token=before.answer.next_page_token)
        try:
            served = read(self.run(self.gateways[number].searching.search(asked)))
        except FailedPrecondition:
            return
        assert served.answer.revision == before.answer.revision
        ids = {result.product.id for result in served.answer.results}
        assert not ids & shown
        if Degradation.UNVERIFIED_CACHE not in served.degraded:
            assert catalogs == self.catalogs
            # Products are shown as this gateway knows them now, whatever the page before said.
            known = max(self.heard[number], self.acknowledged[number])
            for result in served.answer.results:
                version = self.shop.version(result.product.id, since_of(result))
                assert version.until > known
                assert version.is_within(query.filter.category)
        self.remember_pages(query, served, shown | ids, catalogs)

    def remember_pages(
        self, query: Query, served: Shown, shown: frozenset[str], catalogs: int
    ) -> None:
        if served.answer.next_page_token:
            self.pages = [*self.pages[-3:], (query, served, shown, catalogs)]

    def asked(self, query: Query, number: int) -> None:
        try:
            served = read(self.run(self.gateways[number].searching.search(query)))
        except (DeadlineExceeded, Unavailable):
            # The index has nothing yet, or is not at the revision.
            return
        self.check(query, served, number)
        if Degradation.UNVERIFIED_CACHE not in served.degraded:
            shown = frozenset(result.product.id for result in served.answer.results)
            self.remember_pages(query, served, shown, self.catalogs)

    def check(self, query: Query, served: Shown, number: int) -> None:
        answer = served.answer
        revision, bound = answer.revision, query.filter.category
        is_cached = served.provenance in (Provenance.MEMORY, Provenance.REDIS)
        (stamp,) = answer.rule_ids
        tuning, computed_at = int(stamp.split("@")[0]), float(stamp.split("@")[1])
        lifetime = ANSWER_SECONDS if bound else UNBOUNDED_SECONDS
        age = self.clocks.passed - computed_at
        assert revision >= query.min_revision
        if Degradation.UNVERIFIED_CACHE in served.degraded:
            assert is_cached
            assert age <= lifetime or self.has_jumped_back
            return
        # Nothing that this gateway knows of or has promised is missing.
        known = max(self.heard[number], self.acknowledged[number]) if is_cached else revision
        assert revision <= self.shop.head
        shown = [self.shop.version(each.product.id, since_of(each)) for each in answer.results]
        for version in shown:
            assert version.until > revision, f"{version} is older than the claim {revision}"
            assert version.until > known, f"{version} is older than {known}, which is known"
            assert version.is_within(bound)
        if len(shown) < query.page_size:
            owed = known if bound else revision
            assert ids_of(self.still_there(owed, bound)) <= ids_of(shown)
        assert tuning >= self.shop.last_tuning(known)
        if not is_cached:
            return
        for invalidated_at, category in self.shop.invalidations:
            if invalidated_at <= known and touches(query, served, category):
                assert revision >= invalidated_at
        if not self.has_jumped_back:
            assert age <= 2 * lifetime
        if age > lifetime and not bound and not self.has_jumped_back:
            assert revision >= known, "overdue, and something has changed"

    def still_there(self, revision: int, category: str) -> list[Version]:
        """Return the versions that were there at a revision and are so still."""
        return [
            each
            for each in self.shop.at(self.shop.head)
            if each.since <= revision and each.is_within(category)
        ]
