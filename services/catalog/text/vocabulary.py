"""The words of a catalog, and how many products have each: what corrections are made of."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from rapidfuzz import process
from rapidfuzz.distance import OSA

from services.catalog.text.beginnings import Beginnings
from services.catalog.text.slips import likelihood

Key = TypeVar("Key")

# What is shorter begins too many words to say which was meant.
_SHORTEST_COMPLETED = 3


class Vocabulary:
    """Counts by word, to be looked up by beginning and by likeness."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._beginnings = Beginnings()
        self._by_length: dict[int, set[str]] = {}

    def __contains__(self, word: str) -> bool:
        return word in self._counts

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, word: str) -> int:
        """Return how many products have the word."""
        return self._counts.get(word, 0)

    def change(self, by: Mapping[str, int]) -> None:
        """Add to the counts; a word that no product has any more is forgotten."""
        for word, difference in by.items():
            count = self._counts.get(word, 0) + difference
            if count > 0:
                if word not in self._counts:
                    self._beginnings.add(word)
                    self._by_length.setdefault(len(word), set()).add(word)
                self._counts[word] = count
            elif self._counts.pop(word, 0):
                self._beginnings.discard(word)
                _discard(self._by_length, len(word), word)

    def completions(self, beginning: str, at_most: int) -> list[str]:
        """Return words that begin so, the commonest first; none for less than three letters."""
        if len(beginning) < _SHORTEST_COMPLETED:
            return []
        return self.commonest(beginning, at_most)

    def commonest(self, beginning: str, at_most: int) -> list[str]:
        """Return words that begin so, the commonest first."""
        return heapq.nsmallest(at_most, self._beginnings.of(beginning), key=self._by_count)

    def beginning_like(self, beginning: str) -> str | None:
        """Return the beginning, one edit from this one, that most words have.

        One with the same first letter wins. None for less than three letters.
        """
        if len(beginning) < _SHORTEST_COMPLETED:
            return None
        near = self._near_beginnings(beginning)
        if not near:
            first, second, rest = beginning[0], beginning[1], beginning[2:]
            others = {second + rest, second + first + rest}
            for letter in self._beginnings.first_letters():
                others |= {letter + second + rest, letter + beginning}
            near = Counter({other: self._count_beginning(other) for other in others})
        return max(+near, key=lambda other: (near[other], other), default=None)

    def _near_beginnings(self, beginning: str) -> Counter[str]:
        """Return how many words have each beginning that is one edit away in a later letter."""
        length = len(beginning)
        there = self._beginnings.of(beginning[0])
        lengths = range(length - 1, length + 2)
        cut = {word[:end] for word in there for end in lengths if len(word) >= end}
        near = (other for other, _, _ in _within(beginning, cut, 1))
        return Counter({other: self._count_beginning(other) for other in near})

    def _count_beginning(self, beginning: str) -> int:
        return sum(self._counts[word] for word in self._beginnings.of(beginning))

    def nearest(
        self, word: str, at_most: int, passing: Callable[[str], bool] | None = None
    ) -> str | None:
        """Return the word within so many edits that it was most likely meant to be.

        An edit inserts, drops or replaces a letter, or swaps two neighbours. The
        fewest edits win, then the likelihood of the slip times the count. With
        `passing`, only words that pass are looked at.
        """
        found: list[tuple[int, float, str]] = []
        for length in range(len(word) - at_most, len(word) + at_most + 1):
            like = self._by_length.get(length)
            if like:
                for other, distance, _ in _within(word, like, at_most):
                    if passing is None or passing(other):
                        weight = self._counts[other] * likelihood(other, word)
                        found.append((distance, -weight, other))
        return min(found)[-1] if found else None

    def _by_count(self, word: str) -> tuple[int, str]:
        return -self._counts[word], word


def _within(word: str, others: Iterable[str], at_most: int) -> list[tuple[str, int, int]]:
    return process.extract(
        word, list(others), scorer=OSA.distance, score_cutoff=at_most, limit=None
    )


def _discard(groups: dict[Key, set[str]], key: Key, word: str) -> None:
    groups[key].discard(word)
    if not groups[key]:
        del groups[key]
