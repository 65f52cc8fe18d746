"""Folded words of a text, and where each stands in the text as it was written."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from services.catalog.text.folding import without_accents
from services.catalog.text.quantities import quantities_in

# What joins the letter before it when a text is composed. Most of one letter's are few.
_MARKS = "[\u0300-\u036f\u0653-\u0655\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a]"
_LETTER = re.compile(rf"[\x00-\x7f]{_MARKS}{{1,30}}|[^\x00-\x7f]{_MARKS}{{0,30}}")
_WORD_OR_COMPOUND = re.compile(r"[^\W_]+(?:-[^\W_]+)*")

# Letters recur.
_folded_letter = lru_cache(maxsize=4_096)(without_accents)


class Located(NamedTuple):
    """A word that a text is found by: it stands from `start` to before `end`, folded.

    `order` counts the words of the text; what stands for words besides has that
    of its first one, and is not in order.
    """

    word: str
    start: int
    end: int
    order: int
    is_in_order: bool = True


class Folded:
    """A text without case and accents, which remembers where its letters came from."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        # By folded letter; none where the two agree letter by letter.
        self._offsets: list[int] | None = None
        if text.isascii():
            self.plain = text.lower()
            return
        pieces: list[str] = []
        self._offsets = []
        at = 0
        for letter in _LETTER.finditer(text):
            folded = _folded_letter(letter[0])
            pieces += (text[at : letter.start()].lower(), folded)
            self._offsets += range(at, letter.start())
            self._offsets += [letter.start()] * len(folded)
            at = letter.end()
        pieces.append(text[at:].lower())
        self._offsets += range(at, len(text))
        self.plain = "".join(pieces)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the folded letters from `start` to before `end` stand in the text."""
        offsets = self._offsets
        if offsets is None:
            return start, end
        last = offsets[end - 1]
        while end < len(offsets) and offsets[end] == last:
            end += 1
        return offsets[start], offsets[end] if end < len(offsets) else self._length

    def words(self) -> Iterator[Located]:
        """Yield all that `tokens_of` has of the text; a compound follows its parts."""
        at = order = 0
        for start, end, word, numbers in quantities_in(self.plain):
            for located in self._plain_words(at, start, order):
                yield located
                order += located.is_in_order
            yield Located(word, start, end, order)
            for number in numbers:
                yield Located(number, start, end, order, is_in_order=False)
            order += 1
            at = end
        yield from self._plain_words(at, len(self.plain), order)

    def _plain_words(self, start: int, end: int, order: int) -> Iterator[Located]:
        for found in _WORD_OR_COMPOUND.finditer(self.plain, start, end):
            at = found.start()
            first = order
            parts = found[0].split("-")
            for part in parts:
                yield Located(part, at, at + len(part), order)
                at += len(part) + 1
                order += 1
            if len(parts) > 1:
                yield Located("".join(parts), found.start(), found.end(), first, is_in_order=False)
