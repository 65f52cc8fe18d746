"""How a query is answered: cache, then candidates, their order, and the products of a page."""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial

from services.common import deadlines
from services.common.errors import FailedPrecondition, Unavailable
from services.gateway.admission import QUEUE_SHARE, Admission
from services.gateway.answers import (
    Answer,
    Degradation,
    Encoded,
    Hit,
    LeftOut,
    Near,
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
from services.gateway.hydration import Hydration
from services.gateway.pages import ResultSet, new_token, read_token
from services.gateway.ports import Catalog, Marking
from services.gateway.queries import Query, SimilarQuery
from services.gateway.retrieval import Retrieval
from services.gateway.validity import EVERYTHING, ChangeLog


class Searching:
    """Answers queries. Raises only when no stage can answer."""

    def __init__(
        self,
        retrieval: Retrieval,
        assembly: Assembly,
        catalog: Catalog,
        hydration: Hydration,
        spaces: ReadySpaces,
        changes: ChangeLog,
        cache: AnswerCache,
        admission: Admission,
        *,
        refresh_budget_seconds: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._retrieval = retrieval
        self._assembly = assembly
        self._catalog = catalog
        self._hydration = hydration
        self._spaces = spaces
        self._changes = changes
        self._cache = cache
        self._admission = admission
        self._refresh_budget_seconds = refresh_budget_seconds
        self._clock = clock
        self._flights: Flights[Encoded] = Flights()

    async def search(self, query: Query) -> Served:
        """Answer from the cache, from an identical query in flight, or anew."""
        timings = Timings()
        was_down = self._cache.is_down
        with timed(timings, "total"):
            if query.page_token:
                served = await self._next_page(query, timings)
            else:
                served = await self._first_page(query, timings)
        if self._cache.is_down:
            reason = "CIRCUIT_OPEN" if was_down else Unavailable.default_reason
            served = served._replace(
                degraded=served.degraded | {Degradation.CACHE_DOWN},
                left_out=(*served.left_out, LeftOut("cache", reason)),
            )
        return served

    def search_at_once(self, query: Query) -> Served | None:
        """Answer from this process's memory; None if that takes more than a look."""
        started = time.perf_counter()
        if query.page_token or query.skip_cache or self._cache.is_down:
            return None
        key = self._cache.answer_key(query, query.space or self._spaces.preferred)
        encoded = self._cache.find_in_memory(key, query.min_revision) if key else None
        if encoded is None:
            return None
        ms = (time.perf_counter() - started) * 1000
        timings = Timings(total_ms=ms, cache_ms=ms)
        return Served(encoded, Provenance.MEMORY, timings, self._unverified)

    async def similar(self, query: SimilarQuery) -> Near:
        """Answer by the stored vector of a product; where there is none, by its name."""
        timings = Timings()
        with timed(timings, "total"):
            return Near(await self._near(query, timings), timings)

    async def _near(self, query: SimilarQuery, timings: Timings) -> Answer:
        budget = Budget(_seconds_left(query))
        async with self._admission.admitted(budget.share(QUEUE_SHARE)):
            found = await self._retrieval.find_similar(query, budget, timings)
            candidates = found.candidates
            results, _ = await self._hydrated(candidates.hits, query, None, budget, timings)
            return Answer(
                results,
                candidates.revision,
                candidates.space,
                found.degraded,
                candidates.plan,
                self._clock(),
                left_out=budget.left_out,
            )

    async def _first_page(self, query: Query, timings: Timings) -> Served:
        preferred = query.space or self._spaces.preferred
        key = None if query.skip_cache else self._cache.answer_key(query, preferred)
        if key is None:
            encoded = self._cache.encoded(query, await self._compute(query, timings))
            return Served(encoded, Provenance.COMPUTED, timings)
        with timed(timings, "cache"):
            found = await self._cache.find_answer(key, query.min_revision)
        if found is not None:
            if found.is_overdue:
                self._refresh(key, preferred, query)
            return Served(found.encoded, found.provenance, timings, self._unverified)
        compute = partial(self._compute_and_keep, key, preferred, query, timings)
        encoded, is_shared = await self._flights.join(self._flight(key, query), compute)
        self._cache.counts.shared_hits += is_shared
        self._cache.counts.misses += not is_shared
        provenance = Provenance.SHARED if is_shared else Provenance.COMPUTED
        return Served(encoded, provenance, timings)

    @property
    def _unverified(self) -> frozenset[Degradation]:
        """What is to be said of cached answers now."""
        return frozenset(() if self._changes.is_current else {Degradation.UNVERIFIED_CACHE})

    def _flight(self, key: str, query: Query) -> Hashable:
        """Return what queries share that may wait for one answer.

        About the same budget, since it decides how much is tried; and nothing that
        concerns them has changed since the first of them came.
        """
        last_change = self._changes.last_change(query.filter.category or EVERYTHING)
        return key, query.min_revision, budget_class(_seconds_left(query)), last_change

    def _refresh(self, key: str, space: str, query: Query) -> None:
        """Compute an overdue answer anew, while callers still get it."""
        anew = replace(query, min_revision=0, budget_seconds=self._refresh_budget_seconds)
        compute = partial(self._compute_and_keep, key, space, anew, Timings())
        if self._flights.begin(self._flight(key, anew), compute):
            self._cache.counts.refreshed_answers += 1

    async def _compute_and_keep(
        self, key: str, preferred: str, query: Query, timings: Timings
    ) -> Encoded:
        answer = await self._compute(query, timings)
        encoded = self._cache.encoded(query, answer)
        # What failed may be back at once; a degraded one is not kept either. And another
        # space may have become the preferred one meanwhile, which the key does not say.
        if not answer.left_out and answer.space in ("", preferred):
            self._cache.keep_answer(key, query, answer, encoded)
        return encoded

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
        # Another gateway may have made it, of a state that the feed has not brought here yet.
        self._changes.witness(kept.answer.revision)
        budget = Budget(_seconds_left(query))
        marking = _marking(query, kept.answer.corrected_query)
        results, used = await self._hydrated(
            kept.hits[token.offset :], query, marking, budget, timings
        )
        offset = token.offset + used
        next_page = token.at(offset).text if offset < len(kept.hits) else ""
        answer = replace(kept.answer, results=results, next_page_token=next_page)
        encoded = self._cache.encoded(query, answer)
        return Served(encoded, provenance, timings, self._unverified)

    async def _compute(self, query: Query, timings: Timings) -> Answer:
        budget = Budget(_seconds_left(query))
        async with self._admission.admitted(budget.share(QUEUE_SHARE)):
            return await self._computed(query, budget, timings)

    async def _computed(self, query: Query, budget: Budget, timings: Timings) -> Answer:
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
            self._clock(),
            candidates.corrected_query,
            total_size=len(result.hits),
            is_total_exact=candidates.is_complete,
            rule_ids=result.rule_ids,
            synonym_ids=candidates.synonym_ids,
            left_out=budget.left_out,
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
                hydrated = await self._hydration.hydrate(
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


def _seconds_left(query: Query | SimilarQuery) -> float:
    return max(0.001, deadlines.remaining_seconds(default=query.budget_seconds))


def _marking(query: Query, corrected_query: str) -> Marking | None:
    if not query.highlight:
        return None
    return Marking(corrected_query or query.text, query.literal)
