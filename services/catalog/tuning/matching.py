"""Rules in memory, and those among them that are for a query."""

from services.catalog import text
from services.catalog.tuning.entries import Stored
from services.catalog.tuning.phrases import Phrase, PhraseIndex
from services.catalog.tuning.rules import QueryMatch, Rule


class RuleBook:
    """All rules, found by the words of a query: folded, and stemmed as the catalog's are."""

    def __init__(self, text_rules: text.Rules) -> None:
        self._stem = text_rules.stem
        self._rules: dict[str, Stored[Rule]] = {}
        self._for_every_query: set[str] = set()
        self._exact = PhraseIndex()
        self._contained = PhraseIndex()

    def entries(self) -> list[Stored[Rule]]:
        """Return all rules in order of their ids."""
        return [self._rules[id_text] for id_text in sorted(self._rules)]

    def put(self, stored: Stored[Rule]) -> None:
        """Take a rule in, in place of the one with its id."""
        rule = stored.entry
        self.remove(rule.id)
        self._rules[rule.id] = stored
        if not rule.active:
            return
        if not rule.queries:
            self._for_every_query.add(rule.id)
        index = self._index_of(rule)
        for phrase in self._phrases_of(rule):
            index.add(phrase, rule.id)

    def remove(self, id_text: str) -> None:
        """Forget a rule if it is there."""
        gone = self._rules.pop(id_text, None)
        if gone is None or not gone.entry.active:
            return
        self._for_every_query.discard(id_text)
        index = self._index_of(gone.entry)
        for phrase in self._phrases_of(gone.entry):
            index.remove(phrase, id_text)

    def matching(self, *queries: str) -> list[Stored[Rule]]:
        """Return the active rules for any of these ways to write a query, in order of ids."""
        ids = set(self._for_every_query)
        for query in queries:
            for words in self._readings(text.without_quotes(query)):
                ids |= self._exact.ids(words)
                for found in self._contained.within(words):
                    ids |= found.ids
        return [self._rules[id_text] for id_text in sorted(ids)]

    def _index_of(self, rule: Rule) -> PhraseIndex:
        return self._exact if rule.match is QueryMatch.EXACT else self._contained

    def _phrases_of(self, rule: Rule) -> set[Phrase]:
        return {words for query in rule.queries for words in self._readings(query)}

    def _readings(self, query: str) -> list[Phrase]:
        """Return the words of a query; twice if some have hyphens, joined and parted."""
        ways = text.joined_and_apart(text.words_in(query))
        return [tuple(map(self._stem, words)) for words in ways]
