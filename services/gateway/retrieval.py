"""Candidates of a query: by words and by meaning, side by side; one stands in for the other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from services.common.errors import (
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    Unavailable,
    VitrinaError,
)
from services.common.telemetry import get_logger
from services.gateway.answers import (
    Candidates,
    Degradation,
    Mode,
    Query,
    SimilarQuery,
    Timings,
)
from services.gateway.budget import EMBED_SHARE, TEXT_SHARE, Budget, timed
from services.gateway.cache import AnswerCache
from services.gateway.following import ReadySpaces
from services.gateway.fusion import fused
from services.gateway.ports import Catalog, Embedder, Index, QueryVector
from services.gateway.validity import ChangeLog

log = get_logger()

# How many each way finds for a hybrid answer: enough that what stands well in one of them
# is not missed, few enough to cost little.
FUSED_CANDIDATES = 200
# More candidates than asked for: the catalog may have dropped some that the index still has.
SPARE_CANDIDATES = 10

Way = Callable[[], Awaitable[Candidates]]


@dataclass(frozen=True)
class Found:
    """Candidates, and what is not as it should be about them."""

    candidates: Candidates
    degraded: frozenset[Degradation]


class Retrieval:
    """Finds candidates. Raises only when neither way can answer."""

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

    async def find(self, query: Query, budget: Budget, timings: Timings) -> Found:
        """Find by the ways that the mode asks for; by the other one where that fails."""

        async def by_words() -> Candidates:
            return await self._by_words(query, budget, timings)

        async def by_meaning() -> Candidates:
            return await self._by_meaning(query, budget, timings)

        if query.mode is Mode.LEXICAL:
            return await self._either(by_words, by_meaning, Degradation.SEMANTIC_ONLY)
        if query.mode is Mode.SEMANTIC:
            return await self._either(by_meaning, by_words, Degradation.LEXICAL_ONLY)
        return await self._both(query, budget, timings)

    async def find_similar(self, query: SimilarQuery, budget: Budget, timings: Timings) -> Found:
        """Find by the stored vector of a product; where there is none, by its name."""

        async def by_vector() -> Candidates:
            with timed(timings, "index"):
                found = await self._index.similar(
                    query.product_id,
                    self._ready_spaces(),
                    unlike=query.unlike,
                    limit=query.page_size + SPARE_CANDIDATES,
                    filter_text=query.filter.text,
                    min_revision=query.min_revision,
                    timeout_seconds=budget.for_index(query.min_revision),
                )
            return self._unless_behind(found)

        async def by_name() -> Candidates:
            without = {query.product_id, *query.unlike}
            with timed(timings, "hydrate"):
                products = await self._catalog.get_products(list(without), budget.share(TEXT_SHARE))
            names = {product.id: product.name for product in products}
            if missing := without - names.keys():
                field = "product_id" if query.product_id in missing else "unlike"
                raise NotFound(f"{field}: no such product", reason="PRODUCT_NOT_FOUND")
            named_so = Query(
                names[query.product_id],
                query.page_size,
                query.min_revision,
                query.budget_seconds,
                query.filter,
                Mode.LEXICAL,
                literal=True,
            )
            found = await self._by_words(named_so, budget, timings)
            others = [hit for hit in found.hits if hit[0] not in without]
            return replace(found, hits=others)

        return await self._either(by_vector, by_name, Degradation.LEXICAL_ONLY)

    async def _either(self, way: Way, other: Way, label: Degradation) -> Found:
        """Return what the first way finds, or labelled what the other does."""
        found = await _attempt(way())
        if isinstance(found, Candidates):
            return self._labelled(found)
        self._spaces.refresh_soon()
        return self._labelled(await other(), label)

    async def _both(self, query: Query, budget: Budget, timings: Timings) -> Found:
        """Go both ways side by side and fuse what they find."""
        words = asyncio.create_task(_attempt(self._by_words(query, budget, timings)))
        meaning = asyncio.create_task(_attempt(self._by_meaning(query, budget, timings)))
        try:
            lexical = await words
            if isinstance(lexical, Candidates) and lexical.corrected_query:
                # What a misspelt word means is anybody's guess.
                meaning.cancel()
                corrected = replace(query, text=lexical.corrected_query)
                semantic = await _attempt(self._by_meaning(corrected, budget, timings))
            else:
                semantic = await meaning
        finally:
            words.cancel()
            meaning.cancel()
        if isinstance(semantic, Candidates):
            if isinstance(lexical, Candidates):
                return self._labelled(fused(lexical, semantic, query.semantic_weight))
            return self._labelled(semantic, Degradation.SEMANTIC_ONLY)
        self._spaces.refresh_soon()
        if isinstance(lexical, Candidates):
            return self._labelled(lexical, Degradation.LEXICAL_ONLY)
        raise lexical

    def _labelled(self, candidates: Candidates, *labels: Degradation) -> Found:
        degraded = set(labels)
        if candidates.space and candidates.space not in self._spaces.ids[:1]:
            degraded.add(Degradation.FALLBACK_SPACE)
        if self._changes.is_stale(candidates.revision):
            degraded.add(Degradation.STALE_INDEX)
        return Found(candidates, frozenset(degraded))

    async def _by_words(self, query: Query, budget: Budget, timings: Timings) -> Candidates:
        with timed(timings, "text"):
            found = await self._catalog.search_text(
                query.text,
                limit=_limit(query),
                filter_text=query.filter.text,
                literal=query.literal,
                timeout_seconds=budget.for_text(is_alone=query.mode is not Mode.HYBRID),
            )
        if found.revision < query.min_revision:
            raise DeadlineExceeded(
                f"revision {query.min_revision} was not reached, but {found.revision}",
                reason="REVISION_NOT_REACHED",
                metadata={"revision": str(found.revision)},
            )
        return found

    async def _by_meaning(self, query: Query, budget: Budget, timings: Timings) -> Candidates:
        vector = await self._vector(query, budget, timings)
        with timed(timings, "index"):
            found = await self._index.search(
                vector,
                limit=_limit(query),
                filter_text=query.filter.text,
                min_revision=query.min_revision,
                timeout_seconds=budget.for_index(query.min_revision),
            )
        return self._unless_behind(found)

    def _unless_behind(self, found: Candidates) -> Candidates:
        # An index that has just begun to follow finds nothing where the catalog has it already.
        if not found.hits and found.revision < self._changes.head:
            raise Unavailable("the index has nothing yet")
        return found

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


def _limit(query: Query) -> int:
    enough = query.page_size + SPARE_CANDIDATES
    return max(enough, FUSED_CANDIDATES) if query.mode is Mode.HYBRID else enough


async def _attempt(finding: Awaitable[Candidates]) -> Candidates | VitrinaError:
    """Return what is found, or the error of this way. A wrong argument is the caller's."""
    try:
        return await finding
    except InvalidArgument:
        raise
    except VitrinaError as error:
        log.info("a way of finding failed", reason=error.reason, problem=error.message)
        return error
