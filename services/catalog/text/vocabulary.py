"""The words of a catalog, and how many products have each: what corrections are made of."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from rapidfuzz import process
from rapidfuzz.distance import OSA

Key = TypeVar("Key")

# Words are found by their beginning through this many letters of it.
_HEAD = 3


class Vocabulary:
    """Counts by word, to be looked up by beginning and by likeness."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._by_head: dict[str, set[str]] = {}
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
                    self._by_head.setdefault(word[:_HEAD], set()).add(word)
                    self._by_length.setdefault(len(word), set()).add(word)
                self._counts[word] = count
            elif self._counts.pop(word, 0):
                _discard(self._by_head, word[:_HEAD], word)
                _discard(self._by_length, len(word), word)

    def completions(self, beginning: str, at_most: int) -> list[str]:
        """Return words that begin so, the commonest first; none for less than three letters."""
        if len(beginning) < _HEAD:
            return []
        there = self._by_head.get(beginning[:_HEAD], ())
        longer = (word for word in there if word.startswith(beginning))
        return sorted(longer, key=self._by_count)[:at_most]

    def nearest(self, word: str, at_most: int) -> str | None:
        """Return the word within so many edits that it was most likely meant to be.

        An edit inserts, drops or replaces a letter, or swaps two neighbours. The
        nearest one wins, then one with the same first letter, then the commonest.
        """
        found: list[tuple[int, bool, int, str]] = []
        for length in range(len(word) - at_most, len(word) + at_most + 1):
            like = self._by_length.get(length)
            if like:
                for other, distance, _ in _within(word, like, at_most):
                    rank = (distance, other[0] != word[0], -self._counts[other], other)
                    found.append(rank)
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
