"""Words of texts and queries, folded alike: case, accents and plurals do not matter.

Plurals are folded for Spanish and English at once, by rules on the end of a
word. The result need not be a word; what counts is that singular and plural
agree: zapatos and zapato, luces and luz, batteries and battery, cases and case.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from services.catalog.products import Product

# Raise it with every change of the rules: stores then index their texts anew.
RULES_VERSION = 1

# A bound on the work of one query. Nobody types more; what is pasted is found by these.
MAX_QUERY_WORDS = 32

_ACCENTS = re.compile(r"[\u0300-\u036f]+")
_WORD = re.compile(r"[^\W_]+")
_ASCII_BREAKS = {code: " " for code in range(128) if not chr(code).isalnum()}
_COMPOUND = re.compile(r"[^\W_]+(?:-[^\W_]+)+")
_WORD_OR_COMPOUND = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
# Compatibility decomposition would glue these signs to the word before, as letters.
_SIGNS = str.maketrans({"™": " ", "℠": " ", "\u2010": "-", "\u2011": "-"})

# Letters in which Spanish words end, or after which English says "es". After others
# the e belongs to the word, and is kept: tapes are not taps.
_BEFORE_ES = frozenset("cdhijlnrsxyz")

# Words of queries that say nothing about a product. "a" (vitamin A), "no" and "sin"
# (sin gluten) do.
_SPANISH = "al con de del el en la las lo los para por que un una y"
_ENGLISH = "an and for from in of on or the to with"
_FUNCTION_WORDS = frozenset(f"{_SPANISH} {_ENGLISH}".split())


def without_accents(text: str) -> str:
    """Return the text in lower case, accents removed: ñ becomes n, ß becomes ss."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.translate(_SIGNS))
    # Composed again, for the scripts whose marks are more than accents.
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed)).casefold()


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


def indexed_words(text: str) -> str:
    """Return the words to index, with blanks between, in no order that means anything.

    A compound is indexed in parts and as a whole: "TN-2110" gives "tn 2110 tn2110".
    """
    plain = without_accents(text)
    # Both give the same; the first is faster, and most texts are ASCII.
    words = plain.translate(_ASCII_BREAKS).split() if plain.isascii() else _WORD.findall(plain)
    if "-" in plain:
        words += [compound.replace("-", "") for compound in _COMPOUND.findall(plain)]
    return " ".join(map(without_plural, words))


class ProductWords(NamedTuple):
    """The words of a product, field by field, each with blanks between."""

    name: str
    brand: str
    category: str
    description: str
    attributes: str


def words_of(product: Product) -> ProductWords:
    """Return what a search finds a product by.

    Of the attributes that is what people search for: the value of a text or a
    number ("Black", "128"), and the name of what is true ("bluetooth").
    """
    attributes: list[str] = []
    for name, value in product.attributes.values().items():
        if value is True:
            attributes.append(name)
        elif isinstance(value, float) and not isinstance(value, bool):
            attributes.append(f"{value:.15g}")
        elif isinstance(value, str):
            attributes.append(value)
    return ProductWords(
        name=indexed_words(product.name),
        brand=indexed_words(product.brand),
        category=indexed_words(product.category),
        description=indexed_words(product.description),
        # A line break, so that no word reaches over two attributes.
        attributes=indexed_words("\n".join(attributes).replace("_", " ")),
    )


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a query. A hyphenated one has parts, and is found by all of them too."""

    word: str
    parts: tuple[str, ...] = ()


def query_terms(query: str) -> list[Term]:
    """Return the distinct terms of a query in order; none if it has no letter or digit."""
    terms: dict[Term, None] = {}
    function_words: dict[Term, None] = {}
    for word in _WORD_OR_COMPOUND.findall(without_accents(query)):
        parts = word.split("-")
        folded = tuple(map(without_plural, parts)) if len(parts) > 1 else ()
        term = Term(without_plural("".join(parts)), folded)
        (function_words if word in _FUNCTION_WORDS else terms)[term] = None
    return list(terms or function_words)[:MAX_QUERY_WORDS]
