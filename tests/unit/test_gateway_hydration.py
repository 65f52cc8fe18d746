"""Products from memory: only while the feed vouches for them, and never older than its head."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

import pytest

from services.common.errors import FailedPrecondition, Unavailable
from services.gateway.answers import Highlights
from services.gateway.following import CatalogFollower
from services.gateway.hydration import OVERHEAD_BYTES, Hydration
from services.gateway.ports import CatalogState, Hydrated, Marking, Watched
from services.gateway.validity import CategoryChange, ChangeLog
from tests.gateway_ports import FakeCatalog
from vitrina.catalog.v1.catalog_pb2 import Product

SECONDS = 1.0


class FedCatalog(FakeCatalog):
    """A catalog with a feed of its changes, that tells what was read of it."""

    def __init__(self, catalog_id: str = "catalog-1") -> None:
        super().__init__()
        self.open(catalog_id)
        self.reads: list[list[str]] = []
        # Happens once, when a read has seen the products and before its answer arrives.
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    def open(self, catalog_id: str) -> None:
        """Become an empty catalog."""
        self.catalog_id = catalog_id
        self.products = {}
        self.changes: list[CategoryChange] = []
        self.revision = 0

    def put(self, product_id: str, price: str = "1", *, description: str = "") -> None:
        self._change(product_id, "Home")
        self.products[product_id] = Product(
            id=product_id, price=price, revision=self.revision, description=description
        )

    def withdraw(self, product_id: str, *, is_kept: bool) -> None:
        """Delete a product, or make it inactive: it is kept, and no more shown."""
        self._change(product_id, "Home" if is_kept else None)
        del self.products[product_id]

    def _change(self, product_id: str, category_after: str | None) -> None:
        before = "Home" if product_id in self.products else None
        self.revision += 1
        self.changes.append(
            CategoryChange(self.revision, before, category_after, product_id=product_id)
        )

    async def hydrate(
        self, ids: Sequence[str], marking: Marking | None, timeout_seconds: float
    ) -> Hydrated:
        self.reads.append(list(ids))
        hydrated = await super().hydrate(ids, marking, timeout_seconds)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return hydrated

    async def get_state(self, timeout_seconds: float) -> CatalogState:
        return CatalogState(self.catalog_id, self.revision, len(self.products))

    async def watch(self, after_revision: int) -> AsyncIterator[Watched]:
        """Yield what is there by now, and end: the next `Shelf.follow` goes on from there."""
        if after_revision > self.revision:
            raise FailedPrecondition("newer than this catalog", reason="REVISION_UNKNOWN")
        yield Watched(self.catalog_id, self.revision, self.changes[after_revision:])


class NotingHydration(Hydration):
    """Notes the head that the change log has when products are forgotten."""

    def __init__(self, catalog: FedCatalog, changes: ChangeLog, limit_bytes: int) -> None:
        super().__init__(catalog, changes, limit_bytes)
        self._log = changes
        self.heads: dict[str, int] = {}

    def forget(self, changes: Iterable[CategoryChange]) -> None:
        changed = list(changes)
        super().forget(changed)
        self.heads |= {change.product_id: self._log.head for change in changed}


class Shelf:
    """Products before a catalog, followed when a test says so."""

    def __init__(self, catalog: FedCatalog, limit_bytes: int = 1 << 20) -> None:
        self.catalog = catalog
        self.changes = ChangeLog()
        self.hydration = NotingHydration(catalog, self.changes, limit_bytes)
        self._follower = CatalogFollower(catalog, self.changes, self.hydration)

    async def follow(self) -> None:
        """Take in what the feed has."""
        await self._follower._follow()

    async def shown(self, *ids: str) -> dict[str, str]:
        """Return prices by id, in order."""
        hydrated = await self.hydration.hydrate(ids, None, SECONDS)
        assert list(hydrated.highlights) == [None] * len(hydrated.products)
        return {each.id: each.price for each in hydrated.products if isinstance(each, Product)}

    async def read_for(self, *ids: str) -> list[list[str]]:
        """Return what the catalog is asked for, to show these."""
        self.catalog.reads.clear()
        await self.shown(*ids)
        return self.catalog.reads


@pytest.fixture
def catalog() -> FedCatalog:
    catalog = FedCatalog()
    for product_id in ("a", "b", "c"):
        catalog.put(product_id)
    return catalog


@pytest.fixture
async def shelf(catalog: FedCatalog) -> Shelf:
    shelf = Shelf(catalog)
    await shelf.follow()
    return shelf


async def test_known_products_are_not_read_twice(shelf: Shelf) -> None:
    assert await shelf.read_for("a", "b") == [["a", "b"]]
    assert await shelf.read_for("b", "a") == []
    assert await shelf.read_for("a") == []


async def test_the_order_asked_for_is_kept_where_some_are_known(shelf: Shelf) -> None:
    await shelf.shown("a", "c")
    assert list(await shelf.shown("c", "b", "gone", "a")) == ["c", "b", "a"]
    assert shelf.catalog.reads == [["a", "c"], ["b", "gone"]]


async def test_all_known_products_are_shown_while_the_catalog_does_not_answer(shelf: Shelf) -> None:
    await shelf.shown("a", "b")
    shelf.catalog.trouble.error = Unavailable("away")
    assert list(await shelf.shown("b", "a")) == ["b", "a"]
    with pytest.raises(Unavailable):
        await shelf.shown("a", "b", "c")


async def test_a_change_of_the_feed_has_this_product_read_again(shelf: Shelf) -> None:
    await shelf.shown("a", "b")
    shelf.catalog.put("a", price="2")
    await shelf.follow()
    assert await shelf.shown("a", "b") == {"a": "2", "b": "1"}
    assert shelf.catalog.reads == [["a", "b"], ["a"]]


async def test_what_changed_is_forgotten_before_the_head_moves(shelf: Shelf) -> None:
    shelf.catalog.put("a", price="2")
    await shelf.follow()
    assert shelf.changes.head == 4
    assert shelf.hydration.heads["a"] == 3


@pytest.mark.parametrize("is_kept", [True, False], ids=["inactive", "deleted"])
async def test_a_withdrawn_product_is_not_shown(shelf: Shelf, is_kept: bool) -> None:
    await shelf.shown("a", "b", "c")
    shelf.catalog.withdraw("b", is_kept=is_kept)
    await shelf.follow()
    assert list(await shelf.shown("a", "b", "c")) == ["a", "c"]
    shelf.catalog.put("b", price="3")
    await shelf.follow()
    assert await shelf.shown("a", "b", "c") == {"a": "1", "b": "3", "c": "1"}


async def test_a_read_that_is_older_than_the_head_is_not_kept(shelf: Shelf) -> None:
    async def changed_and_followed() -> None:
        shelf.catalog.put("a", price="2")
        await shelf.follow()

    shelf.catalog.meanwhile = changed_and_followed
    assert await shelf.shown("a") == {"a": "1"}
    assert await shelf.shown("a") == {"a": "2"}


async def test_a_read_that_is_newer_than_the_head_is_kept_until_the_feed_tells(
    shelf: Shelf,
) -> None:
    shelf.catalog.put("a", price="2")
    assert await shelf.shown("a") == {"a": "2"}
    assert await shelf.read_for("a") == []
    shelf.catalog.put("a", price="3")
    await shelf.follow()
    assert await shelf.shown("a") == {"a": "3"}


async def test_nothing_is_used_while_something_told_of_a_newer_revision(shelf: Shelf) -> None:
    await shelf.shown("a", "b")
    shelf.catalog.put("a", price="2")
    shelf.changes.witness(shelf.catalog.revision)
    assert await shelf.shown("a", "b") == {"a": "2", "b": "1"}
    assert await shelf.read_for("b") == [["b"]]
    await shelf.follow()
    assert await shelf.read_for("b") == []


async def test_nothing_is_used_while_nobody_follows(shelf: Shelf) -> None:
    await shelf.shown("a", "b")
    shelf.changes.is_following = False
    shelf.catalog.put("a", price="2")
    assert await shelf.shown("a", "b") == {"a": "2", "b": "1"}
    assert await shelf.read_for("b") == [["b"]]
    await shelf.follow()
    assert await shelf.read_for("b") == []


async def test_nothing_is_used_before_the_feed_has_brought_its_head(catalog: FedCatalog) -> None:
    shelf = Shelf(catalog)
    assert await shelf.read_for("a") == [["a"]]
    assert await shelf.read_for("a") == [["a"]]


async def test_marks_always_come_from_the_catalog(shelf: Shelf) -> None:
    await shelf.shown("a")
    shelf.catalog.reads.clear()
    for query in ("lamp", "cup"):
        hydrated = await shelf.hydration.hydrate(["a"], Marking(query, literal=False), SECONDS)
        assert [product.id for product in hydrated.products] == ["a"]
        (marks,) = hydrated.highlights
        assert isinstance(marks, Highlights)
        assert f"<mark>{query}</mark>" in marks.name
    assert shelf.catalog.reads == [["a"], ["a"]]


async def test_another_catalog_has_all_forgotten(shelf: Shelf) -> None:
    await shelf.shown("a", "b")
    shelf.catalog.open("catalog-2")
    for product_id in ("b", "c", "a"):
        shelf.catalog.put(product_id, price="9")
    await shelf.follow()  # and finds that it is another one
    await shelf.follow()
    assert shelf.changes.is_current
    assert await shelf.shown("a", "b") == {"a": "9", "b": "9"}


async def test_a_catalog_that_was_set_back_has_all_forgotten(shelf: Shelf) -> None:
    shelf.catalog.put("a", price="2")
    await shelf.follow()
    await shelf.shown("a", "b")
    shelf.catalog.open("catalog-1")
    shelf.catalog.put("a")
    await shelf.follow()  # and finds that its head is not there any more
    await shelf.follow()
    assert shelf.changes.is_current
    assert await shelf.shown("a", "b") == {"a": "1"}


async def test_a_read_of_a_catalog_that_is_gone_is_not_kept(shelf: Shelf) -> None:
    async def another_catalog() -> None:
        shelf.catalog.open("catalog-2")
        shelf.catalog.put("a", price="9")
        await shelf.follow()
        await shelf.follow()

    shelf.catalog.meanwhile = another_catalog
    assert await shelf.shown("a") == {"a": "1"}
    assert shelf.changes.is_current
    assert await shelf.shown("a") == {"a": "9"}


async def test_a_product_larger_than_the_limit_is_shown_and_not_kept(catalog: FedCatalog) -> None:
    catalog.put("large", description="x" * 2 * OVERHEAD_BYTES)
    shelf = Shelf(catalog, limit_bytes=2 * OVERHEAD_BYTES)
    await shelf.follow()
    assert list(await shelf.shown("a", "large")) == ["a", "large"]
    assert await shelf.read_for("a", "large") == [["large"]]


async def test_the_least_recently_used_go_first(catalog: FedCatalog) -> None:
    shelf = Shelf(catalog, limit_bytes=3 * OVERHEAD_BYTES - 1)
    await shelf.follow()
    await shelf.shown("a", "b")
    await shelf.shown("a")
    await shelf.shown("c")
    assert await shelf.read_for("a", "c") == []
    assert await shelf.read_for("b") == [["b"]]
