"""One number a slot, as searches may read it while later ones are written."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MIN_CAPACITY = 64
# So many changes lie beside the array before it is copied: at a million slots a copy of four
# megabytes then costs a microsecond a change.
_MAX_CHANGES = 4096

T = TypeVar("T", bound=np.generic)
Slots = NDArray[np.int64]
# Some slots, or those from one to another.
AnySlots = Slots | slice

_NO_SLOTS: Slots = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class View(Generic[T]):
    """The first cells as they were when it was made."""

    _cells: NDArray[T]
    # What differs from them: the slots, ascending, and their numbers.
    _slots: Slots
    _numbers: NDArray[T]

    def __len__(self) -> int:
        """Return how many cells there are."""
        return len(self._cells)

    def read(self, slots: AnySlots) -> NDArray[T]:
        """Return cells, which are not to be written."""
        cells = self._cells[slots]
        if not len(self._slots):
            return cells
        if isinstance(slots, slice):
            start, end, _ = slots.indices(len(self._cells))
            first, last = np.searchsorted(self._slots, (start, end)).tolist()
            if first < last:
                cells = cells.copy()
                cells[self._slots[first:last] - start] = self._numbers[first:last]
            return cells
        places = np.searchsorted(self._slots, slots)
        places[places == len(self._slots)] = 0
        differs = self._slots[places] == slots
        cells[differs] = self._numbers[places[differs]]
        return cells


class Cells(Generic[T]):
    """Cells that are never changed where a view may cover them: changes lie beside them."""

    def __init__(self, cells: NDArray[T]) -> None:
        self._cells = cells
        self._slots = _NO_SLOTS
        self._numbers = cells[:0]

    @property
    def memory_bytes(self) -> int:
        """Memory of the array, its spare room too."""
        return self._cells.nbytes + self._slots.nbytes + self._numbers.nbytes

    def view(self, slots: int) -> View[T]:
        """Return the first cells; they stay as they are."""
        used = int(np.searchsorted(self._slots, slots))
        return View(self._cells[:slots], self._slots[:used], self._numbers[:used])

    def replace(self, slots: Slots, numbers: ArrayLike) -> None:
        """Set cells by slot; each slot is given once."""
        if not len(slots):
            return
        order = np.argsort(slots)
        new_slots = slots[order]
        new = np.asarray(numbers, dtype=self._cells.dtype)[order]
        stays = ~np.isin(self._slots, new_slots)
        all_slots = np.concatenate([self._slots[stays], new_slots])
        all_numbers = np.concatenate([self._numbers[stays], new])
        order = np.argsort(all_slots, kind="stable")
        self._slots, self._numbers = all_slots[order], all_numbers[order]
        if len(self._slots) > min(_MAX_CHANGES, len(self._cells) // 8):
            self._settle()

    def append(self, start: int, numbers: ArrayLike) -> None:
        """Set the cells from `start` on, where no view reaches."""
        new = np.asarray(numbers, dtype=self._cells.dtype)
        self._cells = with_room(self._cells, start, start + len(new))
        self._cells[start : start + len(new)] = new

    def write(self, slots: Slots, numbers: ArrayLike) -> None:
        """Set cells by slot before there is any view."""
        self._cells[slots] = numbers

    def take(self, slots: Slots) -> None:
        """Go on with these cells, in this order."""
        self._settle()
        self._cells = self._cells[slots]

    def _settle(self) -> None:
        if len(self._slots):
            # running searches keep the old ones
            self._cells = self._cells.copy()
            self._cells[self._slots] = self._numbers
            self._slots, self._numbers = _NO_SLOTS, self._cells[:0]


def with_room(array: NDArray[T], used: int, needed: int) -> NDArray[T]:
    """Return the array, or a larger one that begins with its used rows."""
    if needed <= len(array):
        return array
    shape = (max(needed, used + max(used // 8, _MIN_CAPACITY)), *array.shape[1:])
    grown = np.empty(shape, dtype=array.dtype)
    grown[:used] = array[:used]
    return grown
