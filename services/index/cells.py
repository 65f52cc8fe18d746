"""One number a slot, as searches may read it while later ones are written."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_MIN_CAPACITY = 64

T = TypeVar("T", bound=np.generic)


class Cells(Generic[T]):
    """An array that is never changed where a view may cover it: there it is replaced."""

    def __init__(self, cells: NDArray[T]) -> None:
        self._cells = cells

    @property
    def memory_bytes(self) -> int:
        """Memory of the array, its spare room too."""
        return self._cells.nbytes

    def view(self, slots: int) -> NDArray[T]:
        """Return the first cells; they stay as they are."""
        return self._cells[:slots]

    def __getitem__(self, slot: int) -> T:
        """Return one cell."""
        cell: T = self._cells[slot]
        return cell

    def replace(self, numbers: Mapping[int, object]) -> None:
        """Set cells by slot. The array is copied, but only if one of them differs."""
        if not numbers:
            return
        slots = list(numbers)
        cells = np.array(list(numbers.values()), dtype=self._cells.dtype)
        if not np.array_equal(self._cells[slots], cells, equal_nan=True):
            # the running searches keep the old ones
            self._cells = self._cells.copy()
            self._cells[slots] = cells

    def append(self, start: int, numbers: Sequence[object] | NDArray[T]) -> None:
        """Set the cells from `start` on, where no view reaches."""
        end = start + len(numbers)
        self._cells = with_room(self._cells, start, end)
        self._cells[start:end] = np.asarray(numbers, dtype=self._cells.dtype)

    def take(self, slots: NDArray[np.int64]) -> None:
        """Go on with these cells, in this order."""
        self._cells = self._cells[slots]


def with_room(array: NDArray[T], used: int, needed: int) -> NDArray[T]:
    """Return the array, or a larger one that begins with its used rows."""
    if needed <= len(array):
        return array
    shape = (max(needed, 2 * used, _MIN_CAPACITY), *array.shape[1:])
    grown = np.empty(shape, dtype=array.dtype)
    grown[:used] = array[:used]
    return grown
