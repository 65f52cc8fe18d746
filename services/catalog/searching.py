"""A search by words: the query is read, its spelling corrected, and the store asked."""

from dataclasses import dataclass

from services.catalog import text
from services.catalog.stores import Store, TextHit
from services.common.filters import Node


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """Hits, the best first, and how the query was understood."""

    hits: list[TextHit]
    revision: int
    # The query as it was searched, where its spelling was corrected; else empty.
    corrected_query: str
    # What does not hold the quoted words of the query is no answer.
    requires_words: bool


async def search(
    store: Store, rules: text.Rules, query: str, passing: Node | None, limit: int, *, literal: bool
) -> TextAnswer:
    """Find active products that pass the filter, by the words of a query.

    Unless it is `literal`, words that no product has are corrected, and the last
    of them may be the beginning of others. A correction that finds nothing is none.
    """
    as_given = text.parsed(query, rules)
    requires_words = bool(as_given.phrases)
    if not literal and not as_given.is_empty:
        for correction in await _corrections(store, rules, query):
            if correction == text.Correction(query):
                break
            meant = _meaning(correction, rules)
            if meant == as_given:
                break
            found = await store.search_text(meant, passing, limit)
            # A bold guess must go with the other words: "gps garmn" is not "gps german".
            if found.hits and (found.holds_all or not correction.is_bold):
                was_corrected = correction.query != text.normalised(query)
                corrected_query = correction.query if was_corrected else ""
                return TextAnswer(found.hits, found.revision, corrected_query, requires_words)
    found = await store.search_text(as_given, passing, limit)
    return TextAnswer(found.hits, found.revision, "", requires_words)


async def _corrections(store: Store, rules: text.Rules, query: str) -> list[text.Correction]:
    """Return what the query may have meant, the boldest guess first."""
    query = text.normalised(query)
    words = text.spelt_words(query, rules)
    vocabulary = store.vocabulary
    unknown = {word.folded for word in words if word.folded not in vocabulary}
    if unknown:
        indexed = await store.indexed({rules.stem(word) for word in unknown})
        unknown = {word for word in unknown if rules.stem(word) not in indexed}
    boldest = text.corrected(query, words, unknown, vocabulary)
    if not boldest.is_bold:
        return [boldest]
    return [boldest, text.corrected(query, words, unknown, vocabulary, boldly=False)]


def _meaning(correction: text.Correction, rules: text.Rules) -> text.TextQuery:
    meant = text.parsed(correction.query, rules)
    if correction.completions:
        others = [rules.stem(word) for word in correction.completions]
        meant = meant.with_alternatives(rules.stem(correction.unfinished), others)
    for first, second, joined in correction.joins:
        meant = meant.with_joined(*map(rules.stem, (first, second, joined)))
    return meant
