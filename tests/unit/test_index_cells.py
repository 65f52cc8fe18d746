"""Cells against an array that is copied each time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index import cells as module
from services.index.cells import Cells

numbers = st.integers(-100, 100)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(numbers, max_size=10)),
        st.tuples(st.just("replace"), st.dictionaries(st.integers(0, 40), numbers, max_size=8)),
        st.tuples(st.just("take"), st.sets(st.integers(0, 40), max_size=30)),
    ),
    max_size=20,
)


@pytest.mark.parametrize("max_changes", [0, 3, 1000])
@given(changes=changes)
def test_a_view_shows_what_was_there_when_it_was_made(
    max_changes: int, changes: list[tuple[str, object]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MAX_CHANGES", max_changes)
        cells = Cells(np.empty(0, dtype=np.int64))
        known: list[int] = []
        views = []
        for kind, change in changes:
            if kind == "append":
                assert isinstance(change, list)
                cells.append(len(known), change)
                known = known + change
            elif kind == "replace":
                assert isinstance(change, dict)
                there = {slot: number for slot, number in change.items() if slot < len(known)}
                cells.replace(np.array(list(there), dtype=np.int64), list(there.values()))
                known = [there.get(slot, number) for slot, number in enumerate(known)]
            else:
                assert isinstance(change, set)
                slots = sorted(slot for slot in change if slot < len(known))
                cells.take(np.array(slots, dtype=np.int64))
                known = [known[slot] for slot in slots]
            views.append((cells.view(len(known)), known))
        for view, expected in views:
            assert len(view) == len(expected)
            assert view.read(slice(0, len(expected))).tolist() == expected
            middle = slice(len(expected) // 3, len(expected) // 2)
            assert view.read(middle).tolist() == expected[middle]
            some = np.arange(len(expected))[::-2]
            assert view.read(some).tolist() == [expected[slot] for slot in some.tolist()]


def test_a_few_changes_of_many_cells_copy_none_of_the_others() -> None:
    cells = Cells(np.zeros(1_000_000, dtype=np.int32))
    before = cells.view(1_000_000)
    cells.replace(np.array([7, 3]), [1, 2])
    after = cells.view(1_000_000)
    assert np.shares_memory(before.read(slice(1000, None)), after.read(slice(1000, None)))
    assert (before.read(np.array([3, 7])).tolist(), after.read(np.array([3, 7])).tolist()) == (
        [0, 0],
        [2, 1],
    )
