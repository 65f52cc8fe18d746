"""Letters and words folded alike: case and accents do not matter, and texts fall into words."""

import re
from functools import lru_cache
from typing import NamedTuple

from services.catalog.text.quantities import joined_quantities
from services.common.filters.folding import without_marks

_WORD = re.compile(r"[^\W_]+")
_ASCII_BREAKS = {code: " " for code in range(128) if not chr(code).isalnum()}
_COMPOUND = re.compile(r"[^\W_]+(?:-[^\W_]+)+")
# What is often all that keeps a text from being ASCII, which is faster by far.
# Compatibility decomposition would glue ™ and ℠ to the word before, as letters.
_SIGNS = (
    *((sign, " ") for sign in "™℠®©°•…€\u00a0\u00d7\u2013\u2014\u2018\u2019"),
    *((hyphen, "-") for hyphen in "\u2010\u2011"),
    *((quote, '"') for quote in "“”„\u2033"),
)


def without_accents(text: str) -> str:
    """Return the text in lower case, accents removed: ñ becomes n, ß becomes ss.

    Signs that are no letters may become others that are none.
    """
    if text.isascii():
        return text.lower()
    for sign, plain in _SIGNS:
        text = text.replace(sign, plain)
    if text.isascii():
        return text.lower()
    return without_marks(text)


class Tokens(NamedTuple):
    """The words of a text in their order, and what stands for some of them besides.

    A quantity is one word, "8gb". `compounds` are the hyphenated words joined
    ("tn2110"), `numbers` those of the quantities that were not written as one word.
    """

    words: tuple[str, ...]
    compounds: tuple[str, ...]
    numbers: tuple[str, ...]


def tokens_of(text: str) -> Tokens:
    """Return the words of a text, folded but not stemmed."""
    plain, numbers = joined_quantities(without_accents(text))
    # Both give the same; the first is faster, and most texts are ASCII.
    words = plain.translate(_ASCII_BREAKS).split() if plain.isascii() else _WORD.findall(plain)
    compounds = [
        compound.replace("-", "")
        # Few words have a hyphen, and to look for compounds in all takes long.
        for hyphenated in plain.split()
        if "-" in hyphenated
        for compound in _COMPOUND.findall(hyphenated)
    ]
    return Tokens(tuple(words), tuple(compounds), numbers)


# Names, brands and categories are read for more than one purpose, and the latter two recur.
tokens_of_short = lru_cache(maxsize=2_048)(tokens_of)
