"""What every store of a collection's state keeps to."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from services.index.model import Batch, Columns, Space, Vector
from services.index.stores.protocol import DamagedState, StateStore
from services.index.stores.sqlite import SqliteStateStore, stored_space

SPACE = Space("small-1", 4, "${name}")


@pytest.fixture(params=[SqliteStateStore])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StateStore]:
    made: StateStore = request.param(tmp_path / "state", SPACE)
    await made.open()
    yield made
    await made.close()


def row(id_: str, text: bytes = b"text", *, category: str = "A", active: bool = True) -> Columns:
    return Columns(id_, text, category, "brand", 12_3400, None, active, 7)


def vector(number: float) -> Vector:
    return np.full(4, number, dtype=np.float32)


def batch(
    revision: int,
    embedded: list[tuple[Columns, Vector]] | None = None,
    retained: list[Columns] | None = None,
    removed: list[str] | None = None,
    *,
    at_head: bool = False,
) -> Batch:
    return Batch(revision, "catalog", at_head, embedded or [], retained or [], removed or [])


async def reopened(store: StateStore) -> StateStore:
    await store.close()
    await store.open()
    return store


async def test_a_new_store_is_empty(store: StateStore) -> None:
    state = await store.state()
    assert (state.space, state.applied_revision, state.catalog_id) == (SPACE, 0, "")
    assert (state.has_been_ready, len(state.rows.vector_ids)) == (False, 0)


async def test_what_was_applied_is_there_after_a_restart(store: StateStore) -> None:
    ids = await store.apply(batch(3, [(row("a"), vector(1)), (row("b", b"other"), vector(2))]))
    await store.apply(batch(4, removed=["a"], retained=[row("b", category="C", active=False)]))
    before = await store.state()
    state = await (await reopened(store)).state()
    assert state.incarnation == before.incarnation
    assert (state.applied_revision, state.catalog_id) == (4, "catalog")
    assert state.rows.vector_ids.tolist() == [ids[1]]
    assert state.rows.product_ids == ["b"]
    assert state.rows.categories == ["C"]
    assert state.rows.is_active == [False]
    assert (await store.vectors(state.rows.vector_ids)).tolist() == [[2, 2, 2, 2]]
    assert await store.text_hashes(["a", "b", "c"]) == {"b": b"other"}


async def test_a_new_vector_has_a_new_id_and_the_old_one_is_gone(store: StateStore) -> None:
    first = await store.apply(batch(1, [(row("a"), vector(1))]))
    second = await store.apply(batch(2, [(row("a", b"new"), vector(2))]))
    await store.apply(batch(3, removed=["a"]))
    third = await store.apply(batch(4, [(row("a"), vector(3))]))
    assert first[0] < second[0] < third[0]
    with pytest.raises(DamagedState):
        await store.vectors(first)
    assert (await store.state()).last_vector_id == third[0]


async def test_to_retain_what_is_not_there_adds_nothing(store: StateStore) -> None:
    await store.apply(batch(1, retained=[row("a")], removed=["b"]))
    assert len((await store.state()).rows.vector_ids) == 0


async def test_a_batch_that_fails_leaves_nothing(store: StateStore) -> None:
    await store.apply(batch(1, [(row("a"), vector(1))]))
    wrong = Columns("c", b"", "A", "", 2**70, None, True, 1)
    with pytest.raises(OverflowError):
        await store.apply(batch(2, [(row("b"), vector(1)), (wrong, vector(1))], removed=["a"]))
    state = await store.state()
    assert (state.applied_revision, state.rows.product_ids) == (1, ["a"])
    await store.apply(batch(2, [(row("b"), vector(1))]))


async def test_once_ready_is_ready_for_ever(store: StateStore) -> None:
    await store.apply(batch(1, at_head=True))
    await store.apply(batch(2))
    assert (await (await reopened(store)).state()).has_been_ready


async def test_cleared_it_is_as_new_under_another_name(store: StateStore) -> None:
    ids = await store.apply(batch(9, [(row("a"), vector(1))], at_head=True))
    before = await store.state()
    incarnation = await store.clear()
    state = await store.state()
    assert state.incarnation == incarnation != before.incarnation
    assert (state.applied_revision, state.catalog_id, state.has_been_ready) == (0, "", False)
    assert state.rows.product_ids == []
    assert (await store.apply(batch(1, [(row("a"), vector(1))])))[0] > ids[0]


async def test_many_ids_are_asked_for_at_once(store: StateStore) -> None:
    rows = [(row(f"p{n}", b"%d" % n), vector(n)) for n in range(1200)]
    await store.apply(batch(1, rows))
    hashes = await store.text_hashes([f"p{n}" for n in range(2000)])
    assert hashes == {f"p{n}": b"%d" % n for n in range(1200)}


async def test_a_state_of_another_space_is_not_taken(store: StateStore, tmp_path: Path) -> None:
    await store.close()
    for other in (Space("small-2", 4, "${name}"), Space("small-1", 8, "${name}")):
        with pytest.raises(DamagedState):
            await SqliteStateStore(tmp_path / "state", other).open()
    assert stored_space(tmp_path / "state") == SPACE
    await store.open()


async def test_sqlite_a_vector_that_is_too_short_is_damage(
    store: StateStore, tmp_path: Path
) -> None:
    ids = await store.apply(batch(1, [(row("a"), vector(1))]))
    with sqlite3.connect(tmp_path / "state") as other:
        other.execute("UPDATE vectors SET vector = x'00'")
    other.close()
    with pytest.raises(DamagedState):
        await store.vectors(ids)
