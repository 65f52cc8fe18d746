"""The gateway's upstreams as plain objects that can fail, hang and change."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from services.common import facets, filters
from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    NotFound,
    Unavailable,
    VitrinaError,
)
from services.gateway.answers import Facet, FacetValue, Highlights, Plan, Product, Strategy
from services.gateway.candidates import Arranged, Rule, VectorHits, WordHits
from services.gateway.ports import (
    CatalogState,
    CheckedRecall,
    Collection,
    Hydrated,
    Marking,
    ProductPage,
    QueryVector,
    Reached,
    Space,
    Watched,
)
from services.gateway.upstreams.catalog import ProductFacts
from vitrina.catalog.v1.catalog_pb2 import Product as ProductMessage


@dataclass
class Trouble:
    """What a call runs into: an error, or a hang until its timeout."""

    error: VitrinaError | None = None
    hangs: bool = False
    calls: int = 0

    async def meet(self, timeout_seconds: float) -> None:
        self.calls += 1
        if self.hangs:
            await asyncio.sleep(timeout_seconds)
            raise DeadlineExceeded("did not answer in time")
        if self.error is not None:
            raise self.error


@dataclass
class FakeEmbedder:
    spaces: list[str] = field(default_factory=lambda: ["best", "local"])
    failing: set[str] = field(default_factory=set)
    trouble: Trouble = field(default_factory=Trouble)

    async def is_serving(self, timeout_seconds: float) -> bool:
        return True

    async def embed_query(
        self, text: str, spaces: Sequence[str], timeout_seconds: float
    ) -> QueryVector:
        await self.trouble.meet(timeout_seconds)
        for space in spaces:
            if space not in self.failing:
                return QueryVector(space, text.encode())
        raise Unavailable("no space works")

    async def list_spaces(self, timeout_seconds: float) -> Sequence[Space]:
        await self.trouble.meet(timeout_seconds)
        return [Space(space, "p", "m", 4, space not in self.failing) for space in self.spaces]


@dataclass
class FakeIndex:
    """Returns its ranking, whatever the vector."""

    ranking: list[str] = field(default_factory=list)
    revision: int = 1
    ready: set[str] = field(default_factory=lambda: {"best", "local"})
    pinned: str = ""
    trouble: Trouble = field(default_factory=Trouble)
    may_answer: asyncio.Event | None = None
    feedback_products: int = 0
    rows: dict[str, list[float]] = field(default_factory=dict)
    vectors_trouble: Trouble = field(default_factory=Trouble)

    async def is_serving(self, timeout_seconds: float) -> bool:
        return True

    def _found(self, ranking: Sequence[str], limit: int, space: str) -> VectorHits:
        ids = ranking[:limit]
        vectors = 9 if ranking else 0
        plan = Plan(Strategy.EXACT, vectors, len(ranking), len(ids), 0, len(ids))
        cosines = [1.0 - rank / 100 for rank in range(1, len(ids) + 1)]
        return VectorHits(ids, cosines, self.revision, plan, space)

    async def search(
        self,
        query: QueryVector,
        *,
        limit: int,
        filter_text: str,
        min_revision: int,
        timeout_seconds: float,
        feedback_products: int = 0,
    ) -> VectorHits:
        await self.trouble.meet(timeout_seconds)
        if self.may_answer:
            await self.may_answer.wait()
        if self.revision < min_revision:
            await asyncio.sleep(timeout_seconds)
            raise DeadlineExceeded("late", reason="REVISION_NOT_REACHED")
        self.feedback_products = feedback_products
        return self._found(self.ranking, limit, query.space)

    async def similar(
        self,
        product_id: str,
        spaces: Sequence[str],
        *,
        unlike: Sequence[str],
        limit: int,
        filter_text: str,
        min_revision: int,
        timeout_seconds: float,
    ) -> VectorHits:
        await self.trouble.meet(timeout_seconds)
        others = [id_ for id_ in self.ranking if id_ not in {product_id, *unlike}]
        return self._found(others, limit, spaces[0])

    async def vectors(
        self, space: str, ids: Sequence[str], timeout_seconds: float
    ) -> NDArray[np.float32]:
        await self.vectors_trouble.meet(timeout_seconds)
        return np.array([self.rows[product_id] for product_id in ids], dtype=np.float32)

    async def wait_for_revision(
        self, spaces: Sequence[str], min_revision: int, timeout_seconds: float
    ) -> Reached:
        await self.trouble.meet(timeout_seconds)
        if self.revision < min_revision:
            await asyncio.sleep(timeout_seconds)
            raise DeadlineExceeded(
                "late", reason="REVISION_NOT_REACHED", metadata={"revision": str(self.revision)}
            )
        return Reached(self.revision, spaces[0])

    async def check_recall(
        self,
        space: str,
        *,
        vectors: bytes,
        sample: int,
        limit: int,
        filter_text: str,
        timeout_seconds: float,
    ) -> CheckedRecall:
        raise NotImplementedError

    async def list_collections(self, timeout_seconds: float) -> Sequence[Collection]:
        await self.trouble.meet(timeout_seconds)
        return [
            Collection(
                *(space, True, self.revision, self.revision, 9, 0, 0, "", 0, 0, 0),
                is_pinned=space == self.pinned,
            )
            for space in sorted(self.ready)
        ]

    async def use_space(self, space: str, timeout_seconds: float) -> None:
        await self.trouble.meet(timeout_seconds)
        if space and space not in self.ready:
            raise FailedPrecondition(f"space: {space} is not ready", reason="COLLECTION_NOT_READY")
        self.pinned = space

    async def drop_collection(
        self, space: str, *, allow_missing: bool, timeout_seconds: float
    ) -> int:
        await self.trouble.meet(timeout_seconds)
        if space == self.pinned:
            raise FailedPrecondition(f"space: {space} is pinned", reason="SPACE_IN_USE")
        if space not in self.ready and not allow_missing:
            raise NotFound(f"space: there is no {space}", reason="SPACE_NOT_FOUND")
        self.ready.discard(space)
        return 5


@dataclass
class FakeCatalog:
    """Finds by words every product whose name holds the text."""

    products: dict[str, ProductMessage] = field(default_factory=dict)
    revision: int = 1
    trouble: Trouble = field(default_factory=Trouble)
    words_trouble: Trouble = field(default_factory=Trouble)
    has_words: bool = True
    requires_words: bool = False
    corrections: dict[str, str] = field(default_factory=dict)
    identified: set[str] = field(default_factory=set)
    rules: list[Rule] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    conditions: Sequence[str] = ()

    def add(
        self,
        product_id: str,
        name: str,
        category: str = "Home",
        *,
        brand: str = "",
        price: str = "",
    ) -> None:
        self.products[product_id] = ProductMessage(
            id=product_id, name=name, category=category, brand=brand, price=price
        )

    async def is_serving(self, timeout_seconds: float) -> bool:
        return True

    async def search_text(
        self,
        text: str,
        *,
        limit: int,
        filter_text: str,
        literal: bool,
        order_by: str,
        timeout_seconds: float,
    ) -> WordHits:
        await self.trouble.meet(timeout_seconds)
        await self.words_trouble.meet(timeout_seconds)
        if not self.has_words:
            raise Unavailable("no words")
        self.limits.append(limit)
        correction = "" if literal else self.corrections.get(text, "")
        condition = filters.parse(filter_text)
        found = [
            product.id
            for product in self.products.values()
            if (correction or text) in product.name
            and (condition is None or self.passes(product, condition))
        ]
        found.sort(key=lambda product_id: product_id not in self.identified)
        ids = found[:limit]
        return WordHits(
            ids,
            [10.0 / rank for rank in range(1, len(ids) + 1)],
            self.revision,
            len(self.identified.intersection(ids)),
            correction,
            self.requires_words,
            len(ids) == len(found),
            self.rules,
        )

    def passes(self, product: Product, condition: filters.Node) -> bool:
        return filters.matches(condition, ProductFacts(self.products[product.id]))

    async def get_products(self, ids: Sequence[str], timeout_seconds: float) -> Sequence[Product]:
        await self.trouble.meet(timeout_seconds)
        return [self.products[product_id] for product_id in ids if product_id in self.products]

    async def hydrate(
        self, ids: Sequence[str], marking: Marking | None, timeout_seconds: float
    ) -> Hydrated:
        products = await self.get_products(ids, timeout_seconds)
        return Hydrated(
            products,
            [
                Highlights(f"<mark>{marking.query}</mark> {product.name}", "") if marking else None
                for product in products
            ],
            self.revision,
        )

    def packed(self, product: Product) -> bytes:
        return cast(ProductMessage, product).SerializeToString()

    def unpacked(self, packed: bytes) -> Product:
        return ProductMessage.FromString(packed)

    async def list_products(
        self, page_token: str, page_size: int, timeout_seconds: float
    ) -> ProductPage:
        await self.trouble.meet(timeout_seconds)
        later = sorted(id_ for id_ in self.products if id_ > page_token)
        page = [self.products[id_] for id_ in later[:page_size]]
        token = page[-1].id if len(later) > page_size else ""
        return ProductPage(page, token, self.revision)

    async def arrange(
        self,
        ids: Sequence[str],
        *,
        filter_text: str,
        order_by: str = "",
        facet_texts: Sequence[str] = (),
        conditions: Sequence[str] = (),
        timeout_seconds: float,
    ) -> Arranged:
        await self.trouble.meet(timeout_seconds)
        self.conditions = conditions
        assert len(ids) <= 3_000
        passing = filters.parse(filter_text)
        left = [
            self.products[product_id]
            for product_id in ids
            if product_id in self.products
            and (passing is None or self.passes(self.products[product_id], passing))
        ]
        if order_by == "price":
            left.sort(key=lambda product: float(product.price or "inf"))
        return Arranged(
            [product.id for product in left],
            [
                Facet(
                    spec.name,
                    [
                        FacetValue(value, count, "")
                        for value, count in Counter(
                            getattr(product, spec.name) for product in left
                        ).most_common()
                    ],
                    0,
                    0,
                )
                for spec in facets.parse(facet_texts)
            ],
            [
                frozenset(
                    product.id
                    for product in left
                    if (node := filters.parse(text)) and self.passes(product, node)
                )
                for text in conditions
            ],
            self.revision,
        )

    async def record_queries(self, counts: Mapping[str, int], timeout_seconds: float) -> None:
        await self.trouble.meet(timeout_seconds)
        self.asked.update(counts)

    async def invalidate(self, category: str, timeout_seconds: float) -> int:
        await self.trouble.meet(timeout_seconds)
        self.revision += 1
        return self.revision

    async def get_state(self, timeout_seconds: float) -> CatalogState:
        await self.trouble.meet(timeout_seconds)
        return CatalogState("catalog-1", self.revision, len(self.products))

    async def watch(self, after_revision: int) -> AsyncIterator[Watched]:
        await self.trouble.meet(1.0)
        yield Watched("catalog-1", self.revision, [])
        await asyncio.Event().wait()
