"""The words of the gateway: queries, hits, answers, and what is said about them."""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from services.common import categories, filters
from services.common.errors import InvalidArgument

MAX_QUERY_CHARACTERS = 1_000
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 10
MAX_BUDGET_SECONDS = 60.0
MAX_UNLIKE = 10
# BM25 at which a lexical score is one half.
BM25_MIDPOINT = 10.0


class Degradation(enum.IntEnum):
    """What is not as it should be; the numbers are those of the contract."""

    FALLBACK_SPACE = 1
    LEXICAL_ONLY = 2
    SEMANTIC_ONLY = 3
    STALE_INDEX = 4
    CACHE_DOWN = 5
    UNVERIFIED_CACHE = 6


class Mode(enum.IntEnum):
    """What ranks; the numbers are those of the contract."""

    HYBRID = 1
    LEXICAL = 2
    SEMANTIC = 3


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


@dataclass(frozen=True)
class Filter:
    """What products must pass: the tree, its canonical text, and the category that bounds it."""

    node: filters.Node | None = None
    text: str = ""
    category: str = ""

    @classmethod
    def parse(cls, filter_text: str, category: str) -> "Filter":
        """Return both as one filter, or raise InvalidArgument (filter, category)."""
        path = categories.parsed(category)
        within = (
            filters.Comparison(filters.Field(filters.Column.CATEGORY), filters.Operator.EQUAL, path)
            if path
            else None
        )
        node = filters.all_of(within, filters.parse(filter_text))
        if node is None:
            return cls()
        return cls(node, filters.canonical(node), filters.category_bound(node))


@dataclass(frozen=True)
class Query:
    """A search within limits: text without superfluous white space."""

    text: str
    page_size: int
    min_revision: int
    budget_seconds: float
    filter: Filter = Filter()
    mode: Mode = Mode.HYBRID
    # The part of meaning in a hybrid answer, 0 to 1.
    semantic_weight: float = 0.5
    # No correction of the spelling.
    literal: bool = False
    skip_cache: bool = False


@dataclass(frozen=True)
class SimilarQuery:
    """A search by the vector of a product."""

    product_id: str
    page_size: int
    min_revision: int
    budget_seconds: float
    filter: Filter = Filter()
    # Ids of products to keep away from.
    unlike: Sequence[str] = ()


def parse_text(query: str) -> str:
    """Return the query text with single spaces, or raise InvalidArgument."""
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InvalidArgument(
            "query", f"{len(query)} characters given, at most {MAX_QUERY_CHARACTERS}"
        )
    text = " ".join(query.replace("\x00", " ").split())
    if not text:
        raise InvalidArgument("query", "must not be empty")
    return text


def parse_product_id(product_id: str) -> str:
    """Return the id, or raise InvalidArgument."""
    if not product_id:
        raise InvalidArgument("product_id", "must not be empty")
    if len(product_id) > 512:
        raise InvalidArgument("product_id", f"{len(product_id)} characters given, at most 512")
    return product_id


def parse_unlike(product_id: str, unlike: Sequence[str]) -> Sequence[str]:
    """Return the ids of products to keep away from, or raise InvalidArgument."""
    if len(unlike) > MAX_UNLIKE:
        raise InvalidArgument("unlike", f"{len(unlike)} given, at most {MAX_UNLIKE}")
    if product_id in unlike:
        raise InvalidArgument("unlike", "holds product_id itself")
    return list(unlike)


def parse_page_size(page_size: int) -> int:
    """Return the page size, the default for 0, or raise InvalidArgument."""
    if not 0 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidArgument("page_size", f"{page_size} given, must be 1 to {MAX_PAGE_SIZE}")
    return page_size or DEFAULT_PAGE_SIZE


def parse_min_revision(min_revision: int) -> int:
    """Return the revision, or raise InvalidArgument."""
    if min_revision < 0:
        raise InvalidArgument("min_revision", f"{min_revision} given, must be 0 or more")
    return min_revision


def parse_semantic_weight(weight: float | None, default: float) -> float:
    """Return the weight, the default for None, or raise InvalidArgument."""
    if weight is None:
        return default
    if not 0 <= weight <= 1:
        raise InvalidArgument("semantic_weight", f"{weight:g} given, must be 0 to 1")
    return weight


def parse_mode(number: int) -> Mode:
    """Return the mode, hybrid for 0, or raise InvalidArgument."""
    try:
        return Mode(number or Mode.HYBRID)
    except ValueError:
        raise InvalidArgument("mode", f"{number} is none") from None


def parse_budget(timeout_seconds: float | None, default_seconds: float) -> float:
    """Return the budget that a query asks for, or raise InvalidArgument."""
    if timeout_seconds is None:
        return default_seconds
    if not 0 < timeout_seconds <= MAX_BUDGET_SECONDS:
        raise InvalidArgument(
            "timeout", f"{timeout_seconds:g} s given, must be above 0 and at most 60 s"
        )
    return timeout_seconds


class Explanation(NamedTuple):
    """What made the place of one result. Ranks begin at 1; 0: not found this way.

    A tuple, since a query makes hundreds of them.
    """

    # 0 to 1, what the results are ranked by.
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

    @classmethod
    def by_meaning(cls, rank: int, cosine: float) -> "Explanation":
        """Explain a place that a vector gave: (1 + cosine) / 2."""
        return cls(min(1.0, max(0.0, (1.0 + cosine) / 2.0)), semantic_rank=rank, cosine=cosine)

    @classmethod
    def by_words(
        cls, rank: int, bm25: float, *, is_exact_identifier: bool = False
    ) -> "Explanation":
        """Explain a place that words gave: bm25 / (bm25 + 10)."""
        return cls(
            bm25 / (bm25 + BM25_MIDPOINT),
            lexical_rank=rank,
            bm25=bm25,
            is_exact_identifier=is_exact_identifier,
        )


@dataclass(frozen=True)
class Plan:
    """What was looked at."""

    strategy: Strategy = Strategy.UNSPECIFIED
    vectors: int = 0
    passing: int = 0
    candidates: int = 0
    lexical_candidates: int = 0
    semantic_candidates: int = 0


@dataclass(frozen=True)
class Candidates:
    """Product ids with their explanations, the best first, and what they reflect."""

    hits: Sequence[tuple[str, Explanation]]
    revision: int
    plan: Plan
    space: str = ""
    # The query as it was searched, where its spelling was corrected.
    corrected_query: str = ""
    # Only what holds the words is an answer.
    requires_words: bool = False


@dataclass(frozen=True)
class Result:
    """One product of an answer."""

    product: Product
    explanation: Explanation


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


@dataclass(frozen=True)
class Served:
    """An answer on its way out: with what concerns this call alone."""

    answer: Answer
    provenance: Provenance
    timings: Timings = field(default_factory=Timings)
    # In addition to those of the answer.
    degraded: frozenset[Degradation] = frozenset()


def budget_class(budget_seconds: float) -> int:
    """Return a number that budgets within about 20 % of each other mostly share."""
    return round(math.log2(budget_seconds) * 4)
