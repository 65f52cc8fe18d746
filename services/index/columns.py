"""What filters compare, beside the category: by slot, as numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.index.attributes import AttributeColumn, AttributeView
from services.index.cells import Cells, Slots, View
from services.index.model import Columns
from services.index.texts import Texts

# No price, or a stock that is not tracked. Neither is ever below zero.
NONE = -(2**63)

# Attributes whose columns are kept, beside those of the filter that is asked.
MAX_ATTRIBUTES = 64


@dataclass(frozen=True, slots=True)
class ColumnViews:
    """The columns by slot as they were published."""

    brands: Texts
    brand_codes: View[np.int32]
    # In 1/10,000, or NONE.
    prices: View[np.int64]
    # Or NONE.
    stocks: View[np.int64]
    # Only those that a filter has named.
    attributes: Mapping[str, AttributeView]


class FilterColumns:
    """Changed by one thread; views stay as they are."""

    def __init__(self) -> None:
        self._brands = Texts()
        self._brand_codes: Cells[np.int32] = Cells(np.empty(0, dtype=np.int32))
        self._prices: Cells[np.int64] = Cells(np.empty(0, dtype=np.int64))
        self._stocks: Cells[np.int64] = Cells(np.empty(0, dtype=np.int64))
        # In order of their last use.
        self._attributes: dict[str, AttributeColumn] = {}

    @property
    def memory_bytes(self) -> int:
        """Memory of the columns and their texts, roughly."""
        cells = self._brand_codes.memory_bytes + self._prices.memory_bytes
        own = self._brands.memory_bytes + cells + self._stocks.memory_bytes
        return own + sum(column.memory_bytes for column in self._attributes.values())

    def view(self, slots: int) -> ColumnViews:
        """Return the first rows."""
        return ColumnViews(
            brands=self._brands,
            brand_codes=self._brand_codes.view(slots),
            prices=self._prices.view(slots),
            stocks=self._stocks.view(slots),
            attributes={name: column.view(slots) for name, column in self._attributes.items()},
        )

    def begin(self, slots: int) -> None:
        """Begin with so many rows of nothing, and no attributes."""
        self._brand_codes.append(0, np.full(slots, self._brands.code_of("")))
        self._prices.append(0, np.full(slots, NONE))
        self._stocks.append(0, np.full(slots, NONE))

    def place(
        self,
        slots: Slots,
        brands: Sequence[str],
        prices_e4: Sequence[int | None],
        stocks: Sequence[int | None],
    ) -> None:
        """Set rows after `begin`, before there is any view."""
        self._brand_codes.write(slots, list(map(self._brands.code_of, brands)))
        self._prices.write(slots, list(map(_or_none, prices_e4)))
        self._stocks.write(slots, list(map(_or_none, stocks)))

    def add(
        self,
        start: int,
        brands: Sequence[str],
        prices_e4: Sequence[int | None],
        stocks: Sequence[int | None],
    ) -> None:
        """Set the rows from slot `start` on, as `append`; there are no attributes."""
        self._brand_codes.append(start, list(map(self._brands.code_of, brands)))
        self._prices.append(start, list(map(_or_none, prices_e4)))
        self._stocks.append(start, list(map(_or_none, stocks)))

    def replace(self, slots: Slots, rows: Sequence[Columns], all_slots: int) -> None:
        """Set rows by slot, out of so many slots."""
        self._brand_codes.replace(slots, [self._brands.code_of(row.brand) for row in rows])
        self._prices.replace(slots, [_or_none(row.price_e4) for row in rows])
        self._stocks.replace(slots, [_or_none(row.stock) for row in rows])
        for name, column in self._attributes.items():
            column.replace(slots, [row.attributes.get(name) for row in rows], all_slots)

    def append(self, start: int, rows: Sequence[Columns]) -> None:
        """Set the rows from slot `start` on, where no view reaches."""
        self._brand_codes.append(start, [self._brands.code_of(row.brand) for row in rows])
        self._prices.append(start, [_or_none(row.price_e4) for row in rows])
        self._stocks.append(start, [_or_none(row.stock) for row in rows])
        for name, column in self._attributes.items():
            column.append(start, [row.attributes.get(name) for row in rows])

    def take(self, slots: NDArray[np.int64]) -> None:
        """Go on with these rows, in this order."""
        self._brand_codes.take(slots)
        self._prices.take(slots)
        self._stocks.take(slots)
        for column in self._attributes.values():
            column.take(slots)

    def use(self, names: Iterable[str]) -> None:
        """Note that attributes are used, so that they are the last to go."""
        for name in names:
            self._attributes[name] = self._attributes.pop(name)

    def keep(self, columns: Mapping[str, AttributeColumn], wanted: Iterable[str]) -> None:
        """Take columns of attributes; those that were not used for longest go, if need be.

        Those that are wanted now stay, even if they are more than 64.
        """
        self._attributes.update(columns)
        self.use(wanted)
        spare = [name for name in self._attributes if name not in set(wanted)]
        for name in spare[: max(0, len(self._attributes) - MAX_ATTRIBUTES)]:
            del self._attributes[name]


def _or_none(number: int | None) -> int:
    return NONE if number is None else number
