"""The words of the gateway: results, answers, and what is said about them."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Degradation(enum.IntEnum):
    """What is not as it should be; the numbers are those of the contract."""

    FALLBACK_SPACE = 1
    LEXICAL_ONLY = 2
    SEMANTIC_ONLY = 3
    STALE_INDEX = 4
    CACHE_DOWN = 5
    UNVERIFIED_CACHE = 6
    NOT_DIVERSE = 7


class LeftOut(NamedTuple):
    """A stage that was tried and failed or was late, and the reason of its error."""

    stage: str
    reason: str


class Provenance(enum.IntEnum):
    """Where an answer came from; the numbers are those of the contract."""

    COMPUTED = 1
    MEMORY = 2
    REDIS = 3
    SHARED = 4


class Strategy(enum.IntEnum):
    """How candidates were found; the numbers are those of the contract."""

    UNSPECIFIED = 0
    EXACT = 1
    GRAPH = 2
    TEXT = 3
    SIFT = 4


class Product(Protocol):
    """A product, passed on as the catalog sends it; these are the parts that matter here."""

    @property
    def id(self) -> str:
        """The shop's own id."""

    @property
    def category(self) -> str:
        """The path, or an empty text."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def active(self) -> bool:
        """Whether searches may find it."""


class AppliedRule(NamedTuple):
    """What a rule did to one result; zeros: nothing of that kind."""

    rule_id: str
    factor: float = 0.0
    pinned_position: int = 0
    is_buried: bool = False


class Explanation(NamedTuple):
    """What made the place of one result. Ranks begin at 1; 0: not found this way.

    A tuple, since a query makes hundreds of them.
    """

    # 0 to 1 before the factors of rules; what the results are ranked by.
    score: float
    semantic_rank: int = 0
    cosine: float = 0.0
    lexical_rank: int = 0
    bm25: float = 0.0
    # The query names the product: its id, EAN or model number.
    is_exact_identifier: bool = False
    # What each way gave to a fused score, 0 to 1.
    lexical_score: float = 0.0
    semantic_score: float = 0.0
    # The place that the score alone would give, before rules and diversity.
    score_rank: int = 0
    rules: tuple[AppliedRule, ...] = ()


# A product id and what made its place.
Hit = tuple[str, Explanation]


@dataclass(frozen=True)
class Plan:
    """What was looked at."""

    strategy: Strategy = Strategy.UNSPECIFIED
    vectors: int = 0
    passing: int = 0
    candidates: int = 0
    lexical_candidates: int = 0
    semantic_candidates: int = 0
    # Products by whose vectors the query's was moved for a second round.
    feedback_products: int = 0


@dataclass(frozen=True)
class FacetValue:
    """How many candidates have a value, and the filter that leaves those."""

    value: str
    count: int
    filter_text: str


@dataclass(frozen=True)
class Facet:
    """The candidates by the values of a field."""

    field: str
    values: Sequence[FacetValue]
    other_count: int
    missing_count: int
    is_exact: bool = False


@dataclass(frozen=True)
class Highlights:
    """HTML with the words of the query marked."""

    name: str
    description: str


@dataclass(frozen=True)
class Result:
    """One product of an answer."""

    product: Product
    explanation: Explanation
    highlights: Highlights | None = None


@dataclass(frozen=True)
class Answer:
    """Results, the best first, and the catalog's revision that they reflect at least."""

    results: Sequence[Result]
    revision: int
    space: str
    degraded: frozenset[Degradation]
    plan: Plan
    # Unix seconds.
    computed_at: float
    # The query as it was searched, where its spelling was corrected.
    corrected_query: str = ""
    next_page_token: str = ""
    # Products of all pages, and whether there are no more.
    total_size: int = 0
    is_total_exact: bool = False
    facets: tuple[Facet, ...] = ()
    rule_ids: tuple[str, ...] = ()
    synonym_ids: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def categories(self) -> frozenset[str]:
        """The categories of the results."""
        return frozenset(result.product.category for result in self.results)


@dataclass
class Timings:
    """Milliseconds by stage, added up as the call goes."""

    total_ms: float = 0.0
    cache_ms: float = 0.0
    embed_ms: float = 0.0
    index_ms: float = 0.0
    text_ms: float = 0.0
    hydrate_ms: float = 0.0
    arrange_ms: float = 0.0


class Encoded(NamedTuple):
    """An answer as it is kept and sent."""

    body: bytes
    # The query as it may be offered to others; empty: not worth it.
    popular: str = ""


class Served(NamedTuple):
    """An answer on its way out: with what concerns this call alone."""

    encoded: Encoded
    provenance: Provenance
    timings: Timings
    # In addition to those of the answer.
    degraded: frozenset[Degradation] = frozenset()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Near:
    """Products near another one."""

    answer: Answer
    timings: Timings


def budget_class(budget_seconds: float) -> int:
    """Return a number that budgets within about 20 % of each other mostly share."""
    return round(math.log2(budget_seconds) * 4)
