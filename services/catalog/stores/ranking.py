"""What FTS5 is asked for a query, and in which order the answers come."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from services.catalog.stores import TextHit, TextHits
from services.catalog.text import Term, TextQuery

# The score of what is named by its identifier where no words are found.
_ALONE = 1.0

Matching = Callable[[str], Awaitable[TextHits]]


async def ranked(
    query: TextQuery, named: Sequence[str], matching: Matching, limit: int
) -> TextHits:
    """Return up to `limit` hits: what the query names, then with all terms, then with some.

    `matching` gives the best of an expression of FTS5, up to the limit.
    """
    found = await matching(_required(query, _all_of(query.terms)))
    hits = found.hits
    if len(hits) < limit and _has_choice(query):
        with_any = await matching(_required(query, _any_of(query)))
        hits = _joined(hits, with_any.hits)
    in_order = _named_first(named, hits)[:limit]
    return TextHits(in_order, found.revision, holds_all=bool(found.hits))


def all_phrases(query: TextQuery) -> str:
    """Return the expression for what holds every phrase; empty if there are none."""
    return " AND ".join([f'"{" ".join(phrase)}"' for phrase in query.phrases])


def _has_choice(query: TextQuery) -> bool:
    """Whether a product can hold some of what is asked for and not all."""
    wanted = len(query.terms) + len(query.phrases)
    return (wanted > 1 and bool(query.terms)) or any(
        len(words) > 1 for term in query.terms for words in term.alternatives
    )


def _required(query: TextQuery, expression: str) -> str:
    return " AND ".join(filter(None, (all_phrases(query), expression)))


def _all_of(terms: Sequence[Term]) -> str:
    """Return the expression for what holds every term; empty if there are none."""
    return " AND ".join(
        f"({' OR '.join(_quoted(words, ' AND ') for words in term.alternatives)})" for term in terms
    )


def _any_of(query: TextQuery) -> str:
    """Return the expression for what holds any word of the terms, or the phrases alone."""
    words = [word for term in query.terms for word in term.words]
    # One that is there in any case: a product may hold the phrases and nothing else.
    words += [phrase[0] for phrase in query.phrases[:1]]
    return _quoted(words, " OR ")


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
    return with_all + [replace(hit, score=hit.score * scale) for hit in others]


def _named_first(named: Sequence[str], hits: list[TextHit]) -> list[TextHit]:
    """Return the products that the query names, scoring above all others, then these."""
    if not named:
        return hits
    best = max((hit.score for hit in hits), default=_ALONE)
    own = dict.fromkeys(named, 0.0)
    own |= {hit.product_id: hit.score for hit in hits if hit.product_id in own}
    exact = [
        TextHit(product_id, best + own[product_id], is_exact_identifier=True)
        for product_id in sorted(own, key=lambda product_id: -own[product_id])
    ]
    return exact + [hit for hit in hits if hit.product_id not in own]
