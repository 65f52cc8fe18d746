"""The index on storage that fails: searches go on, following pauses, what is damaged comes back."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from services.common.errors import StartRefused
from services.common.server import serving
from services.index.__main__ import compose
from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import GraphParameters
from services.index.graph_files import GraphFiles
from services.index.model import Batch, Columns, Space
from services.index.stores.protocol import StateUnusable
from services.index.stores.sqlite import SqliteStateStore
from tests.faults.storage_support import (
    fill,
    overwrite,
    refused,
    root_page,
    small_disk,
)
from tests.index_upstreams import World, product, running
from tests.support import until
from vitrina.index.v1 import index_pb2 as pb


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, graph_min_rows=40)
    async with running(world):
        yield world


def state_of(world: World) -> Path:
    return world.folder / "state.sqlite"


def writer_of(world: World) -> sqlite3.Connection:
    return sqlite3.connect(state_of(world), isolation_level=None)


async def put_and_wait_for_the_embedder(world: World, *ids: str) -> None:
    before = len(world.embedder.calls)
    await world.catalog.put(*(product(id_, " ".join([f"Text of {id_}"] * 20)) for id_ in ids))
    await until(lambda: len(world.embedder.calls) > before, what="embedded")


async def test_while_the_state_cannot_be_written_searches_go_on_and_nothing_is_paid_twice(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(10)))
    await world.at_head()
    with closing(writer_of(world)) as other:
        # A lock is the one refusal that every machine can make: as a full disk, it passes.
        other.execute("BEGIN IMMEDIATE")
        await put_and_wait_for_the_embedder(world, "new")
        await until(lambda: "following pauses" in capfd.readouterr().out, what="a pause")
        assert await world.ids() == {f"p{n}" for n in range(10)}
        assert (await world.collection()).state == pb.COLLECTION_STATE_READY
        other.execute("ROLLBACK")
    await world.holds_what_the_catalog_holds()
    assert len(world.embedder.texts) == 11


async def test_a_full_state_refuses_a_batch_as_a_whole_and_takes_it_later(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "state.sqlite", Space("s", 8, "${name}"))
    await store.open()
    rows = [
        (Columns(f"p{n}", b"hash", "c" * 1_000, "", None, None, True, 1), np.ones(8, np.float32))
        for n in range(300)
    ]
    batch = Batch(1, "catalog", True, rows, [], [])
    database = store._database
    assert database is not None
    await store._run(lambda: database.execute("PRAGMA max_page_count = 20"))
    with pytest.raises(StateUnusable, match="full"):
        await store.apply(batch)
    assert (await store.state()).applied_revision == 0
    await store._run(lambda: database.execute("PRAGMA max_page_count = 100000"))
    await store.apply(batch)
    assert sum([len(part.product_ids) async for part in store.rows()]) == 300
    await store.close()


async def test_on_a_full_disk_searches_go_on_and_the_index_catches_up(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        world = World(disk, graph_min_rows=40)
        async with running(world):
            await world.catalog.put(*(product(f"p{n}") for n in range(100)))
            await world.at_head()
            ballast = fill(disk)
            await put_and_wait_for_the_embedder(world, *(f"new{n}" for n in range(300)))
            await put_and_wait_for_the_embedder(world, *(f"more{n}" for n in range(300)))
            assert (await world.collection()).applied_revision < world.catalog.head
            assert {f"p{n}" for n in range(100)} <= await world.ids()
            ballast.unlink()
            await world.at_head()
            assert len(await world.ids()) == 700
            await world.restart_index()
            assert len(await world.ids()) == 700
            assert len(world.embedder.texts) == 700


async def test_a_state_that_is_damaged_while_it_is_used_is_made_again(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(300)))
    await world.at_head()
    with closing(writer_of(world)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for table in ("rows", "sqlite_autoindex_rows_1", "vectors"):
        overwrite(state_of(world), root_page(state_of(world), table))
    await world.catalog.put(*(product(f"p{n}", f"Changed {n}") for n in range(5)))
    await world.holds_what_the_catalog_holds()
    assert (world.folder / "damaged-state.sqlite").exists()
    await world.restart_index()
    await world.holds_what_the_catalog_holds()


def noise_in_log(folder: Path) -> None:
    log = folder / "state.sqlite-wal"
    overwrite(log, 2)


def no_log(folder: Path) -> None:
    (folder / "state.sqlite-wal").unlink()


def half_a_log(folder: Path) -> None:
    log = folder / "state.sqlite-wal"
    os.truncate(log, log.stat().st_size // 2)


def garbage_beside(folder: Path) -> None:
    (folder / "state.sqlite-shm").write_bytes(b"\xff" * 32_768)


@pytest.mark.parametrize("damage", [noise_in_log, no_log, half_a_log, garbage_beside])
async def test_what_is_lost_of_the_log_is_read_from_the_catalog_again(
    world: World, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(60)))
    await world.at_head()
    # What a killed process leaves: the files as they are while it runs.
    left = {path.name: path.read_bytes() for path in world.folder.glob("state.sqlite*")}
    await world.stop_index()
    for name, content in left.items():
        (world.folder / name).write_bytes(content)
    assert len(left["state.sqlite-wal"]) > 0
    damage(world.folder)
    await world.catalog.delete("p3")
    await world.start_index()
    await world.holds_what_the_catalog_holds()


async def test_the_index_says_in_one_line_that_its_folder_is_in_use(world: World) -> None:
    record = await refused("index", world.data_dir)
    assert record["reason"] == "DATA_IN_USE"
    assert record["problem"].startswith(f"VITRINA_DATA_DIR: {world.data_dir / 'index'} is in use")
    with pytest.raises(StartRefused, match="in use"):
        async with serving(compose(world.settings())):
            pass
    await world.at_head()


async def test_a_state_that_cannot_be_opened_keeps_no_other_from_searching(world: World) -> None:
    world.embedder.spaces = {"small-1": 8, "other-1": 4}
    await world.catalog.put(*(product(f"p{n}") for n in range(5)))
    await world.at_head()
    await world.at_head("other-1")
    await world.stop_index()
    state = world.data_dir / "index" / "other-1" / "state.sqlite"
    with closing(sqlite3.connect(state, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        await world.start_index()
        assert len(await world.ids()) == 5
    await world.at_head("other-1")
    assert len(await world.ids(space="other-1")) == 5


# graph files

PARAMETERS = GraphParameters(links=8)
ENGINE = FaissEngine()


def saved_in(folder: Path, rows: int, incarnation: str = "one") -> GraphFiles:
    vectors = np.random.default_rng(1).standard_normal((rows, 16)).astype(np.float32)
    files = GraphFiles(folder, ENGINE, PARAMETERS)
    graph = ENGINE.build([vectors], 16, PARAMETERS, lambda: False)
    files.save(graph, np.arange(1, rows + 1), incarnation)
    return files


@pytest.mark.parametrize("free_kilobytes", [0, 4, 8, 12])
def test_a_graph_that_finds_no_room_leaves_the_one_before_in_place(
    tmp_path: Path, free_kilobytes: int
) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        files = saved_in(disk, 50)
        before = {path.name: path.read_bytes() for path in disk.iterdir()}
        ballast = fill(disk)
        os.truncate(ballast, ballast.stat().st_size - free_kilobytes * 1024)
        with pytest.raises((OSError, RuntimeError)):
            saved_in(disk, 200)
        ballast.unlink()
        assert {path.name: path.read_bytes() for path in disk.iterdir()} == before
        saved = files.load("one", 50)
        assert saved is not None
        assert saved.graph.rows == 50


def test_a_graph_whose_files_cannot_be_made_leaves_the_one_before_in_place(tmp_path: Path) -> None:
    files = saved_in(tmp_path, 50)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "graph.json.new").mkdir()
    with pytest.raises(OSError, match=r"graph\.json\.new"):
        saved_in(tmp_path, 200)
    (tmp_path / "graph.json.new").rmdir()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert files.load("one", 50) is not None


def test_what_an_unfinished_save_left_is_removed(tmp_path: Path) -> None:
    files = saved_in(tmp_path, 50)
    for name in ("graph.faiss.new", "graph.ids.new", "graph.json.new"):
        (tmp_path / name).write_bytes(b"half")
    assert files.load("one", 50) is not None
    assert not list(tmp_path.glob("*.new"))


async def test_a_graph_of_another_incarnation_is_built_again(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(100)))
    await world.at_head()

    async def has_graph() -> bool:
        return (await world.collection()).HasField("graph_save_time")

    await until(has_graph)
    await world.stop_index()
    saved_in(world.folder, 100, "of somebody else")
    await world.start_index()
    await world.holds_what_the_catalog_holds()
    assert len(world.embedder.texts) == 100
