"""What names one product: ids, EANs, model numbers, however they are written.

An identifier is kept as its letters and digits alone: "TN-2110" and "tn 2110"
are "tn2110".
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from services.catalog.products import AttributeValue
from services.catalog.text.folding import Tokens, without_accents
from services.catalog.text.quantities import is_quantity

# What more products have than these names a kind, and no product.
MAX_PRODUCTS_OF_IDENTIFIER = 20
MAX_QUERY_IDENTIFIERS = 8

_MAX_CHARACTERS = 64
_MIN_CHARACTERS = 4
_MIN_DIGITS = 8
_SEVERAL = re.compile(r"[,;|\n]")
# 1920x1080, 3rd: letters and digits, but no model.
_OF_MANY = re.compile(r"\d+(?:x\d+)+|\d+(?:st|nd|rd|th|pcs?|x)")

# Names of attributes that hold identifiers, without blanks, "_" and the like.
_NAMES = frozenset(
    word
    for words in (
        "ean ean8 ean13 eancode gtin gtin8 gtin12 gtin13 gtin14 upc upca jan barcode",
        "codigobarras codigodebarras isbn isbn10 isbn13 asin sku codigo prodid productcode",
        "articlenumber itemnumber mpn model modelo modelname modelno modelnumber numerodemodelo",
        "partno partnumber manufacturerpartnumber ref reference referencia referenciafabricante",
    )
    for word in words.split()
)


def joined(text: str) -> str:
    """Return the letters and digits of a text, folded. Numbers lose their leading zeros.

    So a UPC and the EAN that it is with a zero before it agree.
    """
    code = text.lower() if text.isalnum() and text.isascii() else _alphanumerics(text)
    return _without_zeros(code)


def _alphanumerics(text: str) -> str:
    return "".join(filter(str.isalnum, without_accents(text)))


def _without_zeros(code: str) -> str:
    return code.lstrip("0") if len(code) >= _MIN_DIGITS and code.isdigit() else code


def _has_digit(code: str) -> bool:
    return any(map(str.isdigit, code))


# The names of attributes recur.
@lru_cache(maxsize=4_096)
def _is_identifier_name(attribute: str) -> bool:
    return joined(attribute) in _NAMES


def is_model_number(word: str) -> bool:
    """Whether a folded word looks like one: letters and digits mixed, or many digits."""
    if word.isdigit():
        return len(word) >= _MIN_DIGITS
    return (
        len(word) >= _MIN_CHARACTERS
        and not word.isalpha()
        and any(map(str.isalpha, word))
        and _has_digit(word)
        and not is_quantity(word)
        and not _OF_MANY.fullmatch(word)
    )


def identifiers_of(
    product_id: str, name: Tokens, attributes: Iterable[tuple[str, AttributeValue]]
) -> list[str]:
    """Return what a product may be named by, each once."""
    found = {joined(product_id): None}
    for attribute, value in attributes:
        if not _is_identifier_name(attribute) or isinstance(value, bool):
            continue
        written = f"{value:.15g}" if isinstance(value, float) else value
        for part in (written, *_SEVERAL.split(written)):
            code = joined(part)
            if len(code) >= _MIN_CHARACTERS and _has_digit(code):
                found[code] = None
    for word in (*name.words, *name.compounds):
        if not word.isalpha() and is_model_number(word):
            found[_without_zeros(word)] = None
    return [code for code in found if 0 < len(code) <= _MAX_CHARACTERS]


def named_by(query: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return the identifiers that a query may mean: all of it, its words, two in a row.

    Parts of a query must look like an identifier; all of it need only be written
    as one, because a shop may call a product what it likes.
    """
    found: dict[str, None] = {}
    whole = joined(query)
    if whole and (_has_digit(whole) or " " not in query.strip()):
        found[whole] = None
    for word in words:
        if is_model_number(word) and sum(map(str.isdigit, word)) > 1:
            found[_without_zeros(word)] = None
    for first, second in pairwise(words):
        pair = first + second
        if is_quantity(first) or is_quantity(second):
            continue
        # Three digits: "iphone 11" is a kind of product, "tn 2110" is one.
        if is_model_number(pair) and sum(map(str.isdigit, pair)) > 2:
            found[_without_zeros(pair)] = None
    return tuple(code for code in found if len(code) <= _MAX_CHARACTERS)[:MAX_QUERY_IDENTIFIERS]
