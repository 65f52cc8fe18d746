"""A rule as the shop made it: what is done to the results of some queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Self

from services.catalog.products import checked_text, product_id
from services.catalog.tuning.fields import at_most, entry_id, phrase
from services.common import filters
from services.common.errors import InvalidArgument

MAX_RULES = 1_000
MAX_QUERIES = 50
MAX_QUERY_CHARACTERS = 200
MAX_PINS = 50
MAX_POSITION = 100
MAX_BURIED = 500
MAX_BOOSTS = 20
MIN_FACTOR = 0.01
MAX_FACTOR = 100.0
MAX_DESCRIPTION_CHARACTERS = 1_000


class QueryMatch(Enum):
    """Which queries are like those of a rule."""

    # The same words in the same order, and no others.
    EXACT = 1
    # These words side by side.
    CONTAINS = 2


@dataclass(frozen=True, slots=True)
class Pin:
    """A product at a fixed place among all results, from 1."""

    product_id: str
    position: int


@dataclass(frozen=True, slots=True)
class Boost:
    """What the scores of products that pass a filter, in its canonical text, are multiplied by."""

    filter: str
    factor: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule within all limits of the contract; `parse` makes one of what a caller sent."""

    id: str
    # None: it is for every query.
    queries: tuple[str, ...] = ()
    match: QueryMatch = QueryMatch.EXACT
    pins: tuple[Pin, ...] = ()
    buried_ids: tuple[str, ...] = ()
    boosts: tuple[Boost, ...] = ()
    active: bool = True
    description: str = ""

    @classmethod
    def parse(
        cls,
        *,
        id_text: str,
        queries: Sequence[str],
        match: int,
        pins: Sequence[Pin],
        buried_ids: Sequence[str],
        boosts: Sequence[Boost],
        active: bool,
        description: str,
    ) -> Self:
        """Check every field; InvalidArgument names it as the contract does."""
        entry_id(id_text)
        at_most("queries", len(queries), MAX_QUERIES)
        at_most("bury_product_ids", len(buried_ids), MAX_BURIED)
        at_most("boosts", len(boosts), MAX_BOOSTS)
        return cls(
            id=id_text,
            queries=tuple(
                phrase(f"queries[{at}]", query, MAX_QUERY_CHARACTERS)
                for at, query in enumerate(queries)
            ),
            match=_match(match),
            pins=_pins(pins),
            buried_ids=tuple(
                product_id(buried, f"bury_product_ids[{at}]")
                for at, buried in enumerate(buried_ids)
            ),
            boosts=tuple(_boost(f"boosts[{at}]", boost) for at, boost in enumerate(boosts)),
            active=active,
            description=checked_text("description", description, MAX_DESCRIPTION_CHARACTERS),
        )


def _match(number: int) -> QueryMatch:
    try:
        return QueryMatch(number or QueryMatch.EXACT.value)
    except ValueError:
        raise InvalidArgument("match", f"{number} is unknown") from None


def _pins(pins: Sequence[Pin]) -> tuple[Pin, ...]:
    at_most("pins", len(pins), MAX_PINS)
    positions: set[int] = set()
    ids: set[str] = set()
    for at, pin in enumerate(pins):
        product_id(pin.product_id, f"pins[{at}].product_id")
        field = f"pins[{at}].position"
        if not 1 <= pin.position <= MAX_POSITION:
            raise InvalidArgument(field, f"{pin.position}, must be 1 to {MAX_POSITION}")
        if pin.position in positions:
            raise InvalidArgument(field, f"{pin.position} comes twice")
        if pin.product_id in ids:
            raise InvalidArgument(f"pins[{at}].product_id", "comes twice")
        positions.add(pin.position)
        ids.add(pin.product_id)
    return tuple(pins)


def _boost(field: str, boost: Boost) -> Boost:
    try:
        passing = filters.parse(boost.filter)
    except InvalidArgument as error:
        raise error.within(field) from error
    if passing is None:
        raise InvalidArgument(f"{field}.filter", "empty, a filter is needed")
    # Written so that it refuses what is not a number, too.
    if not MIN_FACTOR <= boost.factor <= MAX_FACTOR:
        raise InvalidArgument(
            f"{field}.factor", f"{boost.factor:g}, must be {MIN_FACTOR:g} to {MAX_FACTOR:g}"
        )
    return Boost(filters.canonical(passing), boost.factor)
