"""One attribute of all rows, each with the type that its product gave it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.index.cells import Cells, Slots, View
from services.index.texts import Texts

Value = str | float | bool

# Codes of what is not a text.
ABSENT = 0
FALSE = 1
TRUE = 2
NUMBER = 3
_FIRST_TEXT = 4


@dataclass(frozen=True, slots=True)
class AttributeView:
    """The attribute by slot."""

    texts: Texts
    # ABSENT, FALSE, TRUE, NUMBER or the text's code.
    codes: View[np.int32]
    # NaN where there is no number; None if there is none at all.
    numbers: View[np.float64] | None


class AttributeColumn:
    """Changed by one thread; views stay as they are."""

    def __init__(self, slots: int) -> None:
        self._texts = Texts(_FIRST_TEXT)
        self._codes: Cells[np.int32] = Cells(np.zeros(slots, dtype=np.int32))
        # Most attributes are texts.
        self._numbers: Cells[np.float64] | None = None

    @classmethod
    def gathered(
        cls, row_ids: NDArray[np.int64], ids: NDArray[np.int64], values: Sequence[Value]
    ) -> "AttributeColumn":
        """Return the column of rows with these ids by slot, given the values by id.

        Every id must be one of a row.
        """
        column = cls(len(row_ids))
        order = np.argsort(row_ids, kind="stable")
        slots = order[np.searchsorted(row_ids[order], ids)]
        codes = np.zeros(len(row_ids), dtype=np.int32)
        codes[slots] = [column._code(value) for value in values]
        column._codes = Cells(codes)
        if any(map(_is_number, values)):
            numbers = np.full(len(row_ids), np.nan)
            numbers[slots] = [_number(value) for value in values]
            column._numbers = Cells(numbers)
        return column

    @property
    def memory_bytes(self) -> int:
        """Memory of the column and its texts, roughly."""
        numbers = self._numbers.memory_bytes if self._numbers is not None else 0
        return self._texts.memory_bytes + self._codes.memory_bytes + numbers

    def view(self, slots: int) -> AttributeView:
        """Return the first rows."""
        numbers = self._numbers.view(slots) if self._numbers is not None else None
        return AttributeView(self._texts, self._codes.view(slots), numbers)

    def replace(self, slots: Slots, values: Sequence[Value | None], all_slots: int) -> None:
        """Set values by slot, out of so many slots."""
        self._codes.replace(slots, [self._code(value) for value in values])
        numbers = self._numbers_for(values, all_slots)
        if numbers is not None:
            numbers.replace(slots, [_number(value) for value in values])

    def append(self, start: int, values: Sequence[Value | None]) -> None:
        """Set the values from slot `start` on, where no view reaches."""
        self._codes.append(start, [self._code(value) for value in values])
        numbers = self._numbers_for(values, start)
        if numbers is not None:
            numbers.append(start, [_number(value) for value in values])

    def take(self, slots: NDArray[np.int64]) -> None:
        """Go on with these rows, in this order."""
        self._codes.take(slots)
        if self._numbers is not None:
            self._numbers.take(slots)

    def _code(self, value: Value | None) -> int:
        if value is None:
            return ABSENT
        if isinstance(value, bool):
            return TRUE if value else FALSE
        return self._texts.code_of(value) if isinstance(value, str) else NUMBER

    def _numbers_for(self, values: Sequence[Value | None], slots: int) -> Cells[np.float64] | None:
        """Return the numbers if there are any, these values counted."""
        if self._numbers is None and any(_is_number(value) for value in values):
            self._numbers = Cells(np.full(slots, np.nan))
        return self._numbers


def _is_number(value: Value | None) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Value | None) -> float:
    return float(value) if value is not None and _is_number(value) else np.nan
