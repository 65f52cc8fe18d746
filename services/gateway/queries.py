"""What callers ask, checked once: everything behind works on queries that cannot be wrong."""

import enum
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from services.common import categories, filters, ordering
from services.common.errors import InvalidArgument
from services.common.facets import FacetSpec

MAX_QUERY_CHARACTERS = 1_000
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 10
MAX_BUDGET_SECONDS = 60.0
MAX_UNLIKE = 10
MAX_SPACE_CHARACTERS = 200


class Mode(enum.IntEnum):
    """What ranks; the numbers are those of the contract."""

    HYBRID = 1
    LEXICAL = 2
    SEMANTIC = 3


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
        return cls.of(filters.all_of(within, filters.parse(filter_text)))

    @classmethod
    def of(cls, node: filters.Node | None) -> "Filter":
        """Return the filter of a tree."""
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
    semantic_weight: float = 0.4
    # No correction of the spelling.
    literal: bool = False
    facets: tuple[FacetSpec, ...] = ()
    # Canonical; empty: by relevance.
    order_by: str = ""
    highlight: bool = False
    # 0 to 1: how much a result must differ from those above it.
    diversity: float = 0.0
    without_rules: bool = False
    # Meaning is found in this one alone; empty: in the preferred one that works.
    space: str = ""
    # Of the page before; empty: the first page.
    page_token: str = ""
    skip_cache: bool = False

    @cached_property
    def digest(self) -> bytes:
        """Eight bytes of all that makes the result that pages are cut from."""
        parts = (
            self.text,
            self.filter.text,
            self.mode.value,
            self.semantic_weight,
            self.literal,
            self.order_by,
            self.highlight,
            self.diversity,
            self.without_rules,
            self.space,
        )
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).digest()

    @cached_property
    def answer_digest(self) -> str:
        """Sixteen bytes, as hex, of all that makes an answer: of what is told of the result too."""
        parts = (self.digest.hex(), self.page_size, *(spec.text for spec in self.facets))
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


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


def parse_text(query: str, field: str = "query") -> str:
    """Return the query text with single spaces, or raise InvalidArgument."""
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InvalidArgument(
            field, f"{len(query)} characters given, at most {MAX_QUERY_CHARACTERS}"
        )
    text = " ".join(query.replace("\x00", " ").split())
    if not text:
        raise InvalidArgument(field, "must not be empty")
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


def parse_diversity(diversity: float, order_by: str) -> float:
    """Return the diversity, or raise InvalidArgument."""
    if not 0 <= diversity <= 1:
        raise InvalidArgument("diversity", f"{diversity:g} given, must be 0 to 1")
    if diversity and order_by:
        raise InvalidArgument("diversity", "goes with relevance only, not with order_by")
    return diversity


def parse_space(space: str, mode: Mode = Mode.HYBRID) -> str:
    """Return the id of a space that is to answer in a mode, or raise InvalidArgument."""
    if len(space) > MAX_SPACE_CHARACTERS:
        raise InvalidArgument(
            "space", f"{len(space)} characters given, at most {MAX_SPACE_CHARACTERS}"
        )
    if space and mode is Mode.LEXICAL:
        raise InvalidArgument("space", "goes with meaning, not with words alone")
    return space


def parse_order_by(order_by: str) -> str:
    """Return the order in its canonical form, or raise InvalidArgument."""
    return ordering.canonical(ordering.parse(order_by))
