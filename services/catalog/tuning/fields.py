"""What the fields of rules and synonyms have in common."""

import re

from services.catalog.products import checked_text
from services.catalog.text import words_in
from services.common.errors import InvalidArgument

MAX_ID_CHARACTERS = 100

_ID = re.compile(r"[A-Za-z0-9._-]+")


def entry_id(text: str) -> str:
    """Return the id of a rule or synonyms; InvalidArgument (id) if none can have it."""
    if not 1 <= len(text) <= MAX_ID_CHARACTERS:
        raise InvalidArgument("id", f"{len(text)} characters, must be 1 to {MAX_ID_CHARACTERS}")
    if not _ID.fullmatch(text):
        raise InvalidArgument("id", 'only letters, digits, "-", "_" and "." are allowed')
    return text


def at_most(field: str, number: int, limit: int) -> None:
    """InvalidArgument if more are given than the limit."""
    if number > limit:
        raise InvalidArgument(field, f"{number} given, at most {limit}")


def phrase(field: str, text: str, max_characters: int, max_words: int | None = None) -> str:
    """Return a text that has words to compare by; InvalidArgument otherwise."""
    checked_text(field, text, max_characters)
    words = len(words_in(text))
    if not words:
        raise InvalidArgument(field, "has no letter or digit")
    if max_words is not None and words > max_words:
        raise InvalidArgument(field, f"{words} words, at most {max_words}")
    return text
