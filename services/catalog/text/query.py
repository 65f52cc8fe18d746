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
    # Each is words that stand side by side; what does not hold them all is no answer.
    phrases: tuple[tuple[str, ...], ...] = ()
    # As `identifiers` has them: a product that bears one is what was asked for.
    identifiers: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look for."""
        return not self.terms and not self.phrases

    def with_alternatives(self, word: str, others: Sequence[str]) -> "TextQuery":
        """Let a word be found by others as well as by itself."""
        wider = Term(tuple((form,) for form in dict.fromkeys((word, *others))))
        return replace(
            self,
            terms=tuple(wider if term.alternatives == ((word,),) else term for term in self.terms),
        )

    def with_joined(self, first: str, second: str, joined: str) -> "TextQuery":
        """Let two words that stand for one be found by that one too."""
        parts = [Term(((first,),)), Term(((second,),))]
        if first == second or any(part not in self.terms for part in parts):
            return self
        either = Term(((first, second), (joined,)))
        terms = (either if term == parts[0] else term for term in self.terms if term != parts[1])
        return replace(self, terms=tuple(terms))


def without_phrases(query: str) -> tuple[str, list[str]]:
    """Return a query with blanks in place of its phrases, of the same length, and the phrases."""
    phrases = [next(filter(None, found.groups())) for found in _PHRASE.finditer(query)]
    return _PHRASE.sub(lambda found: " " * len(found[0]), query), phrases


def parsed(query: str, rules: Rules) -> TextQuery:
    """Return what a query looks for: distinct terms in order, at most MAX_QUERY_WORDS."""
    rest, quoted = without_phrases(query)
    phrases = [tuple(map(rules.stem, tokens_of(phrase).words)) for phrase in quoted]
    terms: dict[Term, None] = {}
    function_words: dict[Term, None] = {}
    words: list[str] = []
    for word in _WORD_OR_COMPOUND.findall(joined_quantities(without_accents(rest))[0]):
        parts = word.split("-")
        joined = "".join(parts)
        words.append(joined)
        term = Term(((rules.stem(joined),),))
        if len(parts) > 1:
            term = Term((*term.alternatives, tuple(map(rules.stem, parts))))
        (function_words if word in rules.function_words else terms)[term] = None
    phrases = [phrase[:MAX_QUERY_WORDS] for phrase in phrases if phrase]
    ranked = terms or ({} if phrases else function_words)
    return TextQuery(
        terms=tuple(ranked)[:MAX_QUERY_WORDS],
        phrases=tuple(dict.fromkeys(phrases))[:MAX_QUERY_WORDS],
        identifiers=named_by(rest, words[:MAX_QUERY_WORDS]),
    )
