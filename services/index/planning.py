"""Changes of the feed to batches: what to embed, what only to update, what to remove."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from services.index.documents import DocumentTemplate, text_hash
from services.index.model import Change, ChangeKind, Columns, Product

# Rendered before the event loop gets to do something else.
_PRODUCTS_PER_STEP = 64

TextHashes = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]


@dataclass(frozen=True)
class Plan:
    """A batch that lacks its vectors. Plans are applied in the order they were made."""

    # The last revision of its changes; the feed goes on after it.
    position: int
    # Up to this revision the collection then reflects the catalog.
    revision: int
    catalog_id: str
    is_at_head: bool
    documents: Sequence[tuple[Columns, str]]
    retained: Sequence[Columns]
    removed: Sequence[str]


class Planner:
    """Makes plans, aware of those that are made but not applied yet.

    A superseded change has no product: until a later change brings it, the
    collection does not reflect that revision, so it is not reported before.
    """

    def __init__(
        self, template: DocumentTemplate, text_hashes: TextHashes, applied_revision: int
    ) -> None:
        self._template = template
        self._text_hashes = text_hashes
        self._position = applied_revision
        # By product, the revision of its first change that was superseded; the oldest first.
        self._superseded: dict[str, int] = {}
        # By product, what a plan that is under way makes of its text.
        self._planned: dict[str, tuple[Plan | None, bytes | None]] = {}

    @property
    def position(self) -> int:
        """The last revision that was planned."""
        return self._position

    async def plan(self, changes: Sequence[Change], head_revision: int, catalog_id: str) -> Plan:
        """Plan changes, each product by its last one. Not to be called at the same time."""
        products: dict[str, Product] = {}
        removed: dict[str, None] = {}
        for change in changes:
            if change.revision <= self._position:
                continue  # seen already
            self._position = change.revision
            if change.kind in (ChangeKind.TUNING, ChangeKind.INVALIDATION):
                continue
            id_ = change.product_id
            if change.kind is ChangeKind.UPSERT and change.product is None:
                self._superseded.setdefault(id_, change.revision)
                continue
            self._superseded.pop(id_, None)
            if change.product is not None:
                removed.pop(id_, None)
                products[id_] = change.product
            else:
                products.pop(id_, None)
                removed[id_] = None
        revision = next((first - 1 for first in self._superseded.values()), self._position)
        documents, retained = await self._sort(products)
        plan = Plan(
            position=self._position,
            revision=revision,
            catalog_id=catalog_id,
            is_at_head=revision >= head_revision,
            documents=documents,
            retained=retained,
            removed=list(removed),
        )
        for columns, _ in documents:
            self._planned[columns.product_id] = (plan, columns.text_hash)
        for columns in retained:
            self._planned[columns.product_id] = (plan, columns.text_hash)
        for id_ in removed:
            self._planned[id_] = (plan, None)
        return plan

    def applied(self, plan: Plan) -> None:
        """Forget a plan: the collection knows now."""
        for id_ in (
            *(columns.product_id for columns, _ in plan.documents),
            *(columns.product_id for columns in plan.retained),
            *plan.removed,
        ):
            if self._planned.get(id_, (None, None))[0] is plan:
                del self._planned[id_]

    async def _sort(
        self, products: Mapping[str, Product]
    ) -> tuple[list[tuple[Columns, str]], list[Columns]]:
        """Tell products whose text is new from those whose text is as before."""
        # Before asking the collection: a plan that is applied meanwhile counts either way.
        planned = {id_: self._planned[id_][1] for id_ in products if id_ in self._planned}
        stored = await self._text_hashes([id_ for id_ in products if id_ not in planned])
        documents: list[tuple[Columns, str]] = []
        retained: list[Columns] = []
        for count, (id_, product) in enumerate(products.items()):
            if count % _PRODUCTS_PER_STEP == _PRODUCTS_PER_STEP - 1:
                await asyncio.sleep(0)
            text = self._template.render(product)
            columns = Columns(
                product_id=id_,
                text_hash=text_hash(text),
                category=product.category,
                brand=product.brand,
                price_e4=product.price_e4,
                stock=product.stock,
                is_active=product.is_active,
                revision=product.revision,
                attributes=product.attributes,
            )
            if (planned[id_] if id_ in planned else stored.get(id_)) == columns.text_hash:
                retained.append(columns)
            else:
                documents.append((columns, text))
        return documents, retained
