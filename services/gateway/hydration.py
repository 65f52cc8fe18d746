"""Products of a page: from memory where the feed vouches for them, else from the catalog."""

import asyncio
from collections.abc import Iterable, Sequence

from cachetools import LRUCache

from services.common.errors import VitrinaError
from services.common.telemetry import get_logger
from services.gateway.answers import Product
from services.gateway.background import Background
from services.gateway.ports import Catalog, Hydrated, Marking
from services.gateway.validity import CategoryChange, ChangeLog

log = get_logger()

# Of a product in memory, beside its bytes: the key and the slots of the cache.
OVERHEAD_BYTES = 400

# Reading the catalog through is no hurry: it must not cost searches anything.
PAGE_PRODUCTS = 200
PAGE_TIMEOUT_SECONDS = 5.0
BETWEEN_PAGES_SECONDS = 0.01
LOOK_SECONDS = 0.5
# The rest of the memory is for what is asked for.
SHARE_READ_THROUGH = 0.8


class Hydration:
    """Keeps products as the catalog has them at the head that the change log knows.

    A change of the feed removes the product before the head moves on, so what is
    here is never older than the head; and it is used only while nothing has told of a
    newer revision. Bounded in bytes, the least recently used go first.
    """

    def __init__(self, catalog: Catalog, changes: ChangeLog, limit_bytes: int) -> None:
        self._catalog = catalog
        self._changes = changes
        # As bytes: a message shares its memory with all that came in the same call.
        self._products: LRUCache[str, bytes] = LRUCache(
            limit_bytes, getsizeof=lambda packed: len(packed) + OVERHEAD_BYTES
        )

    @property
    def room(self) -> float:
        """The part of the memory that is not used."""
        return 1.0 - self._products.currsize / self._products.maxsize

    async def hydrate(
        self,
        ids: Sequence[str],
        marking: Marking | None,
        timeout_seconds: float,
    ) -> Hydrated:
        """Return the active ones among these, in the same order, and what is to be marked."""
        if marking is not None:  # the catalog marks what it reads
            return await self._catalog.hydrate(ids, marking, timeout_seconds)
        revision = self._changes.head
        known = self._known(ids) if self._is_vouched_for else {}
        missing = [id_ for id_ in ids if id_ not in known]
        if missing:
            history = self._changes.history_id
            read = await self._catalog.hydrate(missing, None, timeout_seconds)
            self.keep(read.products, read.revision, history)
            revision = min(revision, read.revision)
            known |= {product.id: product for product in read.products}
        products = [known[id_] for id_ in ids if id_ in known]
        return Hydrated(products, [None] * len(products), revision)

    def keep(self, products: Iterable[Product], revision: int, history: str) -> None:
        """Keep active products as they were read at a revision of a past of the catalog."""
        # What the feed has told of, and the read did not see yet, is removed already.
        if history != self._changes.history_id or revision < self._changes.head:
            return
        for product in products:
            try:
                self._products[product.id] = self._catalog.packed(product)
            except ValueError:  # larger than all that may be kept
                self._products.pop(product.id, None)

    def forget(self, changes: Iterable[CategoryChange]) -> None:
        """Remove what changed. To be done before the change log takes the changes in."""
        for change in changes:
            self._products.pop(change.product_id, None)

    def forget_all(self) -> None:
        """Remove everything: there is another catalog, or another past of it."""
        self._products.clear()

    @property
    def _is_vouched_for(self) -> bool:
        """Whether the feed runs and has brought all that anything has told of."""
        return self._changes.is_following and self._changes.head >= self._changes.witnessed

    def _known(self, ids: Iterable[str]) -> dict[str, Product]:
        found = ((id_, self._products.get(id_)) for id_ in ids)
        return {id_: self._catalog.unpacked(packed) for id_, packed in found if packed is not None}


class Warming(Background):
    """Reads the catalog through once, as far as there is room. Used inside `async with`."""

    def __init__(self, catalog: Catalog, changes: ChangeLog, hydration: Hydration) -> None:
        self._catalog = catalog
        self._changes = changes
        self._hydration = hydration

    async def _run(self) -> None:
        read_history = ""
        while True:
            history = self._changes.history_id
            if self._changes.is_following and history != read_history:
                try:
                    await self._read_through(history)
                    read_history = history
                except VitrinaError as error:
                    log.info("catalog not read through", problem=error.message)
            await asyncio.sleep(LOOK_SECONDS)

    async def _read_through(self, history: str) -> None:
        token = ""
        while self._hydration.room > 1.0 - SHARE_READ_THROUGH:
            page = await self._catalog.list_products(token, PAGE_PRODUCTS, PAGE_TIMEOUT_SECONDS)
            active = [product for product in page.products if product.active]
            self._hydration.keep(active, page.revision, history)
            token = page.next_page_token
            if not token:
                return
            await asyncio.sleep(BETWEEN_PAGES_SECONDS)
