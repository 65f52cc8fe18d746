"""Texts of a column as small numbers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from services.common.filters import folded

# Of a str, beside its letters, and of its places in a dict and a list.
_BYTES_PER_TEXT = 150


class Texts:
    """Numbers texts as they come, from `first` on. Only ever grows, so any thread may read it."""

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self._texts: list[str] = []
        self._codes: dict[str, int] = {}
        # Of the first of them; made only where it is asked for.
        self._folded: list[str] = []
        self._characters = 0

    @property
    def memory_bytes(self) -> int:
        """Memory of the texts, roughly."""
        return self._characters + _BYTES_PER_TEXT * len(self._texts)

    def code_of(self, text: str) -> int:
        """Return the text's code, a new one for a new text."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self._texts) + self._first
            self._texts.append(text)
            self._characters += len(text)
        return code

    def find(self, text: str) -> int | None:
        """Return the text's code; None if it has none."""
        return self._codes.get(text)

    def passing(self, passes: Callable[[str], bool]) -> NDArray[np.bool_]:
        """Return by code whether the text passes; codes below the first do not."""
        return self._table([passes(text) for text in self._texts.copy()])

    def holding(self, part: str) -> NDArray[np.bool_]:
        """Return by code whether the text holds the part, whatever their cases and accents."""
        texts = self._folded
        later = self._texts[len(texts) :]
        if later:
            # another thread may do the same; both make the same list
            texts = self._folded = [*texts, *map(folded, later)]
        part = folded(part)
        return self._table([part in text for text in texts])

    def _table(self, passes: list[bool]) -> NDArray[np.bool_]:
        table = np.zeros(self._first + len(passes), dtype=np.bool_)
        table[self._first :] = passes
        return table
