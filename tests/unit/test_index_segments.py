"""Masks that are corrected against masks that are made anew."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.index.segments import Masks, Part, Positions


class Rows:
    """Rows that pass or do not, as they were at each version."""

    def __init__(self, passes: NDArray[np.bool_]) -> None:
        self.masks = Masks(len(passes))
        self.versions = [passes]
        self.asked = 0

    def change(self, positions: list[int]) -> None:
        changed = self.versions[-1].copy()
        changed[positions] ^= True
        # a row may be noted though it passes as before
        noted = np.array([*positions, 0], dtype=np.int64)
        self.versions.append(changed)
        self.masks.note(len(self.versions) - 1, noted)

    def part(self, version: int) -> Part:
        def passes(positions: Positions | slice) -> NDArray[np.bool_]:
            found = self.versions[version][positions]
            self.asked += len(found)
            return found

        return self.masks.part("filter", version, passes)

    def holds(self, version: int) -> None:
        part, passes = self.part(version), self.versions[version]
        assert part.passing == np.count_nonzero(passes)
        assert part.positions.tolist() == np.flatnonzero(passes).tolist()
        some = np.arange(0, len(passes), 3)
        assert part.share_of(some) == np.mean(passes[some])
        if part.bits is None:
            assert passes.all()
        else:
            bits = np.unpackbits(part.bits, bitorder="little", count=len(passes))
            assert (bits == passes).all()


@given(
    first=st.lists(st.booleans(), min_size=1, max_size=70),
    changes=st.lists(st.lists(st.integers(0, 69), max_size=6), max_size=12),
    asked=st.lists(st.integers(0, 12), max_size=12),
)
def test_a_mask_is_right_at_every_version_in_whatever_order_it_is_asked_for(
    first: list[bool], changes: list[list[int]], asked: list[int]
) -> None:
    rows = Rows(np.array(first))
    for positions in changes:
        rows.change([*{position % len(first) for position in positions}])
        for version in asked[: len(rows.versions) % 3]:
            rows.holds(min(version, len(rows.versions) - 1))
    for version in asked:
        rows.holds(min(version, len(rows.versions) - 1))


def test_a_few_changed_rows_cost_a_look_at_a_few_rows() -> None:
    rows = Rows(np.random.default_rng(1).random(100_000) < 0.3)
    rows.holds(0)
    rows.asked = 0
    rows.change([5, 50_000, 99_999])
    rows.holds(1)
    assert rows.asked <= 4 * 8
    rows.holds(1)
    assert rows.asked <= 4 * 8


def test_masks_that_were_not_asked_for_longest_make_room() -> None:
    rows = Rows(np.ones(8, dtype=np.bool_))
    for number in range(200):
        rows.masks.part(f"filter {number}", 0, lambda _: rows.versions[0])
    kept = rows.masks._parts
    assert list(kept) == [f"filter {number}" for number in range(136, 200)]
