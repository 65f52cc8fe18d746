"""A query as what a store looks for: terms that rank, phrases that are required, identifiers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.catalog.text.folding import tokens_of, without_accents
from services.catalog.text.identifiers import named_by
from services.catalog.text.quantities import joined_quantities
from services.catalog.text.words import Rules

# A bound on the work of one query. Nobody types more; what is pasted is found by these.
MAX_QUERY_WORDS = 32

_WORD_OR_COMPOUND = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
# An opening quote does not touch what is before it: after a number it is an inch sign.
_PHRASE = re.compile(r'(?<![^\W_])"([^"]+)"(?!\w)|“([^“”]+)”|«([^«»]+)»')


@dataclass(frozen=True, slots=True)
class Term:
    """What one word of a query is found by: all words of any alternative.

    "wi-fi" is found by "wifi", and by "wi" with "fi".
    """

    alternatives: tuple[tuple[str, ...], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The distinct words of all alternatives."""
        return tuple(dict.fromkeys(word for words in self.alternatives for word in words))


@dataclass(frozen=True, slots=True)
class TextQuery:
    """What to look for. A query without letter or digit has nothing of all this."""

    terms: tuple[Term, ...] = ()
    # Each is words that stand side by side, in one of several forms; what does not
    # hold them all is no answer.
    phrase_forms: tuple[tuple[tuple[str, ...], ...], ...] = ()
    # As `identifiers` has them: a product that bears one is what was asked for.
    identifiers: tuple[str, ...] = ()
    # The terms as they were before synonyms widened some: what holds these comes first.
    # Empty if none did.
    typed_terms: tuple[Term, ...] = ()

    @property
    def phrases(self) -> tuple[tuple[str, ...], ...]:
        """The phrases in the catalog's own language."""
        return tuple(forms[0] for forms in self.phrase_forms)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look for."""
        return not self.terms and not self.phrase_forms

    def with_replaced(self, terms: Sequence[Term], by: Term) -> "TextQuery":
        """Let one term stand for some distinct ones, in place of the first, if all are there."""
        if len(set(terms)) < len(terms) or not set(terms) <= set(self.terms):
            return self
        first, rest = terms[0], terms[1:]
        kept = (by if term == first else term for term in self.terms if term not in rest)
        return replace(self, terms=tuple(kept))


def without_phrases(query: str) -> tuple[str, list[str]]:
    """Return a query with blanks in place of its phrases, of the same length, and the phrases."""
    phrases = [next(filter(None, found.groups())) for found in _PHRASE.finditer(query)]
    return _PHRASE.sub(lambda found: " " * len(found[0]), query), phrases


def without_quotes(query: str) -> str:
    """Return a query with its phrases as words like all others."""
    return _PHRASE.sub(lambda found: f" {next(filter(None, found.groups()))} ", query)


def words_in(text: str) -> list[str]:
    """Return the words of a text in their order, folded but not stemmed; "wi-fi" is one."""
    return _WORD_OR_COMPOUND.findall(joined_quantities(without_accents(text))[0])


def joined_and_apart(words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return words of `words_in` with their hyphens left out, and parted at them if there are."""
    joined = tuple(word.replace("-", "") for word in words)
    apart = tuple(part for word in words for part in word.split("-"))
    return (joined,) if joined == apart else (joined, apart)


def term_of(words: Sequence[str], rules: Rules) -> Term:
    """Return what finds words of `words_in` as if they were one."""
    forms = (form for way in joined_and_apart(words) for form in rules.forms(*way))
    return Term(tuple(dict.fromkeys(forms)))


def parsed(query: str, rules: Rules) -> TextQuery:
    """Return what a query looks for: distinct terms in order, at most MAX_QUERY_WORDS."""
    rest, quoted = without_phrases(query)
    in_quotes = (tokens_of(phrase).words[:MAX_QUERY_WORDS] for phrase in quoted)
    phrases = dict.fromkeys(rules.forms(*words) for words in in_quotes if words)
    terms: dict[Term, None] = {}
    function_words: dict[Term, None] = {}
    words: list[str] = []
    for word in words_in(rest):
        words.append(word.replace("-", ""))
        term = term_of([word], rules)
        (function_words if word in rules.function_words else terms)[term] = None
    ranked = terms or ({} if phrases else function_words)
    return TextQuery(
        terms=tuple(ranked)[:MAX_QUERY_WORDS],
        phrase_forms=tuple(phrases)[:MAX_QUERY_WORDS],
        identifiers=named_by(rest, words[:MAX_QUERY_WORDS]),
    )
