"""The form that the inflections of a word share, by language.

Plurals are folded for Spanish and English at once, by rules on the end of a
word. The result need not be a word; what counts is that singular and plural
agree: zapatos and zapato, luces and luz, batteries and battery, cases and case.
A shop of one language may have Snowball's stems on top of that.
"""

from collections.abc import Callable
from enum import Enum
from functools import cache, lru_cache

import Stemmer

# Letters in which Spanish words end, or after which English says "es". After others
# the e belongs to the word, and is kept: tapes are not taps.
_BEFORE_ES = frozenset("cdhijlnrsxyz")

# Words of queries that say nothing about a product. "a" (vitamin A), "no" and "sin"
# (sin gluten) do.
_SPANISH = "al con de del el en la las lo los para por que un una y"
_ENGLISH = "an and for from in of on or the to with"


class Language(Enum):
    """What the shop's texts are written in."""

    # Spanish, English, or both: only what is safe in either.
    MIXED = "mixed"
    SPANISH = "es"
    ENGLISH = "en"


# What products may be stemmed by on their own, by the language that they name.
OF_PRODUCTS = {language.value: language for language in (Language.SPANISH, Language.ENGLISH)}

FUNCTION_WORDS = {
    Language.MIXED: frozenset(f"{_SPANISH} {_ENGLISH}".split()),
    Language.SPANISH: frozenset(_SPANISH.split()),
    Language.ENGLISH: frozenset(_ENGLISH.split()),
}


@lru_cache(maxsize=65_536)
def without_plural(word: str) -> str:
    """Return the form that singular and plural share. Words with digits stay as they are."""
    if len(word) < 3 or not word.isalpha():
        return word
    if len(word) >= 4 and word[-1] == "s" and word[-2] != "s":
        word = word[:-1]
    if len(word) >= 4 and word[-1] == "e" and word[-2] in _BEFORE_ES:
        word = word[:-1]
    if word[-1] == "y":
        return word[:-1] + "i"
    if word[-1] == "z":
        return word[:-1] + "c"
    return word


@cache
def stemmer_of(language: Language) -> Callable[[str], str]:
    """Return what folds a word without accents. Words with digits stay as they are."""
    if language is Language.MIXED:
        return without_plural
    snowball = Stemmer.Stemmer("spanish" if language is Language.SPANISH else "english")
    # The cache is ours: it also spares the folding of plurals.
    snowball.maxCacheSize = 0

    @lru_cache(maxsize=65_536)
    def stem(word: str) -> str:
        # Snowball knows "aplicación" by its accent; without it only the folded
        # plural makes "aplicaciones" agree.
        return str(snowball.stemWord(without_plural(word))) if word.isalpha() else word

    return stem
