"""How a query is answered: cache, then candidates, their order, and the products of a page."""

import time
from collections.abc import Sequence
from dataclasses import replace

from services.common.errors import FailedPrecondition
from services.gateway.answers import (
    Answer,
    Degradation,
    Hit,
    Provenance,
    Result,
    Served,
    Timings,
    budget_class,
)
from services.gateway.assembly import Assembly
from services.gateway.budget import Budget, timed
from services.gateway.cache import AnswerCache
from services.gateway.flights import Flights
from services.gateway.following import ReadySpaces
from services.gateway.pages import ResultSet, new_token, read_token
from services.gateway.ports import Catalog, Marking
from services.gateway.queries import Query, SimilarQuery
from services.gateway.retrieval import Retrieval
from services.gateway.validity import ChangeLog


class Searching:
    """Answers queries. Raises only when no stage can answer."""

    def __init__(
        self,
        retrieval: Retrieval,
        assembly: Assembly,
        catalog: Catalog,
        spaces: ReadySpaces,
        changes: ChangeLog,
        cache: AnswerCache,
    ) -> None:
        self._retrieval = retrieval
        self._assembly = assembly
        self._catalog = catalog
        self._spaces = spaces
        self._changes = changes
        self._cache = cache
        self._flights: Flights[Answer] = Flights()

    async def search(self, query: Query) -> Served:
        """Answer from the cache, from an identical query in flight, or anew."""
        timings = Timings()
        with timed(timings, "total"):
            if query.page_token:
                served = await self._next_page(query, timings)
            else:
                served = await self._first_page(query, timings)
        if self._cache.is_down:
            served = replace(served, degraded=served.degraded | {Degradation.CACHE_DOWN})
        return served

    async def similar(self, query: SimilarQuery) -> Served:
        """Answer by the stored vector of a product; where there is none, by its name."""
        timings = Timings()
        budget = Budget(query.budget_seconds)
        with timed(timings, "total"):
            found = await self._retrieval.find_similar(query, budget, timings)
            candidates = found.candidates
            results, _ = await self._hydrated(candidates.hits, query, None, budget, timings)
            answer = Answer(
                results,
                candidates.revision,
                candidates.space,
                found.degraded,
                candidates.plan,
                time.time(),
            )
        return Served(answer, Provenance.COMPUTED, timings)

    async def _first_page(self, query: Query, timings: Timings) -> Served:
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

    async def _next_page(self, query: Query, timings: Timings) -> Served:
        token = read_token(query)
        with timed(timings, "cache"):
            found = await self._cache.find_result_set(token)
        if found is None:
            raise FailedPrecondition(
                "page_token: the result is not kept any more; begin again without it",
                reason="PAGE_TOKEN_EXPIRED",
            )
        kept, provenance = found
        if kept.answer.revision < query.min_revision:
            raise FailedPrecondition(
                f"page_token: its result is of revision {kept.answer.revision}, older than "
                "min_revision; begin again without it",
                reason="PAGE_TOKEN_EXPIRED",
            )
        budget = Budget(query.budget_seconds)
        marking = _marking(query, kept.answer.corrected_query)
        results, used = await self._hydrated(
            kept.hits[token.offset :], query, marking, budget, timings
        )
        offset = token.offset + used
        next_page = token.at(offset).text if offset < len(kept.hits) else ""
        answer = replace(kept.answer, results=results, next_page_token=next_page)
        return Served(answer, provenance, timings)

    async def _compute(self, query: Query, timings: Timings) -> Answer:
        budget = Budget(query.budget_seconds)
        found = await self._retrieval.find(query, budget, timings)
        result = await self._assembly.assembled(found, query, budget, timings)
        candidates = found.candidates
        marking = _marking(query, candidates.corrected_query)
        results, used = await self._hydrated(result.hits, query, marking, budget, timings)
        answer = Answer(
            (),
            candidates.revision,
            candidates.space,
            result.degraded,
            candidates.plan,
            time.time(),
            candidates.corrected_query,
            total_size=len(result.hits),
            is_total_exact=candidates.is_complete,
            rule_ids=result.rule_ids,
            synonym_ids=candidates.synonym_ids,
        )
        token = new_token(query)
        if used < len(result.hits):
            self._cache.keep_result_set(token, ResultSet(answer, result.hits))
            answer = replace(answer, next_page_token=token.at(used).text)
        return replace(answer, results=results, facets=result.facets)

    async def _hydrated(
        self,
        hits: Sequence[Hit],
        query: Query | SimilarQuery,
        marking: Marking | None,
        budget: Budget,
        timings: Timings,
    ) -> tuple[Sequence[Result], int]:
        """Return up to a page of results, and how many hits were used up for them.

        What the catalog has no more, or has changed so that it does not pass,
        makes room for others.
        """
        results: list[Result] = []
        used = 0
        condition = query.filter.node
        while used < len(hits) and len(results) < query.page_size:
            batch = hits[used : used + query.page_size - len(results)]
            used += len(batch)
            with timed(timings, "hydrate"):
                hydrated = await self._catalog.hydrate(
                    [product_id for product_id, _ in batch],
                    marking,
                    budget.share(1.0),
                )
            explanations = dict(batch)
            results += [
                Result(product, explanations[product.id], highlights)
                for product, highlights in zip(hydrated.products, hydrated.highlights, strict=True)
                if condition is None or self._catalog.passes(product, condition)
            ]
        return results, used


def _marking(query: Query, corrected_query: str) -> Marking | None:
    if not query.highlight:
        return None
    return Marking(corrected_query or query.text, query.literal)
