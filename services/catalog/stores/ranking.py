"""What FTS5 is asked for a query, and in which order the answers come."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from services.catalog.stores import TextHit
from services.catalog.text import Term, TextQuery

# The score of what is named by its identifier where no words are found.
_ALONE = 1.0

# Documents that are looked at for one expression, by the counts of its words. What is above
# is narrowed: the commonest words are not asked for.
MAX_SCANNED = 600_000
# The same where words do not find, and only count: each is looked up several times then.
_MAX_SCANNED_BESIDES = 150_000

# So many products with all words are a first page.
_ALL_THAT_WAS_MEANT = 10

# Gives the hits of an expression of FTS5 in their order, and takes how many products match it
# at most.
Matching = Callable[[str, int], list[TextHit]]
# Gives about how many products match each expression.
Counting = Callable[[Sequence[str]], list[int]]


class Ranked(NamedTuple):
    """Hits in order: first those that are named, and whether some hold all terms."""

    hits: list[TextHit]
    exact_identifiers: int
    holds_all: bool


def ranked(
    query: TextQuery, named: Sequence[str], counts: Counting, matching: Matching, enough: int
) -> Ranked:
    """Return what the query names, then what holds all terms, then what holds some.

    What holds all terms as they were typed comes before what holds synonyms of some.
    What holds some, or synonyms, is left out where there is enough without; of what holds
    some, that which holds none but the commonest words, where the rarer give enough.
    """
    with_all = matching(*_all_of(query, query.typed_terms or query.terms, counts))
    if len(with_all) < enough and query.typed_terms:
        with_all = _joined(with_all, matching(*_all_of(query, query.terms, counts)))
    hits = with_all
    if len(with_all) < enough and _has_choice(query):
        lacking = enough - len(with_all)
        # Where hardly anything holds all, one of the words may not be the one that was meant.
        rarest = lacking if len(with_all) >= _ALL_THAT_WAS_MEANT else MAX_SCANNED
        for expression, at_most in _any_of(query, counts, rarest):
            hits = _joined(with_all, matching(expression, at_most))
            if len(hits) >= enough:
                break
    return Ranked(_named_first(named, hits), len(named), bool(with_all))


def all_or_any(
    query: TextQuery, named: Sequence[str], counts: Counting, matching: Matching
) -> Ranked:
    """Return what holds all terms; if nothing does, what is named, or what holds any term."""
    hits = with_all = matching(*_all_of(query, query.terms, counts))
    if not with_all:
        hits = [TextHit(product_id, _ALONE) for product_id in named]
    if not hits and _has_choice(query):
        ((expression, at_most),) = _any_of(query, counts, MAX_SCANNED)
        hits = matching(expression, at_most)
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
    return " AND ".join(map(_one_of, terms))


def _one_of(term: Term) -> str:
    return f"({' OR '.join(_quoted(words, ' AND ') for words in term.alternatives)})"


def _all_of(query: TextQuery, terms: Sequence[Term], counts: Counting) -> tuple[str, int]:
    """Return the expression for what holds the phrases and every term, and its count at most.

    The commonest terms are left out where all of them would be too much to look at.
    """
    if not terms:
        phrases = all_phrases(query)
        return phrases, counts([phrases])[0]
    ways = [_one_of(term) for term in terms]
    count_by_way = dict(zip(ways, counts(ways), strict=True))
    scanned = 0
    kept: list[str] = []
    for way in sorted(ways, key=count_by_way.__getitem__):
        scanned += count_by_way[way]
        if not kept or scanned <= MAX_SCANNED:
            kept.append(way)
    expression = " AND ".join(way for way in ways if way in kept)
    return _required(query, expression), min(count_by_way.values())


def _any_of(query: TextQuery, counts: Counting, wanted: int) -> Iterator[tuple[str, int]]:
    """Yield expressions for what holds any word of the terms, or the phrases alone.

    First by the rarest words that so many products hold, then by all; each with its count
    at most.
    """
    typed = query.typed_terms or query.terms
    ways = [_quoted(term.words, " OR ") for term in typed]
    # One that is there in any case: a product may hold the phrases and nothing else.
    ways += [_quoted(forms[0][:1], " OR ") for forms in query.phrase_forms[:1]]
    # Of a synonym all words: one of them may mean another thing.
    synonyms = {words for term in query.terms if term not in typed for words in term.alternatives}
    ways += [_quoted(words, " AND ") for words in sorted(synonyms)]
    counted = sorted(zip(counts(ways), ways, strict=True))
    sums = list(accumulate(count for count, _ in counted))
    # With phrases the counts say little of what holds these too.
    bounds = {MAX_SCANNED} if query.phrase_forms else {wanted, MAX_SCANNED}
    for bound in sorted(bounds):
        few = min(bisect_left(sums, bound) + 1, len(ways))
        rare = " OR ".join(way for _, way in counted[:few])
        besides = [
            way
            for (_, way), scanned in zip(counted[few:], sums[few:], strict=True)
            if scanned <= _MAX_SCANNED_BESIDES
        ]
        # What holds one word of two, and not the other, has nothing besides.
        expression = _counting(f"({rare})", besides) if len(ways) > 2 else f"({rare})"
        yield _required(query, expression), sums[few - 1]
        if few == len(ways):
            return


def _counting(rare: str, besides: Sequence[str]) -> str:
    """Return the expression for what is rare, in whose score other words count too.

    A product is in one of the two parts, so that nothing counts twice.
    """
    if not besides:
        return rare
    common = f"({' OR '.join(besides)})"
    return f"(({rare} AND {common}) OR ({rare} NOT {common}))"


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
