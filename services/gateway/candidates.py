"""What the other services find for a query, before any of it is a result."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.gateway.answers import Explanation, Facet, Hit, Plan, Strategy

# BM25 at which a lexical score is one half.
BM25_MIDPOINT = 10.0


@dataclass(frozen=True)
class Boost:
    """A factor for the scores of products that pass a filter."""

    filter_text: str
    factor: float


@dataclass(frozen=True)
class Rule:
    """What the shop wants done to the results of this query."""

    id: str
    # Product id → its place, from 1.
    pins: dict[str, int]
    buried: frozenset[str]
    boosts: Sequence[Boost]


@dataclass(frozen=True)
class WordHits:
    """What the catalog finds by words, the best first, and how it took the query."""

    ids: Sequence[str]
    # BM25 of each.
    scores: Sequence[float]
    revision: int
    # So many of the first ones the query names by an identifier.
    exact_identifiers: int = 0
    # The query as it was searched, where its spelling was corrected.
    corrected_query: str = ""
    # Only what holds the words is an answer.
    requires_words: bool = False
    # There are no others.
    is_complete: bool = True
    rules: Sequence[Rule] = ()
    synonym_ids: tuple[str, ...] = ()

    def candidates(self) -> "Candidates":
        """Return them as an answer of words alone: the score is bm25 / (bm25 + 10)."""
        ranks = {}
        if any(later > score for score, later in zip(self.scores, self.scores[1:], strict=False)):
            # They come in another order than by score.
            by_score = sorted(range(len(self.ids)), key=lambda place: -self.scores[place])
            ranks = {place: rank for rank, place in enumerate(by_score, start=1)}
        hits = [
            (
                product_id,
                Explanation(
                    score / (score + BM25_MIDPOINT),
                    lexical_rank=ranks.get(place, place + 1),
                    bm25=score,
                    is_exact_identifier=place < self.exact_identifiers,
                ),
            )
            for place, (product_id, score) in enumerate(zip(self.ids, self.scores, strict=True))
        ]
        return Candidates(
            hits,
            self.revision,
            Plan(Strategy.TEXT, candidates=len(hits), lexical_candidates=len(hits)),
            corrected_query=self.corrected_query,
            is_complete=self.is_complete,
            rules=self.rules,
            synonym_ids=self.synonym_ids,
        )


@dataclass(frozen=True)
class VectorHits:
    """What the index finds by a vector, the nearest first."""

    ids: Sequence[str]
    cosines: Sequence[float]
    revision: int
    plan: Plan
    space: str

    @property
    def is_complete(self) -> bool:
        """There are no other products that pass."""
        return self.plan.passing <= len(self.ids)

    def candidates(self) -> "Candidates":
        """Return them as an answer of meaning alone: the score is (1 + cosine) / 2."""
        hits = [
            (
                product_id,
                Explanation(
                    min(1.0, max(0.0, (1.0 + cosine) / 2.0)), semantic_rank=rank, cosine=cosine
                ),
            )
            for rank, (product_id, cosine) in enumerate(
                zip(self.ids, self.cosines, strict=True), start=1
            )
        ]
        return Candidates(hits, self.revision, self.plan, self.space, is_complete=self.is_complete)


@dataclass(frozen=True)
class Candidates:
    """Products with their explanations, the best first, and what they reflect."""

    hits: Sequence[Hit]
    revision: int
    plan: Plan
    space: str = ""
    # The query as it was searched, where its spelling was corrected.
    corrected_query: str = ""
    # No list was cut: these are all.
    is_complete: bool = True
    rules: Sequence[Rule] = ()
    synonym_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arranged:
    """Of candidates those that are there and pass, in order, and what is told of them."""

    ids: Sequence[str]
    facets: Sequence[Facet]
    # For each condition asked about, the ids that it accepts.
    accepted: Sequence[frozenset[str]]
    revision: int
