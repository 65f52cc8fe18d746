"""What the other services find for a query, before any of it is a result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.gateway.answers import Facet, Hit, Plan, Strategy
from services.gateway.hits import BM25, COSINE, IS_EXACT, LEXICAL_RANK, SCORE, SEMANTIC_RANK, Hits

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
        scores = np.array(self.scores)
        ranks = np.empty(len(scores))
        # They may come in another order than by score.
        ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
        hits = Hits.of(
            self.ids,
            {
                SCORE: scores / (scores + BM25_MIDPOINT),
                LEXICAL_RANK: ranks,
                BM25: scores,
                IS_EXACT: np.arange(len(scores)) < self.exact_identifiers,
            },
        )
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
        cosines = np.array(self.cosines)
        hits = Hits.of(
            self.ids,
            {
                SCORE: np.clip((1.0 + cosines) / 2.0, 0.0, 1.0),
                SEMANTIC_RANK: np.arange(1, len(cosines) + 1),
                COSINE: cosines,
            },
        )
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
