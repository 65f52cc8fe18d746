"""Synonyms in memory, and what a query is found by besides its own words."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain, islice

from services.catalog import text
from services.catalog.tuning.entries import Stored
from services.catalog.tuning.phrases import Found, Phrase, PhraseIndex
from services.catalog.tuning.synonyms import Synonyms

# A bound on the work of one query, far beyond what a shop means by a word.
MAX_ALTERNATIVES = 100


@dataclass(frozen=True, slots=True)
class Widened:
    """A query, and the ids of the synonyms that it was widened by, in order."""

    query: text.TextQuery
    synonym_ids: tuple[str, ...] = ()


class Thesaurus:
    """All synonyms, found by the words of a query that they widen."""

    def __init__(self, text_rules: text.Rules) -> None:
        self._text_rules = text_rules
        self._synonyms: dict[str, Stored[Synonyms]] = {}
        # By id: what a query is widened by, each phrase as the words that say something.
        self._phrases: dict[str, list[list[str]]] = {}
        # Of what widens a query, not of what a query is only widened by.
        self._index = PhraseIndex()

    def entries(self) -> list[Stored[Synonyms]]:
        """Return all synonyms in order of their ids."""
        return [self._synonyms[id_text] for id_text in sorted(self._synonyms)]

    def put(self, stored: Stored[Synonyms]) -> None:
        """Take synonyms in, in place of those with their id."""
        self.remove(stored.entry.id)
        self._synonyms[stored.entry.id] = stored
        phrases = map(text.words_in, stored.entry.phrases)
        self._phrases[stored.entry.id] = [self._content(words) for words in phrases]
        for phrase in self._widening(stored.entry):
            self._index.add(phrase, stored.entry.id)

    def remove(self, id_text: str) -> None:
        """Forget synonyms if they are there."""
        gone = self._synonyms.pop(id_text, None)
        if gone is not None:
            del self._phrases[id_text]
            for phrase in self._widening(gone.entry):
                self._index.remove(phrase, id_text)

    def known_words(self, query: str) -> set[str]:
        """Return the folded words of a query that synonyms have a meaning for."""
        words = _words_outside_quotes(query)
        return {word for found in self._found(words) for word in words[found.start : found.end]}

    def widened(self, meant: text.TextQuery, query: str, reading: text.Rules) -> Widened:
        """Let the words of a query be found by their synonyms too.

        `meant` is what the query looks for by the rules `reading`. The longest
        phrases come first, and what widened a query is not widened itself. What
        stands in quotes is left alone.
        """
        words = _words_outside_quotes(query)
        wider = meant
        ids: set[str] = set()
        left = MAX_ALTERNATIVES
        for found in self._longest(words):
            if left <= 0:
                break
            own = self._content(words[found.start : found.end])
            parts = [text.term_of([word], reading) for word in own]
            ways = chain(text.term_of(own, reading).alternatives, self._others(found.ids, reading))
            by = text.Term(tuple(dict.fromkeys(islice(ways, left))))
            widened = wider.with_replaced(list(dict.fromkeys(parts)), by)
            if widened is not wider:
                wider = widened
                left -= len(by.alternatives)
                ids |= found.ids
        if wider is meant:
            return Widened(meant)
        return Widened(replace(wider, typed_terms=meant.terms), tuple(sorted(ids)))

    def _found(self, words: Sequence[str]) -> Iterator[Found]:
        stem = self._text_rules.stem
        return self._index.within([stem(word.replace("-", "")) for word in words])

    def _longest(self, words: Sequence[str]) -> list[Found]:
        """Return the phrases in the words, the longest first, of those that overlap the first."""
        taken: set[int] = set()
        chosen = []
        for found in sorted(
            self._found(words), key=lambda each: (each.start - each.end, each.start)
        ):
            places = range(found.start, found.end)
            if taken.isdisjoint(places):
                taken.update(places)
                chosen.append(found)
        return chosen

    def _others(self, ids: Set[str], reading: text.Rules) -> Iterator[Phrase]:
        for id_text in sorted(ids):
            for words in self._phrases[id_text]:
                yield from text.term_of(words, reading).alternatives

    def _content(self, words: Sequence[str]) -> list[str]:
        """Return what of the words says something; all of them if none does."""
        function_words = self._text_rules.function_words
        return [word for word in words if word not in function_words] or list(words)

    def _widening(self, synonyms: Synonyms) -> set[Phrase]:
        """Return the phrases that a query is widened for, in every way to write them.

        A query that joins words, "usb-c", has them as one.
        """
        sources = [synonyms.one_way_from] if synonyms.one_way_from else synonyms.phrases
        ways: set[Phrase] = set()
        for source in sources:
            words = text.words_in(source)
            joined = "".join(words).replace("-", "")
            for way in (*text.joined_and_apart(words), (joined,)):
                ways.add(tuple(map(self._text_rules.stem, way)))
        return ways


def _words_outside_quotes(query: str) -> list[str]:
    return text.words_in(text.without_phrases(query)[0])
