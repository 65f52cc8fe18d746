"""Phrases, found in the words of a query without looking at each of them."""

from collections import Counter
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

Phrase = tuple[str, ...]


class Found(NamedTuple):
    """Where in a query a phrase stands, and the ids of what has it."""

    start: int
    end: int
    ids: Set[str]


class PhraseIndex:
    """Which ids have a phrase, one or more words side by side."""

    def __init__(self) -> None:
        self._ids: dict[Phrase, set[str]] = {}
        # For each first word, how many phrases have so many words.
        self._lengths: dict[str, Counter[int]] = {}

    def add(self, phrase: Phrase, id_text: str) -> None:
        """Let an id have a phrase."""
        if phrase not in self._ids:
            self._ids[phrase] = set()
            self._lengths.setdefault(phrase[0], Counter())[len(phrase)] += 1
        self._ids[phrase].add(id_text)

    def remove(self, phrase: Phrase, id_text: str) -> None:
        """Undo `add`."""
        self._ids[phrase].discard(id_text)
        if self._ids[phrase]:
            return
        del self._ids[phrase]
        lengths = self._lengths[phrase[0]]
        lengths[len(phrase)] -= 1
        if not lengths[len(phrase)]:
            del lengths[len(phrase)]
        if not lengths:
            del self._lengths[phrase[0]]

    def ids(self, phrase: Phrase) -> Set[str]:
        """Return the ids that have the very phrase."""
        return self._ids.get(phrase, frozenset())

    def within(self, words: Sequence[str]) -> Iterator[Found]:
        """Yield every phrase that stands in the words."""
        for start, word in enumerate(words):
            for length in self._lengths.get(word, ()):
                ids = self._ids.get(tuple(words[start : start + length]))
                if ids and start + length <= len(words):
                    yield Found(start, start + length, ids)
