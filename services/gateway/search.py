"""How a query is answered: cache, then candidates by words and by meaning, then their products."""

import time
from collections.abc import Sequence
from dataclasses import replace

from services.gateway.answers import (
    Answer,
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
from services.gateway.budget import Budget, timed
from services.gateway.cache import AnswerCache
from services.gateway.flights import Flights
from services.gateway.following import ReadySpaces
from services.gateway.ports import Catalog
from services.gateway.retrieval import Found, Retrieval
from services.gateway.validity import ChangeLog


class Searching:
    """Answers queries. Raises only when no stage can answer."""

    def __init__(
        self,
        retrieval: Retrieval,
        catalog: Catalog,
        spaces: ReadySpaces,
        changes: ChangeLog,
        cache: AnswerCache,
    ) -> None:
        self._retrieval = retrieval
        self._catalog = catalog
        self._spaces = spaces
        self._changes = changes
        self._cache = cache
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

    async def similar(self, query: SimilarQuery) -> Served:
        """Answer by the stored vector of a product; where there is none, by its name."""
        timings = Timings()
        budget = Budget(query.budget_seconds)
        with timed(timings, "total"):
            found = await self._retrieval.find_similar(query, budget, timings)
            answer = await self._answer(found, query, budget, timings)
        return Served(answer, Provenance.COMPUTED, timings)

    async def _compute(self, query: Query, timings: Timings) -> Answer:
        budget = Budget(query.budget_seconds)
        found = await self._retrieval.find(query, budget, timings)
        return await self._answer(found, query, budget, timings)

    async def _answer(
        self, found: Found, query: Query | SimilarQuery, budget: Budget, timings: Timings
    ) -> Answer:
        candidates = found.candidates
        return Answer(
            await self._hydrated(found, query, budget, timings),
            candidates.revision,
            candidates.space,
            found.degraded,
            candidates.plan,
            time.time(),
            candidates.corrected_query,
        )

    async def _hydrated(
        self, found: Found, query: Query | SimilarQuery, budget: Budget, timings: Timings
    ) -> Sequence[Result]:
        """Return up to a page of results; what the catalog has no more makes room for others."""
        results: list[Result] = []
        waiting = list(found.candidates.hits)
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
                # The product may have changed after it was found.
                if product_id in by_id and self._passes(by_id[product_id], query)
            ]
        return results

    def _passes(self, product: Product, query: Query | SimilarQuery) -> bool:
        condition = query.filter.node
        return condition is None or self._catalog.passes(product, condition)
