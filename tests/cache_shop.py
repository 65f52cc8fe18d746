"""A shop's whole history as a plain model, and gateways with real caches in front of it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from services.common import categories
from services.common.errors import DeadlineExceeded, FailedPrecondition
from services.gateway.admission import Admission
from services.gateway.assembly import Assembly
from services.gateway.breakers import Breakers
from services.gateway.cache import AnswerCache, Lifetimes, SharedStore
from services.gateway.candidates import Rule, VectorHits, WordHits
from services.gateway.codec import ProtobufCodec
from services.gateway.entries import Entry
from services.gateway.following import CatalogFollower, ReadySpaces
from services.gateway.freshness import Freshness
from services.gateway.hydration import Hydration
from services.gateway.invalidation import Invalidation
from services.gateway.ports import CatalogState, QueryVector, Watched
from services.gateway.retrieval import Retrieval
from services.gateway.search import Searching
from services.gateway.stores.memory import MemoryStore
from services.gateway.validity import CategoryChange, ChangeLog
from services.gateway.ways import Ways
from tests.gateway_ports import FakeCatalog, FakeEmbedder, FakeIndex
from vitrina.catalog.v1.catalog_pb2 import Product

ANSWER_SECONDS = 300.0
UNBOUNDED_SECONDS = 30.0


@dataclass
class Clocks:
    """What passes for all alike, and what a wall clock shows."""

    passed: float = 1_000.0
    wall_offset: float = 1_000_000.0

    def steady(self) -> float:
        return self.passed

    def wall(self) -> float:
        return self.passed + self.wall_offset


@dataclass
class Version:
    """A product as it was from one revision until before another."""

    product_id: str
    category: str
    since: int
    until: float = inf

    def is_within(self, category: str) -> bool:
        return categories.is_within(self.category, category)


@dataclass
class Shop:
    """Every version of every active product, and what changed."""

    catalog_id: str
    changes: list[CategoryChange] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    tunings: list[int] = field(default_factory=lambda: [0])
    # The revisions of invalidations, each with its category; empty: everything.
    invalidations: list[tuple[int, str]] = field(default_factory=list)
    # By id, the category that the catalog remembers, of inactive products too.
    stored: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> int:
        return len(self.changes)

    def at(self, revision: int) -> list[Version]:
        return [each for each in self.versions if each.since <= revision < each.until]

    def version(self, product_id: str, since: int) -> Version:
        """Return the version that a result shows; that there is none is a defect."""
        (found,) = [v for v in self.versions if (v.product_id, v.since) == (product_id, since)]
        return found

    def last_tuning(self, revision: int) -> int:
        return max(each for each in self.tunings if each <= revision)

    def put(self, product_id: str, category: str, *, is_active: bool = True) -> None:
        self._change(self.stored.get(product_id), category, product_id)
        self._end(product_id)
        self.stored[product_id] = category
        if is_active:
            self.versions.append(Version(product_id, category, self.head))

    def delete(self, product_id: str) -> None:
        self._change(self.stored.pop(product_id), None, product_id)
        self._end(product_id)

    def tune(self) -> None:
        self._change(None, None, changes_everything=True)
        self.tunings.append(self.head)

    def invalidate(self, category: str) -> None:
        path = category or None
        self._change(path, path, changes_everything=not category, is_invalidation=True)
        self.invalidations.append((self.head, category))

    def set_back(self, revision: int) -> None:
        """Become what a backup of a revision holds."""
        del self.changes[revision:]
        self.versions = [each for each in self.versions if each.since <= revision]
        for each in self.versions:
            each.until = each.until if each.until <= revision else inf
        self.tunings = [each for each in self.tunings if each <= revision]
        self.invalidations = [each for each in self.invalidations if each[0] <= revision]
        self.stored = {each.product_id: each.category for each in self.at(revision)}

    def _change(
        self, before: str | None, after: str | None, product_id: str = "", **kind: bool
    ) -> None:
        change = CategoryChange(self.head + 1, before, after, product_id=product_id, **kind)
        self.changes.append(change)

    def _end(self, product_id: str) -> None:
        for each in self.versions:
            if each.product_id == product_id and each.until == inf:
                each.until = self.head


class ShopCatalog(FakeCatalog):
    """The catalog of a shop as it is now. Each answer says in a rule how it was tuned, and when."""

    def __init__(self, shop: Shop, clocks: Clocks) -> None:
        super().__init__()
        self.clocks = clocks
        # How far the feed gets.
        self.delivered = 0
        self.open(shop)

    def open(self, shop: Shop) -> None:
        self.shop = shop
        self.changed()

    def changed(self) -> None:
        self.revision = self.shop.head
        self.products = {
            each.product_id: Product(
                id=each.product_id, name="lamp", category=each.category, revision=each.since
            )
            for each in self.shop.at(self.shop.head)
        }

    async def search_text(self, text: str, **asked: object) -> WordHits:
        found = await super().search_text(text, **asked)  # type: ignore[arg-type]
        tuning = self.shop.last_tuning(self.revision)
        rule = Rule(f"{tuning}@{self.clocks.steady()}", {}, frozenset(), [])
        return replace(found, rules=[rule])

    async def invalidate(self, category: str, timeout_seconds: float) -> int:
        self.shop.invalidate(category)
        self.changed()
        return self.revision

    async def get_state(self, timeout_seconds: float) -> CatalogState:
        return CatalogState(self.shop.catalog_id, self.revision, len(self.products))

    async def watch(self, after_revision: int) -> AsyncIterator[Watched]:
        if after_revision > self.revision:
            raise FailedPrecondition("newer than this catalog", reason="REVISION_UNKNOWN")
        changes = self.shop.changes[after_revision : self.delivered]
        yield Watched(self.shop.catalog_id, self.revision, changes)


class ShopIndex(FakeIndex):
    """An index that follows a shop when a test says so."""

    def follow(self, shop: Shop, revision: int) -> None:
        self.revision = revision
        self.ranking = [each.product_id for each in shop.at(revision)]

    async def search(self, query: QueryVector, *, min_revision: int, **asked: object) -> VectorHits:
        if self.revision < min_revision:
            raise DeadlineExceeded("late", reason="REVISION_NOT_REACHED")
        return await super().search(query, min_revision=min_revision, **asked)  # type: ignore[arg-type]


class SharedTier:
    """What Redis does, by a clock of its own; what it holds stays there while it is away."""

    def __init__(self, clocks: Clocks) -> None:
        self.is_up = True
        self._clocks = clocks
        self._data: dict[str, tuple[bytes, float]] = {}

    def flush(self) -> None:
        self._data.clear()

    async def get(self, key: str) -> Entry | None:
        data, ends_at = self._data.get(key, (b"", 0.0))
        entry = Entry.decode(data)
        if not self.is_up or entry is None or self._clocks.passed >= ends_at:
            return None
        left_seconds = entry.lifetime_left_seconds(self._clocks.wall())
        if left_seconds <= -entry.grace_seconds:
            return None
        return replace(entry, is_overdue=left_seconds <= 0)

    def put(self, key: str, entry: Entry) -> None:
        kept_seconds = entry.lifetime_left_seconds(self._clocks.wall()) + entry.grace_seconds
        if self.is_up and kept_seconds > 0:
            self._data[key] = (entry.encode(), self._clocks.passed + kept_seconds)


class ShopGateway:
    """A gateway that has just started, with real parts, in front of a shop."""

    def __init__(
        self,
        catalog: ShopCatalog,
        index: FakeIndex,
        tier: SharedStore,
        clocks: Clocks,
    ) -> None:
        self.embedder = embedder = FakeEmbedder()
        self.changes = ChangeLog(clock=clocks.steady)
        hydration = Hydration(catalog, self.changes, 1 << 20)
        self.follower = CatalogFollower(catalog, self.changes, hydration)
        self.cache = AnswerCache(
            MemoryStore(1 << 20, clock=clocks.steady, wall_clock=clocks.wall),
            tier,
            self.changes,
            ProtobufCodec(),
            Lifetimes(ANSWER_SECONDS, UNBOUNDED_SECONDS, 300),
            clocks.wall,
        )
        self.spaces = spaces = ReadySpaces(embedder, index)
        spaces.ids = ("best",)
        breakers = Breakers(embedder, index, catalog)
        ways = Ways(embedder, index, catalog, spaces, self.changes, self.cache, breakers, 0.5)
        retrieval = Retrieval(ways, self.changes, feedback_products=0)
        self.searching = Searching(
            retrieval,
            Assembly(retrieval, catalog, ways),
            catalog,
            hydration,
            spaces,
            self.changes,
            self.cache,
            Admission(64),
            clock=clocks.wall,
        )
        self.freshness = Freshness(index, spaces, self.changes)
        self.invalidation = Invalidation(catalog, self.changes)
        self._catalog = catalog

    async def hear(self, revision: int) -> None:
        """Take the feed in as far as a revision."""
        self._catalog.delivered = revision
        await self.follower._follow()

    def lose_the_feed(self) -> None:
        self.changes.is_following = False


def ids_of(versions: Sequence[Version]) -> set[str]:
    return {each.product_id for each in versions}
