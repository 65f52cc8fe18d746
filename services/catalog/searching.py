"""A search by words: the query is read, its spelling corrected, and the store asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.catalog import text
from services.catalog.stores import Store, TextHit, TextHits
from services.catalog.tuning import InForce, Rule, Stored
from services.catalog.tuning.widening import Widened
from services.common.filters import Node
from services.common.ordering import OrderKey


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """Hits in their order, and how the query was understood."""

    hits: list[TextHit]
    revision: int
    # The query as it was searched, where its spelling was corrected; else empty.
    corrected_query: str
    # What does not hold the quoted words of the query is no answer.
    requires_words: bool
    # So many of the first hits the query names: by an id, EAN or model number.
    exact_identifiers: int = 0
    # There are no hits beyond these.
    is_complete: bool = True
    # The shop's rules for the query, in order of their ids.
    rules: Sequence[Stored[Rule]] = ()
    # Of the synonyms that the query was widened by.
    synonym_ids: Sequence[str] = ()


async def search(
    store: Store,
    rules: text.Rules,
    tuned: InForce,
    query: str,
    passing: Node | None,
    limit: int,
    *,
    literal: bool,
    order: Sequence[OrderKey] = (),
) -> TextAnswer:
    """Find active products that pass the filter, by the words of a query.

    Unless it is `literal`, words that no product has are corrected, and the last
    of them may be the beginning of others. A correction that finds nothing is none.
    What is searched is widened by the shop's synonyms.
    """
    rules = rules.reading(store.holdings.languages)
    as_given = text.parsed(query, rules)
    if not literal and not as_given.is_empty:
        for correction in await _corrections(store, rules, tuned, query):
            if correction == text.Correction(query):
                break
            meant = _meaning(correction, rules)
            if meant == as_given:
                break
            wide = tuned.synonyms.widened(meant, correction.query, rules)
            found = await store.search_text(wide.query, passing, limit, order)
            # A bold guess must go with the other words: "gps garmn" is not "gps german".
            if found.hits and (found.holds_all or not correction.is_bold):
                was_corrected = correction.query != text.normalised(query)
                corrected_query = correction.query if was_corrected else ""
                matching = tuned.rules.matching(query, correction.query)
                return _answer(found, wide, matching, corrected_query)
    wide = tuned.synonyms.widened(as_given, query, rules)
    found = await store.search_text(wide.query, passing, limit, order)
    return _answer(found, wide, tuned.rules.matching(query))


def about(store: Store, rules: text.Rules, tuned: InForce, query: str, revision: int) -> TextAnswer:
    """Return what is said of a query itself, at a revision; nothing is searched or corrected."""
    rules = rules.reading(store.holdings.languages)
    wide = tuned.synonyms.widened(text.parsed(query, rules), query, rules)
    nothing = TextHits([], revision, is_complete=wide.query.is_empty)
    return _answer(nothing, wide, tuned.rules.matching(query))


def _answer(
    found: TextHits, wide: Widened, rules: Sequence[Stored[Rule]], corrected_query: str = ""
) -> TextAnswer:
    return TextAnswer(
        found.hits,
        found.revision,
        corrected_query,
        bool(wide.query.phrases),
        found.exact_identifiers,
        found.is_complete,
        rules,
        wide.synonym_ids,
    )


async def _corrections(
    store: Store, rules: text.Rules, tuned: InForce, query: str
) -> list[text.Correction]:
    """Return what the query may have meant, the boldest guess first."""
    query = text.normalised(query)
    words = text.spelt_words(query, rules)
    vocabulary = store.vocabulary
    known = tuned.synonyms.known_words(query)
    unknown = {word.folded for word in words if word.folded not in vocabulary} - known
    if unknown:
        stems = {word: {stem for (stem,) in rules.forms(word)} for word in unknown}
        indexed = await store.indexed(set().union(*stems.values()))
        unknown = {word for word in unknown if stems[word].isdisjoint(indexed)}
    boldest = text.corrected(query, words, unknown, vocabulary)
    if not boldest.is_bold:
        return [boldest]
    return [boldest, text.corrected(query, words, unknown, vocabulary, boldly=False)]


async def understood(
    store: Store, rules: text.Rules, tuned: InForce, query: str, *, literal: bool
) -> text.TextQuery:
    """Return what a search for the query looks for, as far as that is known without its filter."""
    rules = rules.reading(store.holdings.languages)
    as_given = text.parsed(query, rules)
    widest = tuned.synonyms.widened(as_given, query, rules).query
    if literal or as_given.is_empty:
        return widest
    for correction in await _corrections(store, rules, tuned, query):
        meant = _meaning(correction, rules)
        if not correction.is_bold or (await store.search_text(meant, None, 1)).holds_all:
            return tuned.synonyms.widened(meant, correction.query, rules).query
    return widest


def _meaning(correction: text.Correction, rules: text.Rules) -> text.TextQuery:
    meant = text.parsed(correction.query, rules)
    if correction.completions:
        unfinished = rules.forms(correction.unfinished)
        completed = (form for word in correction.completions for form in rules.forms(word))
        wider = text.Term(tuple(dict.fromkeys((*unfinished, *completed))))
        meant = meant.with_replaced([text.Term(unfinished)], wider)
    for first, second, joined in correction.joins:
        parts = [text.Term(rules.forms(word)) for word in (first, second)]
        either = text.Term((*rules.forms(first, second), *rules.forms(joined)))
        meant = meant.with_replaced(parts, either)
    return meant
