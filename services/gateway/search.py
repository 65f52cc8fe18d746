"""How a query is answered: cache, then embed → index → hydrate, and words where vectors fail."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from services.common import categories
from services.common.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Unavailable,
    VitrinaError,
)
from services.common.telemetry import get_logger
from services.gateway.answers import (
    Answer,
    Candidates,
    Degradation,
    Product,
    Provenance,
    Query,
    Result,
    Served,
    SimilarQuery,
    Timings,
    budget_class,
)
from services.gateway.cache import AnswerCache
from services.gateway.flights import Flights
from services.gateway.following import ReadySpaces
from services.gateway.ports import Catalog, Embedder, Index, QueryVector
from services.gateway.validity import ChangeLog

log = get_logger()

# Shares of what is left of the budget, so that the stage after it still has its time.
EMBED_SHARE = 0.5
INDEX_SHARE = 0.7
# The index answers in milliseconds or is in trouble; only a min_revision is waited for longer.
INDEX_SECONDS = 1.0
TEXT_SHARE = 0.8
# More candidates than asked for: the catalog may have dropped some that the index still has.
SPARE_CANDIDATES = 10


class Budget:
    """The time of one query."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def share(self, fraction: float) -> float:
        """Return this fraction of the seconds that are left; never below a millisecond."""
        return max(0.001, (self._ends_at - time.monotonic()) * fraction)

    def for_index(self, min_revision: int) -> float:
        """Return the seconds that the index gets."""
        share = self.share(INDEX_SHARE)
        return share if min_revision else min(INDEX_SECONDS, share)


@contextmanager
def timed(timings: Timings, stage: str) -> Iterator[None]:
    """Add the milliseconds of the block to `<stage>_ms`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        spent = (time.perf_counter() - started) * 1000
        name = f"{stage}_ms"
        setattr(timings, name, getattr(timings, name) + spent)


class Searching:
    """Answers queries. Raises only when no stage can answer."""

    def __init__(
        self,
        embedder: Embedder,
        index: Index,
        catalog: Catalog,
        spaces: ReadySpaces,
        changes: ChangeLog,
        cache: AnswerCache,
        embed_budget_seconds: float,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._catalog = catalog
        self._spaces = spaces
        self._changes = changes
        self._cache = cache
        self._embed_budget_seconds = embed_budget_seconds
        self._flights: Flights[Answer] = Flights()

    async def search(self, query: Query) -> Served:
        """Answer from the cache, from an identical query in flight, or anew."""
        timings = Timings()
        with timed(timings, "total"):
            served = await self._search(query, timings)
        if self._cache.is_down:
            served = replace(served, degraded=served.degraded | {Degradation.CACHE_DOWN})
        return served

    async def _search(self, query: Query, timings: Timings) -> Served:
        preferred = self._spaces.ids[0] if self._spaces.ids else ""
        key = None if query.skip_cache else self._cache.answer_key(query, preferred)
        if key is None:
            return Served(await self._compute(query, timings), Provenance.COMPUTED, timings)
        with timed(timings, "cache"):
            found = await self._cache.find_answer(key, query.min_revision)
        if found is not None:
            unverified = set() if self._changes.is_following else {Degradation.UNVERIFIED_CACHE}
            return Served(*found, timings, frozenset(unverified))

        async def compute() -> Answer:
            answer = await self._compute(query, timings)
            self._cache.keep_answer(key, query, answer)
            return answer

        # Only queries with about the same budget share: it decides how much is tried.
        flight = (key, query.min_revision, budget_class(query.budget_seconds))
        answer, is_shared = await self._flights.join(flight, compute)
        self._cache.counts.shared_hits += is_shared
        provenance = Provenance.SHARED if is_shared else Provenance.COMPUTED
        return Served(answer, provenance, timings)

    async def _compute(self, query: Query, timings: Timings) -> Answer:
        budget = Budget(query.budget_seconds)

        async def by_vector() -> Candidates:
            vector = await self._vector(query, budget, timings)
            with timed(timings, "index"):
                return await self._index.search(
                    vector,
                    limit=query.page_size + SPARE_CANDIDATES,
                    category=query.category,
                    min_revision=query.min_revision,
                    timeout_seconds=budget.for_index(query.min_revision),
                )

        async def by_words() -> Candidates:
            return await self._by_words(query.text, query, budget, timings)

        return await self._answer(query, by_vector, by_words, budget, timings)

    async def similar(self, query: SimilarQuery) -> Served:
        """Answer by the stored vector of a product; where there is none, by its name."""
        timings = Timings()
        budget = Budget(query.budget_seconds)

        async def by_vector() -> Candidates:
            with timed(timings, "index"):
                return await self._index.similar(
                    query.product_id,
                    self._ready_spaces(),
                    limit=query.page_size + SPARE_CANDIDATES,
                    category=query.category,
                    min_revision=query.min_revision,
                    timeout_seconds=budget.for_index(query.min_revision),
                )

        async def by_words() -> Candidates:
            with timed(timings, "hydrate"):
                product = await self._catalog.get_products(
                    [query.product_id], budget.share(TEXT_SHARE)
                )
            if not product:
                raise NotFound("product_id: no such product", reason="PRODUCT_NOT_FOUND")
            found = await self._by_words(product[0].name, query, budget, timings)
            others = [hit for hit in found.hits if hit[0] != query.product_id]
            return replace(found, hits=others)

        with timed(timings, "total"):
            answer = await self._answer(query, by_vector, by_words, budget, timings)
        return Served(answer, Provenance.COMPUTED, timings)

    async def _answer(
        self,
        query: Query | SimilarQuery,
        by_vector: Callable[[], Awaitable[Candidates]],
        by_words: Callable[[], Awaitable[Candidates]],
        budget: Budget,
        timings: Timings,
    ) -> Answer:
        preferred = self._spaces.ids[:1]
        degraded: set[Degradation] = set()
        candidates = await self._unless_it_fails(by_vector)
        if candidates is None:
            candidates = await by_words()
            degraded.add(Degradation.LEXICAL_ONLY)
            if candidates.revision < query.min_revision:
                raise DeadlineExceeded(
                    f"revision {query.min_revision} was not reached, but {candidates.revision}",
                    reason="REVISION_NOT_REACHED",
                    metadata={"revision": str(candidates.revision)},
                )
        elif candidates.space not in preferred:
            degraded.add(Degradation.FALLBACK_SPACE)
        if self._changes.is_stale(candidates.revision):
            degraded.add(Degradation.STALE_INDEX)
        results = await self._hydrated(candidates, query, budget, timings)
        return Answer(
            results,
            candidates.revision,
            candidates.space,
            frozenset(degraded),
            candidates.plan,
            time.time(),
        )

    async def _unless_it_fails(
        self, by_vector: Callable[[], Awaitable[Candidates]]
    ) -> Candidates | None:
        """Return candidates by vector; None where words must answer instead."""
        try:
            candidates = await by_vector()
        except InvalidArgument:
            raise
        except VitrinaError as error:
            log.info("no vectors for a query", reason=error.reason, problem=error.message)
            self._spaces.refresh_soon()
            return None
        # An index that has just begun to follow finds nothing where the catalog has it already.
        if not candidates.hits and candidates.revision < self._changes.head:
            return None
        return candidates

    def _ready_spaces(self) -> Sequence[str]:
        if not self._spaces.ids:
            raise Unavailable("no space is ready")
        return self._spaces.ids

    async def _vector(self, query: Query, budget: Budget, timings: Timings) -> QueryVector:
        spaces = self._ready_spaces()
        if not query.skip_cache:
            with timed(timings, "cache"):
                known = await self._cache.find_vector(spaces[0], query.text)
            if known is not None:
                return QueryVector(spaces[0], known)
        with timed(timings, "embed"):
            vector = await self._embedder.embed_query(
                query.text, spaces, min(self._embed_budget_seconds, budget.share(EMBED_SHARE))
            )
        if not query.skip_cache:
            self._cache.keep_vector(vector.space, query.text, vector.vector)
        return vector

    async def _by_words(
        self, text: str, query: Query | SimilarQuery, budget: Budget, timings: Timings
    ) -> Candidates:
        with timed(timings, "text"):
            return await self._catalog.search_text(
                text,
                limit=query.page_size + SPARE_CANDIDATES,
                category=query.category,
                timeout_seconds=budget.share(TEXT_SHARE),
            )

    async def _hydrated(
        self,
        candidates: Candidates,
        query: Query | SimilarQuery,
        budget: Budget,
        timings: Timings,
    ) -> Sequence[Result]:
        """Return up to a page of results; what the catalog has no more makes room for others."""
        results: list[Result] = []
        waiting = list(candidates.hits)
        while waiting and len(results) < query.page_size:
            wanted = query.page_size - len(results)
            batch, waiting = waiting[:wanted], waiting[wanted:]
            with timed(timings, "hydrate"):
                products = await self._catalog.get_products(
                    [product_id for product_id, _ in batch], budget.share(1.0)
                )
            by_id: dict[str, Product] = {product.id: product for product in products}
            results += [
                Result(by_id[product_id], explanation)
                for product_id, explanation in batch
                if product_id in by_id
                and categories.is_within(by_id[product_id].category, query.category)
            ]
        return results
