"""What a query meant to say, by the catalog's own words.

Only words that no product has are corrected. What has digits, stands in quotes
or has a hyphen is taken as it is.
"""

import re
import unicodedata
from collections.abc import Sequence, Set
from dataclasses import dataclass

from services.catalog.text.folding import without_accents
from services.catalog.text.quantities import UNIT_WORDS
from services.catalog.text.query import MAX_QUERY_WORDS, without_phrases
from services.catalog.text.vocabulary import Vocabulary
from services.catalog.text.words import Rules

MAX_COMPLETIONS = 20

_SHORTEST_CORRECTED = 4
_SHORTEST_WITH_TWO_EDITS = 5
# From here on two edits still leave most of a word.
_LONG = 8
_SHORTEST_HALF = 3
# Two known words are taken for one only if that one is so much commoner.
_MUCH_COMMONER = 5

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
    # A short word was changed so much that it may have been another one.
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
    rest, _ = without_phrases(query)
    letters = _LETTERS.finditer(rest)
    found = (Spelt(word.start(), word.end(), without_accents(word[0])) for word in letters)
    return [
        word
        for word in found
        if word.folded.isalpha()
        and word.folded not in rules.function_words
        and word.folded not in UNIT_WORDS
    ][:MAX_QUERY_WORDS]


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
    Unless `boldly`, short words are changed in one letter only.
    """
    is_bold = False
    replacements: list[tuple[int, int, str]] = []
    joins: list[tuple[str, str, str]] = []
    unfinished = ""
    completions: tuple[str, ...] = ()
    at = 0
    while at < len(words):
        word = words[at]
        after = words[at + 1] if at + 1 < len(words) else None
        is_pair = after is not None and query[word.end : after.start].isspace()
        joined = word.folded + after.folded if after is not None and is_pair else ""
        if after is not None and joined in vocabulary:
            if {word.folded, after.folded} & unknown:
                replacements.append((word.start, after.end, joined))
                at += 2
                continue
            rarer = min(vocabulary.count(word.folded), vocabulary.count(after.folded))
            if vocabulary.count(joined) >= _MUCH_COMMONER * max(rarer, 1):
                joins.append((word.folded, after.folded, joined))
        if word.folded in unknown:
            completions = () if query[word.end :].strip() else _completions(word, vocabulary)
            if completions:
                unfinished = word.folded
            else:
                better = corrected_word(word.folded, vocabulary)
                if not better and boldly:
                    better = _bold_guess(word.folded, vocabulary)
                    is_bold = is_bold or better is not None
                if better:
                    replacements.append((word.start, word.end, better))
        at += 1
    for start, end, better in reversed(replacements):
        query = query[:start] + better + query[end:]
    return Correction(query, is_bold, unfinished, completions, tuple(joins))


def _completions(word: Spelt, vocabulary: Vocabulary) -> tuple[str, ...]:
    return tuple(vocabulary.completions(word.folded, MAX_COMPLETIONS))


def corrected_word(word: str, vocabulary: Vocabulary) -> str | None:
    """Return what an unknown word was meant to be: one word, or two; None if nothing is like it."""
    if len(word) < _SHORTEST_CORRECTED:
        return None
    near = vocabulary.nearest(word, 1) or _halves(word, vocabulary)
    return near or (vocabulary.nearest(word, 2) if len(word) >= _LONG else None)


def _bold_guess(word: str, vocabulary: Vocabulary) -> str | None:
    """Return a word that differs in two letters of few, though not in the first."""
    if not _SHORTEST_WITH_TWO_EDITS <= len(word) < _LONG:
        return None
    guess = vocabulary.nearest(word, 2)
    return guess if guess and guess[0] == word[0] else None


def _halves(word: str, vocabulary: Vocabulary) -> str | None:
    """Return the two words that were written as one, those of which the rarer is commonest."""
    found = [
        (min(vocabulary.count(word[:cut]), vocabulary.count(word[cut:])), cut)
        for cut in range(_SHORTEST_HALF, len(word) - _SHORTEST_HALF + 1)
    ]
    count, cut = max(found, default=(0, 0))
    return f"{word[:cut]} {word[cut:]}" if count else None
