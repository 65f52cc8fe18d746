"""What a query meant to say, by the catalog's own words.

Only words that no product has are corrected. What has digits, stands in quotes
or has a hyphen is taken as it is.
"""

import re
import unicodedata
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from services.catalog.text.folding import without_accents
from services.catalog.text.quantities import UNIT_WORDS
from services.catalog.text.query import MAX_QUERY_WORDS, without_phrases
from services.catalog.text.vocabulary import Vocabulary
from services.catalog.text.words import Rules

MAX_COMPLETIONS = 20

_SHORTEST_CORRECTED = 4
# In fewer letters one edit makes another word of too many: "algo" is not "albo".
_SHORTEST_SURE = 5
# From here on two edits still leave most of a word.
_LONG = 8
_SHORTEST_HALF = 3
# Two known words are taken for one only if that one is so much commoner.
_MUCH_COMMONER = 5
# The beginning of a word is a misspelt one instead if that one is so much commoner.
_FAR_COMMONER = 50

_LETTERS = re.compile(r"(?<![\w-])[^\W\d_]+(?![\w-])")


@dataclass(frozen=True, slots=True)
class Spelt:
    """A word of a query as it is written, where it stands, and folded."""

    start: int
    end: int
    folded: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A query with its words replaced; the same text if nothing was."""

    query: str
    # A word was changed so much, for its length, that another one may have been meant.
    is_bold: bool = False
    # The last word was the beginning of these; folded, as `unfinished` is.
    unfinished: str = ""
    completions: tuple[str, ...] = ()
    # Two words that stand for one, and that one; folded.
    joins: tuple[tuple[str, str, str], ...] = ()


def normalised(query: str) -> str:
    """Return a query as `spelt_words` counts its characters."""
    return unicodedata.normalize("NFC", query)


def spelt_words(query: str, rules: Rules) -> list[Spelt]:
    """Return the words of a normalised query that may have been spelt wrong."""
    return [
        word
        for word in _letter_words(query)
        if word.folded.isalpha()
        and word.folded not in rules.function_words
        and word.folded not in UNIT_WORDS
    ][:MAX_QUERY_WORDS]


def _letter_words(query: str) -> list[Spelt]:
    rest, _ = without_phrases(query)
    letters = _LETTERS.finditer(rest)
    return [Spelt(word.start(), word.end(), without_accents(word[0])) for word in letters]


def corrected(
    query: str,
    words: Sequence[Spelt],
    unknown: Set[str],
    vocabulary: Vocabulary,
    *,
    boldly: bool = True,
) -> Correction:
    """Return the query with its unknown words corrected, as far as the vocabulary goes.

    `words` are those of `spelt_words`, `unknown` the folded ones that no product has.
    Unless `boldly`, words of four letters and less are not changed, and others of few
    letters in one only.
    """
    is_bold = False
    joined, joins = _joined(query, words, unknown, vocabulary)
    replacements = [(first.start, second.end, one) for first, second, one in joined]
    taken = {part for first, second, _ in joined for part in (first, second)}
    unfinished = ""
    completions: tuple[str, ...] = ()
    for word in words:
        if word.folded not in unknown or word in taken:
            continue
        better = corrected_word(word.folded, vocabulary)
        if not query[word.end :].strip():
            completions = _completions(word.folded, better, vocabulary)
        if completions:
            # One that lacks nothing but its last letter is spelt out: so meaning knows it too.
            better = better if better in completions else None
            unfinished = better or word.folded
        elif not better or len(word.folded) < _SHORTEST_SURE:
            better = (better or _bold_guess(word.folded, vocabulary)) if boldly else None
            # Alone it has no other words to go with: "xbox" is no "box".
            if better and len(words) == 1 and better[0] != word.folded[0]:
                better = None
            is_bold = is_bold or better is not None
        if better:
            replacements.append((word.start, word.end, better))
    for start, end, better in sorted(replacements, reverse=True):
        query = query[:start] + better + query[end:]
    return Correction(query, is_bold, unfinished, completions, joins)


def _joined(
    query: str, words: Sequence[Spelt], unknown: Set[str], vocabulary: Vocabulary
) -> tuple[list[tuple[Spelt, Spelt, str]], tuple[tuple[str, str, str], ...]]:
    """Return pairs that are one word because a part is unknown, and those that may be one.

    The other part may be any word: "con nector" is a connector. What may be one is
    folded, and of spelt words on both sides.
    """
    joined: list[tuple[Spelt, Spelt, str]] = []
    joins: list[tuple[str, str, str]] = []
    end = 0
    for first, second in pairwise(_letter_words(query)):
        one = first.folded + second.folded
        is_pair = first.start >= end and query[first.end : second.start].isspace()
        if not is_pair or one not in vocabulary:
            continue
        if {first.folded, second.folded} & unknown:
            joined.append((first, second, one))
            end = second.end
        elif first in words and second in words:
            rarer = min(vocabulary.count(first.folded), vocabulary.count(second.folded))
            if vocabulary.count(one) >= _MUCH_COMMONER * max(rarer, 1):
                joins.append((first.folded, second.folded, one))
    return joined, tuple(joins)


def _completions(word: str, better: str | None, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return what an unknown word is the beginning of; nothing if it is rather misspelt."""
    found = tuple(vocabulary.completions(word, MAX_COMPLETIONS))
    if found and better and better not in found:
        commonest = vocabulary.count(found[0])
        return () if vocabulary.count(better) >= _FAR_COMMONER * commonest else found
    return found


def corrected_word(word: str, vocabulary: Vocabulary) -> str | None:
    """Return what an unknown word was meant to be: one word, or two; None if nothing is like it."""
    if len(word) < _SHORTEST_CORRECTED:
        return None
    near = vocabulary.nearest(word, 1) or _halves(word, vocabulary)
    return near or (vocabulary.nearest(word, 2) if len(word) >= _LONG else None)


def _bold_guess(word: str, vocabulary: Vocabulary) -> str | None:
    """Return a word that differs in two letters of few, or has one more than very few.

    It is one with the same first letter, or a common one.
    """
    if _SHORTEST_SURE <= len(word) < _LONG:
        return vocabulary.nearest(word, 2, lambda other: other[0] == word[0])
    if len(word) == _SHORTEST_CORRECTED - 1:
        return vocabulary.nearest(
            word,
            1,
            lambda other: len(other) > len(word) and vocabulary.count(other) >= _MUCH_COMMONER,
        )
    return None


def _halves(word: str, vocabulary: Vocabulary) -> str | None:
    """Return the two words that were written as one, those of which the rarer is commonest."""
    found = [
        (min(vocabulary.count(word[:cut]), vocabulary.count(word[cut:])), cut)
        for cut in range(_SHORTEST_HALF, len(word) - _SHORTEST_HALF + 1)
    ]
    count, cut = max(found, default=(0, 0))
    return f"{word[:cut]} {word[cut:]}" if count else None
