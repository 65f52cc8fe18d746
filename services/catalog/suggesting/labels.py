"""Short texts in memory, to be found while they are typed."""

import heapq
import math
from collections.abc import Iterable

from services.catalog.suggesting.typed import Typed
from services.catalog.text import Beginnings, tokens_of


class Labels:
    """Texts, each with a weight, found by their words, the weightiest first."""

    def __init__(self) -> None:
        self._weights: dict[str, float] = {}
        self._words: dict[str, frozenset[str]] = {}
        self._by_word = _Index()
        # By all words in their order, with blanks between.
        self._by_whole = _Index()

    def weights(self) -> dict[str, float]:
        """Return the weight of each text."""
        return dict(self._weights)

    def weight(self, text: str) -> float:
        """Return the weight of a text; 0 if it is not there."""
        return self._weights.get(text, 0)

    def add(self, text: str, weight: float) -> None:
        """Add to the weight of a text; one that has none left is forgotten."""
        after = self.weight(text) + weight
        if after > 0:
            self.put(text, after)
        else:
            self.discard(text)

    def put(self, text: str, weight: float) -> None:
        """Give a text its weight."""
        if text not in self._weights:
            tokens = tokens_of(text)
            self._words[text] = frozenset((*tokens.words, *tokens.compounds))
            for word in self._words[text]:
                self._by_word.add(word, text)
            self._by_whole.add(" ".join(tokens.words), text)
        self._weights[text] = weight

    def discard(self, text: str) -> None:
        """Forget a text if it is there."""
        if self._weights.pop(text, None) is not None:
            for word in self._words.pop(text):
                self._by_word.discard(word, text)
            self._by_whole.discard(" ".join(tokens_of(text).words), text)

    def found(self, typed: Typed, at_most: int, least_weight: float = -math.inf) -> list[str]:
        """Return texts that hold all words, the last one being the beginning of one.

        First those that begin as typed.
        """
        beginning = self._by_whole.beginning(" ".join((*typed.earlier, typed.last)))
        found = self._weightiest(beginning, at_most, least_weight)
        if len(found) < at_most:
            begun = set(found)
            holding = (
                text
                for text in self._by_word.beginning(typed.last)
                if text not in begun and self._words[text].issuperset(typed.earlier)
            )
            found += self._weightiest(holding, at_most - len(found), least_weight)
        return found

    def weightiest(self, at_most: int, least_weight: float) -> list[str]:
        """Return the texts of at least this weight, the weightiest first."""
        return self._weightiest(self._weights, at_most, least_weight)

    def _weightiest(self, texts: Iterable[str], at_most: int, least_weight: float) -> list[str]:
        ranked = ((-self._weights[text], text) for text in texts)
        best = heapq.nsmallest(at_most, ranked)
        return [text for weight, text in best if -weight >= least_weight]


class _Index:
    """Texts by keys, and keys by how they begin."""

    def __init__(self) -> None:
        self._texts: dict[str, set[str]] = {}
        self._keys = Beginnings()

    def add(self, key: str, text: str) -> None:
        self._keys.add(key)
        self._texts.setdefault(key, set()).add(text)

    def discard(self, key: str, text: str) -> None:
        there = self._texts[key]
        there.discard(text)
        if not there:
            del self._texts[key]
            self._keys.discard(key)

    def beginning(self, beginning: str) -> set[str]:
        """Return the texts of all keys that begin so."""
        return {text for key in self._keys.of(beginning) for text in self._texts[key]}
