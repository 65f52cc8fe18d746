"""Products of a page: from memory where the feed vouches for them, else from the catalog."""

from collections.abc import Iterable, Sequence

from cachetools import LRUCache

from services.gateway.answers import Product
from services.gateway.ports import Catalog, Hydrated, Marking
from services.gateway.validity import CategoryChange, ChangeLog

# Of a product in memory, beside its bytes on the wire: the message has each field once more.
OVERHEAD_BYTES = 600


class Hydration:
    """Keeps products as the catalog has them at the head that the change log knows.

    A change of the feed removes the product before the head moves on, so what is
    here is never older than the head; and it is used only while nothing has told of a
    newer revision. Bounded in bytes, the least recently used go first.
    """

    def __init__(self, catalog: Catalog, changes: ChangeLog, limit_bytes: int) -> None:
        self._catalog = catalog
        self._changes = changes
        self._products: LRUCache[str, Product] = LRUCache(
            limit_bytes, getsizeof=lambda product: product.ByteSize() + OVERHEAD_BYTES
        )

    async def hydrate(
        self,
        ids: Sequence[str],
        marking: Marking | None,
        timeout_seconds: float,
    ) -> Hydrated:
        """Return the active ones among these, in the same order, and what is to be marked."""
        if marking is not None:  # the catalog marks what it reads
            return await self._catalog.hydrate(ids, marking, timeout_seconds)
        known = self._known(ids) if self._is_vouched_for else {}
        missing = [id_ for id_ in ids if id_ not in known]
        if missing:
            history = self._changes.history_id
            read = await self._catalog.hydrate(missing, None, timeout_seconds)
            # What the feed has told of, and this read did not see yet, is removed already.
            if history == self._changes.history_id and read.revision >= self._changes.head:
                self._keep(read.products)
            known |= {product.id: product for product in read.products}
        products = [known[id_] for id_ in ids if id_ in known]
        return Hydrated(products, [None] * len(products), self._changes.head)

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
        return {id_: product for id_, product in found if product is not None}

    def _keep(self, products: Iterable[Product]) -> None:
        for product in products:
            try:
                self._products[product.id] = product
            except ValueError:  # larger than all that may be kept
                self._products.pop(product.id, None)
