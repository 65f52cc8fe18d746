"""The gateway's upstreams as plain objects that can fail, hang and change."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

from services.common import filters
from services.common.errors import DeadlineExceeded, Unavailable, VitrinaError
from services.gateway.answers import Candidates, Explanation, Plan, Product, Strategy
from services.gateway.ports import CatalogState, Collection, QueryVector, Space, Watched
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
    trouble: Trouble = field(default_factory=Trouble)
    may_answer: asyncio.Event | None = None

    async def is_serving(self, timeout_seconds: float) -> bool:
        return True

    def _found(self, limit: int, space: str) -> Candidates:
        hits = [
            (product_id, Explanation.by_meaning(rank, 1.0 - rank / 100))
            for rank, product_id in enumerate(self.ranking[:limit], start=1)
        ]
        return Candidates(
            hits, self.revision, Plan(Strategy.EXACT, 9, 9, len(hits), 0, len(hits)), space
        )

    async def search(
        self,
        query: QueryVector,
        *,
        limit: int,
        filter_text: str,
        min_revision: int,
        timeout_seconds: float,
    ) -> Candidates:
        await self.trouble.meet(timeout_seconds)
        if self.may_answer:
            await self.may_answer.wait()
        if self.revision < min_revision:
            await asyncio.sleep(timeout_seconds)
            raise DeadlineExceeded("late", reason="REVISION_NOT_REACHED")
        return self._found(limit, query.space)

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
    ) -> Candidates:
        await self.trouble.meet(timeout_seconds)
        found = self._found(limit, spaces[0])
        return replace(
            found, hits=[hit for hit in found.hits if hit[0] not in {product_id, *unlike}]
        )

    async def list_collections(self, timeout_seconds: float) -> Sequence[Collection]:
        await self.trouble.meet(timeout_seconds)
        return [
            Collection(space, True, self.revision, self.revision, 9, 0, 0, "", 0, 0, 0)
            for space in sorted(self.ready)
        ]


@dataclass
class FakeCatalog:
    """Finds by words every product whose name holds the text."""

    products: dict[str, ProductMessage] = field(default_factory=dict)
    revision: int = 1
    trouble: Trouble = field(default_factory=Trouble)
    has_words: bool = True
    requires_words: bool = False
    corrections: dict[str, str] = field(default_factory=dict)
    identified: set[str] = field(default_factory=set)

    def add(self, product_id: str, name: str, category: str = "Home") -> None:
        self.products[product_id] = ProductMessage(id=product_id, name=name, category=category)

    async def is_serving(self, timeout_seconds: float) -> bool:
        return True

    async def search_text(
        self, text: str, *, limit: int, filter_text: str, literal: bool, timeout_seconds: float
    ) -> Candidates:
        await self.trouble.meet(timeout_seconds)
        if not self.has_words:
            raise Unavailable("no words")
        correction = "" if literal else self.corrections.get(text, "")
        condition = filters.parse(filter_text)
        found = [
            product.id
            for product in self.products.values()
            if (correction or text) in product.name
            and (condition is None or self.passes(product, condition))
        ]
        hits = [
            (
                product_id,
                Explanation.by_words(
                    rank, 10.0 / rank, is_exact_identifier=product_id in self.identified
                ),
            )
            for rank, product_id in enumerate(found[:limit], start=1)
        ]
        return Candidates(
            hits,
            self.revision,
            Plan(Strategy.TEXT, candidates=len(hits), lexical_candidates=len(hits)),
            corrected_query=correction,
            requires_words=self.requires_words,
        )

    def passes(self, product: Product, condition: filters.Node) -> bool:
        return filters.matches(condition, ProductFacts(self.products[product.id]))

    async def get_products(self, ids: Sequence[str], timeout_seconds: float) -> Sequence[Product]:
        await self.trouble.meet(timeout_seconds)
        return [self.products[product_id] for product_id in ids if product_id in self.products]

    async def get_state(self, timeout_seconds: float) -> CatalogState:
        await self.trouble.meet(timeout_seconds)
        return CatalogState("catalog-1", self.revision, len(self.products))

    async def watch(self, after_revision: int) -> AsyncIterator[Watched]:
        await self.trouble.meet(1.0)
        yield Watched("catalog-1", self.revision, [])
        await asyncio.Event().wait()
