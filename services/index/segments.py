"""A graph of a collection, and which of its rows pass filters."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from services.index.engines.protocol import Bits, Graph, passing_at
from services.index.product_ids import ProductIds

# Masks kept for each segment, so that many filters do not fill the memory: at a million rows
# one takes 125 kB, and four bytes more for each row that passes, once it was sifted.
_MAX_MASKS = 64
# Beyond this share of the rows, masks are made anew instead of being corrected.
_MAX_CHANGED_FRACTION = 0.125

Positions = NDArray[np.int64]
# Of the rows at some positions, or of those from one to another: whether they pass.
Passes = Callable[[Positions | slice], NDArray[np.bool_]]


@dataclass(frozen=True)
class Part:
    """Which rows pass, as bits; None where all do."""

    bits: Bits | None
    passing: int

    @cached_property
    def positions(self) -> NDArray[np.int32]:
        """The rows that pass: four bytes each."""
        if self.bits is None:
            return np.arange(self.passing, dtype=np.int32)
        places = np.flatnonzero(self.bits)
        is_set = np.unpackbits(self.bits[places], bitorder="little").view(np.bool_)
        firsts = places.astype(np.int32) << 3
        positions: NDArray[np.int32] = np.add.outer(firsts, np.arange(8, dtype=np.int32))
        return positions.ravel()[is_set]

    def share_of(self, positions: Positions) -> float:
        """Return which part of some rows passes."""
        if self.bits is None:
            return 1.0
        return float(np.mean(passing_at(self.bits, positions)))

    @classmethod
    def of(cls, passes: NDArray[np.bool_]) -> "Part":
        """Return the part of rows, given for each whether it passes."""
        passing = int(np.count_nonzero(passes))
        bits = None if passing == len(passes) else np.packbits(passes, bitorder="little")
        return cls(bits, passing)


class Masks:
    """Masks over rows of which a few change now and then; any thread may ask.

    A version is a number that grows with each change. One thread notes changes, each
    before anything is asked at its version.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._parts: dict[str, tuple[int, Part]] = {}
        # Masks that are older than the first cannot be corrected.
        self._log: tuple[int, list[tuple[int, Positions]]] = (0, [])
        self._changed = 0

    def note(self, version: int, positions: Positions) -> None:
        """Note that rows change with a version."""
        oldest, changes = self._log
        self._changed += len(positions)
        if self._changed > self._rows * _MAX_CHANGED_FRACTION:
            # a search may read the list that there was
            half = len(changes) // 2
            oldest = changes[half][0] if changes else version
            changes = changes[half + 1 :]
            self._changed = sum(len(changed) for _, changed in changes) + len(positions)
            self._log = (oldest, changes)
        changes.append((version, positions))

    def part(self, key: str, version: int, passes: Passes) -> Part:
        """Return which rows pass a filter, named by `key`, at a version."""
        made = self._parts.get(key)
        if made is not None and made[0] == version:
            return made[1]
        changed = None if made is None else self._changed_since(made[0], version)
        if made is None or changed is None:
            part = Part.of(passes(slice(0, self._rows)))
        else:
            part = self._corrected(made[1], changed, passes)
        if made is None or made[0] < version:
            self._keep(key, version, part)
        return part

    def _changed_since(self, made: int, version: int) -> Positions | None:
        oldest, changes = self._log
        if not oldest <= made <= version:
            return None
        found = [positions for noted, positions in changes if made < noted <= version]
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def _corrected(self, part: Part, changed: Positions, passes: Passes) -> Part:
        if not len(changed):
            return part
        if part.bits is None:
            bits = np.packbits(np.ones(self._rows, dtype=np.bool_), bitorder="little")
        else:
            bits = part.bits.copy()
        # whole bytes, so that nothing is done bit by bit
        places = np.unique(changed >> 3)
        positions = (places[:, np.newaxis] << 3) + np.arange(8)
        is_row = positions < self._rows
        found = np.zeros(positions.shape, dtype=np.bool_)
        found[is_row] = passes(positions[is_row])
        before = int(np.bitwise_count(bits[places]).sum())
        bits[places] = np.packbits(found, axis=1, bitorder="little")[:, 0]
        passing = part.passing - before + int(np.count_nonzero(found))
        return Part(None if passing == self._rows else bits, passing)

    def _keep(self, key: str, version: int, part: Part) -> None:
        self._parts.pop(key, None)
        self._parts[key] = (version, part)
        if len(self._parts) > _MAX_MASKS:
            # those that were not asked for longest stand first
            for oldest in list(self._parts)[:-_MAX_MASKS]:
                self._parts.pop(oldest, None)


@dataclass(frozen=True, eq=False)
class Segment:
    """Rows that lie in a graph, by their positions in it."""

    graph: Graph
    ids: ProductIds
    masks: Masks = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin without masks."""
        object.__setattr__(self, "masks", Masks(self.rows))

    @property
    def rows(self) -> int:
        """How many rows there are, the dead ones too."""
        return self.graph.rows
