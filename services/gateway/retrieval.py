"""Candidates of a query: by words and by meaning, side by side; one stands in for the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from services.common.errors import InvalidArgument, VitrinaError
from services.common.telemetry import get_logger
from services.gateway.answers import Degradation, Timings
from services.gateway.budget import Budget
from services.gateway.candidates import Candidates, VectorHits, WordHits
from services.gateway.fusion import RANKED_BY_WORDS, fused
from services.gateway.queries import Mode, Query, SimilarQuery
from services.gateway.validity import ChangeLog
from services.gateway.ways import Ways

log = get_logger()

T = TypeVar("T")

# How many words find: what is fused, counted and cut into pages.
WORD_CANDIDATES = RANKED_BY_WORDS
# Where words alone order the result, or it is counted by its values.
WIDE_WORD_CANDIDATES = 1_000


@dataclass(frozen=True)
class Found:
    """Candidates, and what is not as it should be about them."""

    candidates: Candidates
    degraded: frozenset[Degradation] = frozenset()


class Retrieval:
    """Finds candidates. Raises only when neither way can answer.

    `feedback_products`: by the vectors of so many of the best the query's vector is
    moved for a second round (pseudo-relevance feedback); 0: one round.
    """

    def __init__(self, ways: Ways, changes: ChangeLog, *, feedback_products: int) -> None:
        self._ways = ways
        self._changes = changes
        self._feedback_products = feedback_products

    async def find(self, query: Query, budget: Budget, timings: Timings) -> Found:
        """Find by the ways that the mode asks for; by the other one where that fails."""
        preferred = query.space or self._ways.preferred_space
        search = _Search(self._ways, self._feedback_products, query, budget, timings)
        if query.mode is Mode.SEMANTIC:
            found = await search.by_meaning()
        elif query.mode is Mode.LEXICAL or query.order_by:
            # What belongs to a result in another order than relevance words alone can say.
            found = await search.by_words()
        else:
            found = await search.by_both()
        return self._labelled(found, preferred)

    async def find_similar(self, query: SimilarQuery, budget: Budget, timings: Timings) -> Found:
        """Find by the stored vector of a product; where there is none, by its name."""
        preferred = self._ways.preferred_space
        near = await _attempt(self._ways.near_product(query, budget, timings))
        if isinstance(near, VectorHits):
            return self._labelled(Found(near.candidates()), preferred)
        self._ways.doubt_spaces()
        named_so = await self._ways.named_so(query, budget, timings)
        return self._labelled(Found(named_so, frozenset({Degradation.LEXICAL_ONLY})), preferred)

    def _labelled(self, found: Found, preferred: str) -> Found:
        candidates, degraded = found.candidates, set(found.degraded)
        if self._ways.falls_back_in(candidates.space, preferred):
            degraded.add(Degradation.FALLBACK_SPACE)
        if self._changes.is_stale(candidates.revision):
            degraded.add(Degradation.STALE_INDEX)
        return Found(candidates, frozenset(degraded))


class _Search:
    """The ways of one query."""

    def __init__(
        self,
        ways: Ways,
        feedback_products: int,
        query: Query,
        budget: Budget,
        timings: Timings,
    ) -> None:
        self._ways = ways
        self._feedback_products = feedback_products
        self._query = query
        self._budget = budget
        self._timings = timings

    async def by_words(self) -> Found:
        """Go by words; by meaning if they fail."""
        words = await _attempt(self._words(is_alone=True))
        if isinstance(words, WordHits):
            return Found(words.candidates())
        meaning = await self._meaning(self._query)
        return Found(meaning.candidates(), frozenset({Degradation.SEMANTIC_ONLY}))

    async def by_meaning(self) -> Found:
        """Go by meaning; by words if that fails."""
        async with _running(_attempt(self._words(limit=0))) as asking:
            meaning = await self._try_meaning(self._query)
            if isinstance(meaning, VectorHits):
                candidates = meaning.candidates()
                # Of the words only what the shop's rules say about them.
                about = await asking
                if isinstance(about, WordHits) and about.rules:
                    revision = min(candidates.revision, about.revision)
                    candidates = replace(candidates, rules=about.rules, revision=revision)
                return Found(candidates)
        self._ways.doubt_spaces()
        words = await self._words(is_alone=True)
        return Found(words.candidates(), frozenset({Degradation.LEXICAL_ONLY}))

    async def by_both(self) -> Found:
        """Go both ways side by side and fuse what they find."""
        async with (
            _running(_attempt(self._words())) as finding_words,
            _running(self._try_meaning(self._query)) as finding_meaning,
        ):
            words = await finding_words
            if isinstance(words, WordHits) and words.corrected_query:
                # What a misspelt word means is anybody's guess.
                finding_meaning.cancel()
                corrected = replace(self._query, text=words.corrected_query)
                meaning = await self._try_meaning(corrected)
            else:
                meaning = await finding_meaning
        if isinstance(meaning, VectorHits):
            if isinstance(words, WordHits):
                return Found(fused(words, meaning, self._query.semantic_weight))
            return Found(meaning.candidates(), frozenset({Degradation.SEMANTIC_ONLY}))
        self._ways.doubt_spaces()
        if isinstance(words, WordHits):
            return Found(words.candidates(), frozenset({Degradation.LEXICAL_ONLY}))
        raise words

    async def _words(self, *, limit: int | None = None, is_alone: bool = False) -> WordHits:
        query = self._query
        if limit is None:
            is_wide = bool(query.facets or query.order_by)
            limit = WIDE_WORD_CANDIDATES if is_wide else WORD_CANDIDATES
        return await self._ways.words(query, limit, self._budget, self._timings, is_alone=is_alone)

    async def _try_meaning(self, query: Query) -> VectorHits | VitrinaError:
        # Nothing stands in for a space that was asked for by name.
        return await (self._meaning(query) if query.space else _attempt(self._meaning(query)))

    async def _meaning(self, query: Query) -> VectorHits:
        vector = await self._ways.vector(query, self._budget, self._timings)
        return await self._ways.nearest(
            vector,
            query,
            self._budget,
            self._timings,
            # What a second round finds is worth more beside words than alone.
            feedback_products=self._feedback_products if query.mode is Mode.HYBRID else 0,
        )


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Run something beside the block, and no longer than it."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)  # it begins: what never began cannot be ended without a warning
    try:
        yield task
    finally:
        # Of what is done already the error has been seen: nobody wants it any more.
        if not task.cancel() and not task.cancelled():
            task.exception()


async def _attempt(finding: Awaitable[T]) -> T | VitrinaError:
    """Return what is found, or the error of this way. A wrong argument is the caller's."""
    try:
        return await finding
    except InvalidArgument:
        raise
    except VitrinaError as error:
        log.info("a way of finding failed", reason=error.reason, problem=error.message)
        return error
