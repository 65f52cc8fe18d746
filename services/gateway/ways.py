"""The ways to candidates, each by itself: by words, by a vector, by a product."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from numpy import float32
from numpy.typing import NDArray

from services.common.errors import DeadlineExceeded, NotFound, Unavailable
from services.gateway.answers import Timings
from services.gateway.breakers import Breakers
from services.gateway.budget import EMBED_SHARE, TEXT_SHARE, Budget, timed
from services.gateway.cache import AnswerCache
from services.gateway.candidates import Candidates, VectorHits, WordHits
from services.gateway.following import ReadySpaces
from services.gateway.ports import Catalog, Embedder, Index, QueryVector
from services.gateway.queries import Mode, Query, SimilarQuery
from services.gateway.validity import ChangeLog

# How many the index finds: what is fused, counted and cut into pages.
MEANING_CANDIDATES = 300
# Of similar products more than asked for: the catalog may have dropped some.
SPARE_CANDIDATES = 10


class Ways:
    """Asks the other services, unless they failed lately. Raises where a way cannot be gone."""

    def __init__(
        self,
        embedder: Embedder,
        index: Index,
        catalog: Catalog,
        spaces: ReadySpaces,
        changes: ChangeLog,
        cache: AnswerCache,
        breakers: Breakers,
        embed_budget_seconds: float,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._catalog = catalog
        self._spaces = spaces
        self._changes = changes
        self._cache = cache
        self._breakers = breakers
        self._embed_budget_seconds = embed_budget_seconds

    async def words(
        self, query: Query, limit: int, budget: Budget, timings: Timings, *, is_alone: bool
    ) -> WordHits:
        """Find by words; DeadlineExceeded if the catalog is not at the revision asked for."""
        seconds = budget.for_text(is_alone=is_alone)
        with (
            budget.noting("text"),
            timed(timings, "text"),
            self._breakers.words.admitted(seconds),
        ):
            found = await self._catalog.search_text(
                query.text,
                limit=limit,
                filter_text=query.filter.text,
                literal=query.literal,
                order_by=query.order_by,
                timeout_seconds=seconds,
            )
            self._changes.witness(found.revision)
            if found.revision < query.min_revision:
                raise DeadlineExceeded(
                    f"revision {query.min_revision} was not reached, but {found.revision}",
                    reason="REVISION_NOT_REACHED",
                    metadata={"revision": str(found.revision)},
                )
        return found

    async def vector(self, query: Query, budget: Budget, timings: Timings) -> QueryVector:
        """Return the vector of the query, from the cache or the embedder."""
        spaces = self._spaces_of(query, budget)
        if not query.skip_cache:
            with timed(timings, "cache"):
                known = await self._cache.find_vector(spaces[0], query.text)
            if known is not None:
                return QueryVector(spaces[0], known)
        seconds = min(self._embed_budget_seconds, budget.share(EMBED_SHARE))
        with (
            budget.noting("embed"),
            timed(timings, "embed"),
            self._breakers.embedder.admitted(seconds),
        ):
            vector = await self._embedder.embed_query(query.text, spaces, seconds)
        if not query.skip_cache:
            self._cache.keep_vector(vector.space, query.text, vector.vector)
        return vector

    async def nearest(
        self,
        vector: QueryVector,
        query: Query,
        budget: Budget,
        timings: Timings,
        *,
        feedback_products: int = 0,
    ) -> VectorHits:
        """Find by a vector; Unavailable if the index is behind and has nothing."""
        with self._asking_index(query.min_revision, budget, timings) as seconds:
            found = await self._index.search(
                vector,
                limit=MEANING_CANDIDATES,
                filter_text=query.filter.text,
                min_revision=query.min_revision,
                timeout_seconds=seconds,
                feedback_products=feedback_products,
            )
            return self._unless_behind(found)

    async def near_product(
        self, query: SimilarQuery, budget: Budget, timings: Timings
    ) -> VectorHits:
        """Find by the stored vector of a product, away from those that are unlike."""
        spaces = self._ready_spaces(budget)
        with self._asking_index(query.min_revision, budget, timings) as seconds:
            found = await self._index.similar(
                query.product_id,
                spaces,
                unlike=query.unlike,
                limit=query.page_size + SPARE_CANDIDATES,
                filter_text=query.filter.text,
                min_revision=query.min_revision,
                timeout_seconds=seconds,
            )
            return self._unless_behind(found)

    async def vectors(
        self, space: str, ids: Sequence[str], budget: Budget, timings: Timings
    ) -> NDArray[float32]:
        """Return a row of length 1 for each product; zeros for one without a vector."""
        with self._asking_index(0, budget, timings, stage="diversity") as seconds:
            return await self._index.vectors(space, ids, seconds)

    async def named_so(self, query: SimilarQuery, budget: Budget, timings: Timings) -> Candidates:
        """Find by the words of a product's name; NotFound for what the catalog does not have."""
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
        limit = query.page_size + SPARE_CANDIDATES
        words = await self.words(named_so, limit, budget, timings, is_alone=True)
        found = words.candidates()
        return replace(found, hits=[hit for hit in found.hits if hit[0] not in without])

    @property
    def preferred_space(self) -> str:
        """The space that is to answer now; empty where none is ready."""
        return self._spaces.preferred

    def falls_back_in(self, space: str, preferred: str) -> bool:
        """Tell whether a space is neither the one preferred before nor the one preferred now.

        A query that is on its way while another space takes over is none the worse for it.
        """
        return space not in ("", preferred, self.preferred_space)

    def _spaces_of(self, query: Query, budget: Budget) -> Sequence[str]:
        if not query.space:
            return self._ready_spaces(budget)
        self._spaces.ensure_ready(query.space)
        return (query.space,)

    def doubt_spaces(self) -> None:
        """Have the spaces looked at again: one of them proved wrong."""
        self._spaces.refresh_soon()

    @contextmanager
    def _asking_index(
        self, min_revision: int, budget: Budget, timings: Timings, *, stage: str = "index"
    ) -> Iterator[float]:
        """Give the seconds that the index has; its failure is the stage's."""
        seconds = budget.for_index(min_revision)
        # While it waits for a revision, nobody can tell whether it would answer.
        fair_seconds = 0.0 if min_revision else seconds
        with (
            budget.noting(stage),
            timed(timings, "index"),
            self._breakers.index.admitted(fair_seconds),
        ):
            yield seconds

    def _unless_behind(self, found: VectorHits) -> VectorHits:
        self._changes.witness(found.revision)
        # An index that has just begun to follow finds nothing where the catalog has it already.
        if not found.plan.vectors and found.revision < self._changes.head:
            raise Unavailable("the index has nothing yet", reason="INDEX_BEHIND")
        return found

    def _ready_spaces(self, budget: Budget) -> Sequence[str]:
        with budget.noting("index"):
            if not self._spaces.ids:
                raise Unavailable("no space is ready", reason="COLLECTION_NOT_READY")
        return self._spaces.ids
