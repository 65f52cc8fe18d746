"""What every store of a collection's state keeps to."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.index.model import Batch, Columns, Space, Vector
from services.index.stores import sqlite
from services.index.stores.protocol import DamagedState, StateStore
from services.index.stores.sqlite import SqliteStateStore, stored_space
from services.index.stores.sqlite_attributes import json_of, key_of, value_in

SPACE = Space("small-1", 4, "${name}")
Value = str | float | bool


@pytest.fixture(params=[SqliteStateStore])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StateStore]:
    made: StateStore = request.param(tmp_path / "state", SPACE)
    await made.open()
    yield made
    await made.close()


def row(id_: str, text: bytes = b"text", *, category: str = "A", active: bool = True) -> Columns:
    return Columns(id_, text, category, "brand", 12_3400, None, active, 7)


def described(id_: str, text: bytes = b"text", /, **attributes: Value) -> Columns:
    return Columns(id_, text, "A", "brand", None, None, True, 7, attributes)


async def attribute(store: StateStore, *names: str) -> dict[str, dict[str, Value]]:
    """Return by attribute and product what is stored."""
    product_ids: dict[int, str] = {}
    async for some in store.rows():
        product_ids.update(zip(some.vector_ids.tolist(), some.product_ids, strict=True))
    found: dict[str, dict[str, Value]] = {name: {} for name in names}
    async for part in store.attributes(names):
        for name, column in part.items():
            for vector_id, value in zip(column.vector_ids, column.values, strict=True):
                found[name][product_ids[vector_id]] = value
    return found


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


async def product_ids_of(store: StateStore) -> list[str]:
    return [id_ async for part in store.rows() for id_ in part.product_ids]


async def test_a_new_store_is_empty(store: StateStore) -> None:
    state = await store.state()
    assert (state.space, state.applied_revision, state.catalog_id) == (SPACE, 0, "")
    assert (state.has_been_ready, await product_ids_of(store)) == (False, [])


async def test_what_was_applied_is_there_after_a_restart(store: StateStore) -> None:
    ids = await store.apply(batch(3, [(row("a"), vector(1)), (row("b", b"other"), vector(2))]))
    await store.apply(batch(4, removed=["a"], retained=[row("b", category="C", active=False)]))
    before = await store.state()
    state = await (await reopened(store)).state()
    assert state.incarnation == before.incarnation
    assert (state.applied_revision, state.catalog_id) == (4, "catalog")
    (rows,) = [part async for part in store.rows()]
    assert rows.vector_ids.tolist() == [ids[1]]
    assert list(rows.product_ids) == ["b"]
    assert list(rows.categories) == ["C"]
    assert (list(rows.brands), list(rows.is_active)) == (["brand"], [False])
    assert (list(rows.prices_e4), list(rows.stocks)) == ([12_3400], [None])
    assert (await store.vectors(rows.vector_ids)).tolist() == [[2, 2, 2, 2]]
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
    assert await product_ids_of(store) == []


async def test_a_batch_that_fails_leaves_nothing(store: StateStore) -> None:
    await store.apply(batch(1, [(row("a"), vector(1))]))
    wrong = Columns("c", b"", "A", "", 2**70, None, True, 1)
    with pytest.raises(OverflowError):
        await store.apply(batch(2, [(row("b"), vector(1)), (wrong, vector(1))], removed=["a"]))
    state = await store.state()
    assert (state.applied_revision, await product_ids_of(store)) == (1, ["a"])
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
    assert await product_ids_of(store) == []
    assert (await store.apply(batch(1, [(row("a"), vector(1))])))[0] > ids[0]


async def test_rows_come_in_order_of_their_ids_however_many_are_read_at_once(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_ROWS_PER_PART", 3)
    ids = await store.apply(batch(1, [(row(f"p{n}"), vector(n)) for n in range(10)]))
    await store.apply(batch(2, [(row("p2"), vector(2))], removed=["p3", "p4", "p5"]))
    parts = [part async for part in store.rows()]
    assert [len(part.vector_ids) for part in parts] == [3, 3, 1]
    found = [(part.vector_ids.tolist(), list(part.product_ids)) for part in parts]
    assert found[0] == ([ids[0], ids[1], ids[6]], ["p0", "p1", "p6"])
    assert found[2] == ([ids[9] + 1], ["p2"])


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


async def test_attributes_come_back_with_their_types(store: StateStore) -> None:
    values: list[Value] = ["1", 1.0, True, False, "", 'quote " and \\ and ñ', 1e22, 5e-324]
    await store.apply(
        batch(1, [(described(f"p{n}", a=v), vector(1)) for n, v in enumerate(values)])
    )
    found = (await attribute(await reopened(store), "a"))["a"]
    assert [(type(v), v) for _, v in sorted(found.items())] == [(type(v), v) for v in values]


async def test_attributes_of_any_name_are_told_apart(store: StateStore) -> None:
    names = ["a", "A", "a b", '"', '"a":', "\\", ",", "}", ":", "ñ", "$.a", "a\tb"]
    embedded = []
    for n, name in enumerate(names):
        attributes: dict[str, Value] = {name: float(n), "of all": name}
        embedded.append((described(f"p{n}", **attributes), vector(1)))
    await store.apply(batch(1, embedded))
    assert await attribute(store, *names) == {
        name: {f"p{n}": float(n)} for n, name in enumerate(names)
    }
    assert len((await attribute(store, "of all"))["of all"]) == len(names)
    assert await attribute(store, "b", "p0") == {"b": {}, "p0": {}}


async def test_attributes_change_and_go_with_their_row(store: StateStore) -> None:
    first = [(described(id_, x="old", y=1.0), vector(1)) for id_ in "abcd"]
    await store.apply(batch(1, first))
    await store.apply(
        batch(
            2,
            embedded=[(described("b", b"new", x="new"), vector(2))],
            retained=[
                described("a", x="retained"),
                described("d", x="old", y=1.0),
                described("nobody", x="no"),
            ],
            removed=["c"],
        )
    )
    assert await attribute(store, "x", "y") == {
        "x": {"a": "retained", "b": "new", "d": "old"},
        "y": {"d": 1.0},
    }
    await store.clear()
    assert await attribute(store, "x") == {"x": {}}


async def test_attributes_of_more_rows_than_are_read_at_once(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_ROWS_PER_PART", 7)
    await store.apply(batch(1, [(described(f"p{n}", n=float(n)), vector(1)) for n in range(50)]))
    await store.apply(batch(2, removed=[f"p{n}" for n in range(10, 30)]))
    found = (await attribute(store, "n"))["n"]
    assert found == {f"p{n}": float(n) for n in (*range(10), *range(30, 50))}


async def test_attributes_of_a_batch_that_fails_are_not_there(store: StateStore) -> None:
    wrong = Columns("c", b"", "A", "", 2**70, None, True, 1)
    with pytest.raises(OverflowError):
        await store.apply(batch(1, [(described("b", x="lost"), vector(1)), (wrong, vector(1))]))
    await store.apply(batch(1, [(described("b", x="kept"), vector(1))]))
    assert await attribute(await reopened(store), "x") == {"x": {"b": "kept"}}


async def test_sqlite_a_format_that_is_not_known_is_not_taken(
    store: StateStore, tmp_path: Path
) -> None:
    await store.close()
    with sqlite3.connect(tmp_path / "state") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(DamagedState, match="format 99"):
        await store.open()
    await store.move_aside()
    await store.open()


# Of few signs, so that names stand within texts, beside all that JSON means something by.
texts = st.text(st.sampled_from('",:{}\\a '), max_size=6)


@given(
    st.dictionaries(texts.filter(bool), texts | st.booleans() | st.floats(allow_nan=False)),
    texts.filter(bool),
)
def test_sqlite_one_value_is_found_in_json_of_many(attributes: dict[str, Value], name: str) -> None:
    text = json_of(attributes)
    for known in (name, *attributes):
        assert repr(value_in(text, known, key_of(known))) == repr(attributes.get(known))


async def test_sqlite_an_attribute_that_no_product_has_had_costs_no_reading(
    store: StateStore,
) -> None:
    await store.apply(batch(1, [(described("a", x="y"), vector(1))]))
    assert [part async for part in store.attributes(["X", "y"])] == []
    assert len([part async for part in (await reopened(store)).attributes(["x"])]) == 1
