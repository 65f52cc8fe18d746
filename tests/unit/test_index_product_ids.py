"""Ids in one block against a list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index import product_ids
from services.index.product_ids import ProductIds, ProductIdsByPosition

ids_of_any_letters = st.lists(st.text(min_size=1, max_size=5), max_size=30)
PARTS = st.lists(ids_of_any_letters, min_size=1, max_size=4)


@given(parts=PARTS, asked=ids_of_any_letters)
def test_joined_ids_are_where_they_are_in_a_list(parts: list[list[str]], asked: list[str]) -> None:
    known = [id_ for part in parts for id_ in part]
    ids = ProductIds.joined([ProductIds.of(part) for part in parts])
    assert len(ids) == len(known)
    assert ids.at(np.arange(len(known))) == known
    backwards = np.arange(len(known))[::-1]
    assert ids.at(backwards) == known[::-1]
    asked += known[:5]
    places, positions = ids.find(asked)
    found = sorted(zip(places.tolist(), positions.tolist(), strict=True))
    assert found == [
        (place, position)
        for place, id_ in enumerate(asked)
        for position, other in enumerate(known)
        if other == id_
    ]


def test_ids_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_ids, "_HASH_MASK", 1)
    known = [f"p{n}" for n in range(100)]
    places, positions = ProductIds.of(known).find(["p7", "nobody", "p93"])
    assert (places.tolist(), positions.tolist()) == ([0, 2], [7, 93])


def test_what_was_not_read_is_found_under_no_id() -> None:
    read = ProductIdsByPosition(6)
    read.put(np.array([1, 2]), ["a", "bc"])
    read.put(np.array([5]), ["d"])
    assert read.ids(0, 3).at(np.arange(3)) == ["", "a", "bc"]
    behind = read.ids(3, 6)
    assert behind.at(np.arange(3)) == ["", "", "d"]
    assert behind.find(["a", "d"])[1].tolist() == [2]


def test_ids_take_less_than_texts_in_a_dict_would() -> None:
    ids = ProductIds.of([f"sku{n:07d}" for n in range(1000)])
    assert ids.memory_bytes <= 30 * 1000
