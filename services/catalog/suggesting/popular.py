"""What people search for, and how often: older askings count less and less."""

import heapq
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.catalog.suggesting.labels import Labels
from services.catalog.suggesting.typed import Typed
from services.catalog.text import tokens_of, without_accents
from services.common.errors import InvalidArgument

MAX_POPULAR_QUERIES = 10_000
MAX_RECORDED_QUERIES = 1_000
MAX_RECORDED_CHARACTERS = 100

_HALF_LIFE_US = 14 * 24 * 3_600 * 1_000_000
# Rounded it is three, so that an asking of a moment ago counts as one.
_LEAST_COUNT = 2.5
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class QueryCount:
    """A query and how often it was asked; see `checked`."""

    query: str
    count: int


def checked(asked: Sequence[QueryCount]) -> Sequence[QueryCount]:
    """Return what may be recorded; InvalidArgument names the first entry that may not."""
    if len(asked) > MAX_RECORDED_QUERIES:
        raise InvalidArgument("queries", f"{len(asked)} given, at most {MAX_RECORDED_QUERIES}")
    for position, entry in enumerate(asked):
        field = f"queries[{position}]"
        if not 1 <= len(entry.query) <= MAX_RECORDED_CHARACTERS:
            raise InvalidArgument(
                f"{field}.query",
                f"{len(entry.query)} characters, must be 1 to {MAX_RECORDED_CHARACTERS}",
            )
        if entry.count < 1:
            raise InvalidArgument(f"{field}.count", f"{entry.count}, must be 1 or more")
    return asked


@dataclass(frozen=True, slots=True)
class PopularQuery:
    """A query as it was last spelt, and its count at a time, microseconds since the epoch."""

    folded: str
    query: str
    count: float
    time_us: int

    def count_at(self, now_us: int) -> float:
        """Return what is left of the count."""
        return self.count * math.exp2((self.time_us - max(now_us, self.time_us)) / _HALF_LIFE_US)

    @property
    def weight(self) -> float:
        """What orders queries by their counts at any time: all halve together."""
        return _weight(self.count, self.time_us)


def _weight(count: float, time_us: int) -> float:
    return math.log2(count) + time_us / _HALF_LIFE_US


@dataclass(frozen=True, slots=True)
class Recording:
    """What counting some queries does: those that are counted anew, and those that go."""

    counted: list[PopularQuery]
    forgotten: list[str]


class PopularQueries:
    """The queries most asked, at most MAX_POPULAR_QUERIES."""

    def __init__(self) -> None:
        self._queries: dict[str, PopularQuery] = {}
        self._labels = Labels()

    def __len__(self) -> int:
        return len(self._queries)

    def planned(self, asked: Iterable[QueryCount], now_us: int) -> Recording:
        """Decide what counting the queries does; nothing is counted yet.

        What has no letter and no digit is nothing to suggest.
        """
        counted: dict[str, PopularQuery] = {}
        for entry in asked:
            query = " ".join(_CONTROL.sub(" ", entry.query).split())
            folded = without_accents(query)
            if not tokens_of(folded).words:
                continue
            known = counted.get(folded) or self._queries.get(folded)
            before = known.count_at(now_us) if known else 0.0
            time_us = max(now_us, known.time_us) if known else now_us
            counted[folded] = PopularQuery(folded, query, before + entry.count, time_us)
        all_queries = self._queries | counted
        too_many = max(len(all_queries) - MAX_POPULAR_QUERIES, 0)
        least = heapq.nsmallest(too_many, all_queries.values(), key=lambda query: query.weight)
        forgotten = [query.folded for query in least]
        for folded in forgotten:
            counted.pop(folded, None)
        return Recording(list(counted.values()), forgotten)

    def apply(self, recording: Recording) -> None:
        """Take over what was planned."""
        for query in recording.counted:
            self._queries[query.folded] = query
            self._labels.put(query.folded, query.weight)
        for folded in recording.forgotten:
            self._queries.pop(folded, None)
            self._labels.discard(folded)

    def most_asked(self, at_most: int, now_us: int) -> list[PopularQuery]:
        """Return the queries asked three times or more, the most popular first."""
        least_weight = _weight(_LEAST_COUNT, now_us)
        return [self._queries[folded] for folded in self._labels.weightiest(at_most, least_weight)]

    def found(self, typed: Typed, at_most: int, now_us: int) -> list[PopularQuery]:
        """Return those of them that hold what was typed; see `Labels.found`."""
        least_weight = _weight(_LEAST_COUNT, now_us)
        found = self._labels.found(typed, at_most, least_weight)
        return [self._queries[folded] for folded in found]
