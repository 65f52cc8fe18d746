"""What FTS5 is asked for a query, and in which order the answers come."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.catalog.stores import TextHit
from services.catalog.text import Term, TextQuery

# The score of what is named by its identifier where no words are found.
_ALONE = 1.0

# Gives the hits of an expression of FTS5 in their order.
Matching = Callable[[str], list[TextHit]]


class Ranked(NamedTuple):
    """Hits in order: first those that are named, and whether some hold all terms."""

    hits: list[TextHit]
    exact_identifiers: int
    holds_all: bool


def ranked(query: TextQuery, named: Sequence[str], matching: Matching, enough: int) -> Ranked:
    """Return what the query names, then what holds all terms, then what holds some.

    What holds all terms as they were typed comes before what holds synonyms of some.
    What holds some, or synonyms, is left out where there is enough without.
    """
    with_all = matching(_required(query, all_of(query.typed_terms or query.terms)))
    if len(with_all) < enough and query.typed_terms:
        with_all = _joined(with_all, matching(_required(query, all_of(query.terms))))
    hits = with_all
    if len(with_all) < enough and _has_choice(query):
        hits = _joined(with_all, matching(_required(query, _any_of(query))))
    return Ranked(_named_first(named, hits), len(named), bool(with_all))


def all_or_any(query: TextQuery, named: Sequence[str], matching: Matching) -> Ranked:
    """Return what holds all terms; if nothing does, what is named, or what holds any term."""
    hits = with_all = matching(_required(query, all_of(query.terms)))
    if not with_all:
        hits = [TextHit(product_id, _ALONE) for product_id in named]
    if not hits and _has_choice(query):
        hits = matching(_required(query, _any_of(query)))
    return Ranked(hits, 0, bool(with_all))


def all_phrases(query: TextQuery) -> str:
    """Return the expression for what holds every phrase; empty if there are none."""
    ways = ([f'"{" ".join(words)}"' for words in forms] for forms in query.phrase_forms)
    return " AND ".join([f"({' OR '.join(way)})" if len(way) > 1 else way[0] for way in ways])


def _has_choice(query: TextQuery) -> bool:
    """Whether a product can hold some of what is asked for and not all."""
    typed = query.typed_terms or query.terms
    wanted = len(typed) + len(query.phrase_forms)
    return (wanted > 1 and bool(typed)) or any(
        len(words) > 1 for term in typed for words in term.alternatives
    )


def _required(query: TextQuery, expression: str) -> str:
    return " AND ".join(filter(None, (all_phrases(query), expression)))


def all_of(terms: Sequence[Term]) -> str:
    """Return the expression for what holds every term; empty if there are none."""
    return " AND ".join(
        f"({' OR '.join(_quoted(words, ' AND ') for words in term.alternatives)})" for term in terms
    )


def _any_of(query: TextQuery) -> str:
    """Return the expression for what holds any word of the terms, or the phrases alone."""
    typed = query.typed_terms or query.terms
    words = [word for term in typed for word in term.words]
    # One that is there in any case: a product may hold the phrases and nothing else.
    words += [words[0] for forms in query.phrase_forms[:1] for words in forms]
    # Of a synonym all words: one of them may mean another thing.
    synonyms = {words for term in query.terms if term not in typed for words in term.alternatives}
    ways = [_quoted(words, " AND ") for words in sorted(synonyms)]
    return f"({' OR '.join([_quoted(words, ' OR '), *ways])})"


def _quoted(words: Sequence[str], operator: str) -> str:
    # Words are letters and digits only, so quotes keep every syntax of FTS5 out.
    quoted = [f'"{word}"' for word in dict.fromkeys(words)]
    return f"({operator.join(quoted)})"


def _joined(with_all: list[TextHit], with_any: list[TextHit]) -> list[TextHit]:
    """Return the products with all terms, then the others, scaled not to score above them."""
    known = {hit.product_id for hit in with_all}
    others = [hit for hit in with_any if hit.product_id not in known]
    if not with_all or not others:
        return with_all + others
    scale = min(1.0, with_all[-1].score / others[0].score)
    return with_all + [TextHit(product_id, score * scale) for product_id, score in others]


def _named_first(named: Sequence[str], hits: list[TextHit]) -> list[TextHit]:
    """Return the products that the query names, scoring above all others, then these."""
    if not named:
        return hits
    best = max((hit.score for hit in hits), default=_ALONE)
    own = dict.fromkeys(named, 0.0)
    own |= {hit.product_id: hit.score for hit in hits if hit.product_id in own}
    exact = [
        TextHit(product_id, best + own[product_id])
        for product_id in sorted(own, key=lambda product_id: -own[product_id])
    ]
    return exact + [hit for hit in hits if hit.product_id not in own]
