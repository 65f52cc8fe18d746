"""Numbers with units, in one joined form: `17"`, "17 inch" and "17 pulgadas" are "17in".

Volumes and weights are also brought to one unit: "1,5 L", "1.5l" and "150 cl" are "1500ml".
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

# The unit that is kept → how many of it the unit is, and how it may be written.
_UNITS: dict[str, list[tuple[int, str]]] = {
    "in": [(1, "\" '' \u201d \u2033 \u2032\u2032 inch inches pulgada pulgadas pulg")],
    "kb": [(1, "kb")],
    "mb": [(1, "mb megabyte megabytes")],
    "gb": [(1, "gb gigabyte gigabytes gigas")],
    "tb": [(1, "tb terabyte terabytes teras")],
    "hz": [(1, "hz hertz hercios")],
    "khz": [(1, "khz")],
    "mhz": [(1, "mhz")],
    "ghz": [(1, "ghz")],
    "w": [(1, "w watt watts vatio vatios")],
    "kw": [(1, "kw")],
    "wh": [(1, "wh")],
    "mah": [(1, "mah")],
    "v": [(1, "v volt volts voltio voltios")],
    "ml": [
        (1, "ml mililitro mililitros milliliter milliliters"),
        (10, "cl centilitro centilitros"),
        (1_000, "l lt litro litros liter liters litre litres"),
    ],
    "g": [(1, "g gr gramo gramos gram grams"), (1_000, "kg kilo kilos kilogramo kilogramos")],
    "mg": [(1, "mg")],
    "mm": [(1, "mm")],
    "cm": [(1, "cm")],
    "m": [(1, "m metro metros meter meters metre metres")],
    "mp": [(1, "mp mpx megapixel megapixels megapixeles")],
    "dpi": [(1, "dpi ppp")],
    "rpm": [(1, "rpm")],
    "db": [(1, "db")],
    "lm": [(1, "lm lumen lumens lumenes")],
}
_MEANINGS = {
    written: (unit, scale)
    for unit, ways in _UNITS.items()
    for scale, names in ways
    for written in names.split()
}
UNIT_WORDS = frozenset(filter(str.isalpha, _MEANINGS))
# "in" is a word as well: a unit only where it touches its number.
_TOUCHING = {"in": ("in", 1)}

# Of these there are no thousandths, so a point before three digits parts thousands.
_WHOLE_UNITS = frozenset(("mah", "w", "ml", "mg", "mm", "hz", "dpi", "rpm", "lm", "mb"))
_THOUSANDS = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")

_SIGN = r"[\"\u201d\u2033]|''|\u2032\u2032"
# Not what follows a letter: the end of a model number is no quantity. It begins with
# a digit, and what comes before is looked at later, because so it is found faster.
_NUMBER = (
    r"[0-9](?<![^\W_][0-9])(?<![0-9][.,][0-9])(?<![^\W\d_]-[0-9])[0-9]{0,8}(?:[.,][0-9]{1,4})?"
)
_FIRST_LETTERS = "".join(sorted({written[0] for written in UNIT_WORDS}))
_QUANTITY = re.compile(rf"({_NUMBER})([ -]?)([{_FIRST_LETTERS}][a-z]{{,12}}(?![^\W_])|{_SIGN})")
_CANONICAL = re.compile(r"[0-9]+(?:p[0-9]+)?([^\W\d_]+)")


def joined_quantities(plain: str) -> tuple[str, tuple[str, ...]]:
    """Return a folded text with each quantity as one word, and the numbers of the rest.

    The numbers are those of quantities that the text itself has not as one word.
    """
    numbers: list[str] = []

    def joined(found: re.Match[str]) -> str:
        word, own_numbers = _read(found)
        numbers.extend(own_numbers)
        return f" {word} " if word else found[0]

    return _QUANTITY.sub(joined, plain), tuple(numbers)


def quantities_in(plain: str) -> Iterator[tuple[int, int, str, Sequence[str]]]:
    """Yield where each quantity of a folded text stands, its one word, and its numbers."""
    for found in _QUANTITY.finditer(plain):
        word, numbers = _read(found)
        if word:
            yield found.start(), found.end(), word, numbers


def _read(found: re.Match[str]) -> tuple[str, Sequence[str]]:
    """Return a quantity's word, empty if it is none, and its numbers unless written so."""
    number, between, written = found.groups()
    meaning = _MEANINGS.get(written) or (None if between else _TOUCHING.get(written))
    if meaning is None:
        return "", ()
    word = _canonical(number, *meaning)
    return word, () if word == found[0] else re.split("[.,]", number)


def is_quantity(word: str) -> bool:
    """Whether a folded word is a number with its unit, and no model number."""
    found = _CANONICAL.fullmatch(word)
    return found is not None and (found[1] in _MEANINGS or found[1] in _TOUCHING)


def _canonical(number: str, unit: str, scale: int) -> str:
    if number.isdigit() and scale == 1:
        return (number.lstrip("0") or "0") + unit
    if unit in _WHOLE_UNITS and scale == 1 and _THOUSANDS.fullmatch(number):
        return re.sub("[.,]", "", number) + unit
    amount = Decimal(number.replace(",", ".")) * scale
    # A letter for the point, which would part the word.
    return f"{amount.normalize():f}".replace(".", "p") + unit
