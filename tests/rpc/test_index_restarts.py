"""What of the index survives: restarts, kills, damaged files."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc.aio
import pytest
from google.protobuf.struct_pb2 import Value

from services.common.channel import channel_to
from services.index.following import MAX_BATCHES_UNDER_WAY, MAX_CHANGES_PER_BATCH
from tests.index_upstreams import World, product, running
from tests.support import free_port, until
from vitrina.index.v1 import index_pb2 as pb
from vitrina.index.v1 import index_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, graph_min_rows=40)
    async with running(world):
        yield world


async def with_saved_graph(world: World) -> int:
    """Have a graph of some rows on disk, and no newer one under way; return how many."""

    async def is_saved() -> bool:
        found = await world.collection()
        manifest = world.folder / "graph.json"
        return (
            found.HasField("graph_save_time")
            and found.vectors - found.graph_vectors <= world.graph_min_rows
            and json.loads(manifest.read_text())["rows"] == found.graph_vectors
        )

    await until(is_saved, what="a saved graph")
    return (await world.collection()).graph_vectors


async def test_a_restart_amid_tuning_goes_on_behind_what_was_applied(world: World) -> None:
    await world.catalog.put(product("p"), product("q"))
    for _ in range(3):
        await world.catalog.tune()
    await world.at_head()
    await world.stop_index()
    await world.catalog.tune()
    await world.catalog.put(product("p", "Changed"))
    await world.catalog.tune()
    await world.catalog.tune()
    await world.start_index()
    await world.holds_what_the_catalog_holds()
    assert world.catalog.watches[-1] == 5
    await world.restart_index()
    found = await world.collection()
    assert (found.state, found.applied_revision) == (pb.COLLECTION_STATE_READY, 9)


async def test_a_restart_is_ready_at_once_and_embeds_nothing(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(100)))
    await world.at_head()
    await world.catalog.delete("p0")
    await world.at_head()
    await world.stop_index()
    await world.catalog.upstream.stop()
    await world.embedder.upstream.stop()
    await world.start_index()
    found = await world.collection()
    assert (found.state, found.applied_revision) == (pb.COLLECTION_STATE_READY, 101)
    assert len(await world.ids()) == 99
    await world.embedder.upstream.start()
    await world.catalog.upstream.start()
    await until(lambda: world.catalog.watches[-1] == 101, what="followed on")
    await world.holds_what_the_catalog_holds()
    assert len(world.embedder.texts) == 100


async def test_a_first_build_that_was_cut_off_goes_on_where_it_was(world: World) -> None:
    world.embedder.spaces = {"third": 4}
    # the first answer is the last one for now
    world.embedder.distort = lambda _: world.embedder.may_answer.clear()
    world.catalog.page_size = 50
    await world.catalog.put(*(product(f"p{n}") for n in range(50)))
    await until(lambda: applied(world, "third", 1))
    first = (await world.collection("third")).applied_revision
    await world.catalog.put(*(product(f"late{n}") for n in range(60)))
    await until(lambda: "Product late1" in world.embedder.texts)
    await world.restart_index()
    assert (await world.collection("third")).applied_revision == first
    world.embedder.distort = lambda _: None
    world.embedder.may_answer.set()
    await world.holds_what_the_catalog_holds("third")
    assert world.embedder.texts.count("Product p1") == 1


async def applied(world: World, space: str, revision: int) -> bool:
    return (await world.collection(space)).applied_revision >= revision


async def test_a_saved_graph_is_loaded_and_newer_rows_stand_beside_it(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(100)))
    await world.at_head()
    rows = await with_saved_graph(world)
    # few enough that no other graph is due
    await world.catalog.put(product("new1"), product("new2"), product("p1", "Changed"))
    await world.catalog.delete("p2", "new1")
    await world.at_head()
    saved = (world.folder / "graph.faiss").read_bytes()
    await world.restart_index()
    assert (await world.collection()).graph_vectors == rows
    assert (world.folder / "graph.faiss").read_bytes() == saved
    await world.holds_what_the_catalog_holds()


def without_attributes(state: Path) -> None:
    """Make the state one of the format that knew of no attributes."""
    with sqlite3.connect(state) as database:
        database.execute("DROP TABLE attributes")
        database.execute("DROP TABLE attribute_names")
        database.execute("PRAGMA user_version = 1")
    database.close()


async def test_a_state_of_the_former_format_keeps_its_vectors(world: World) -> None:
    await world.catalog.put(
        *(product(f"p{n}", attributes={"n": Value(number_value=n)}) for n in range(100))
    )
    await world.at_head()
    rows = await with_saved_graph(world)
    await world.stop_index()
    without_attributes(world.folder / "state.sqlite")
    await world.catalog.upstream.stop()
    await world.start_index()
    found = await world.collection()
    # filters would not be right before the feed was read again
    assert (found.state, found.applied_revision) == (pb.COLLECTION_STATE_BUILDING, 0)
    assert found.graph_vectors == rows
    await world.catalog.upstream.start()
    found = await world.at_head()
    assert (found.embedded_documents, found.unchanged_documents) == (0, 100)
    assert len(world.embedder.texts) == 100
    assert await world.ids(filter="attributes.n < 7") == {f"p{n}" for n in range(7)}
    await world.holds_what_the_catalog_holds()
    await world.restart_index()
    assert (await world.collection()).state == pb.COLLECTION_STATE_READY


async def test_what_was_deleted_under_the_former_format_stays_deleted(world: World) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(10)))
    await world.at_head()
    await world.stop_index()
    without_attributes(world.folder / "state.sqlite")
    await world.catalog.delete("p1")
    await world.catalog.put(product("p2", "Changed"), product("p3", stock=3))
    await world.start_index()
    await world.holds_what_the_catalog_holds()
    assert world.embedder.texts[10:] == ["Changed"]
    assert await world.ids(filter="stock = 3") == {"p3"}


async def test_filters_pass_the_same_after_a_restart(world: World) -> None:
    await world.catalog.put(
        *(
            product(
                f"p{n}",
                brand=f"B{n % 5}",
                price=f"{n}.5",
                currency="EUR",
                stock=n,
                attributes={"big": Value(bool_value=n > 50)},
            )
            for n in range(100)
        )
    )
    await world.at_head()
    await with_saved_graph(world)
    await world.catalog.put(product("p8", brand="B2", price="8.5", stock=8))
    await world.catalog.delete("p12")
    await world.at_head()
    filters = ('brand = "B2"', "price < 7.6", "NOT stock < 90", "attributes.big = true")
    before = [await world.ids(filter=text) for text in filters]
    assert [len(ids) for ids in before] == [20, 8, 10, 49]
    await world.restart_index()
    assert [await world.ids(filter=text) for text in filters] == before


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(bytes(content))


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("graph.faiss", truncate),
        ("graph.faiss", flip),
        ("graph.faiss", Path.unlink),
        ("graph.ids", flip),
        ("graph.json", empty),
        ("graph.json", Path.unlink),
    ],
)
async def test_a_damaged_graph_is_built_again(
    world: World, name: str, damage: Callable[[Path], None]
) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(100)))
    await world.at_head()
    await with_saved_graph(world)
    await world.stop_index()
    damage(world.folder / name)
    await world.start_index()
    await world.holds_what_the_catalog_holds()
    await with_saved_graph(world)
    assert len(world.embedder.texts) == 100


def overwrite_all(file: Path) -> None:
    file.write_bytes(b"no database at all" * 100)


def overwrite_inside(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 100] = b"\xff" * 100
    file.write_bytes(bytes(content))


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("damage", [overwrite_all, overwrite_inside, cut_in_half, empty])
async def test_a_damaged_state_is_put_aside_and_made_again(
    world: World, damage: Callable[[Path], None]
) -> None:
    await world.catalog.put(*(product(f"p{n}") for n in range(100)))
    await world.at_head()
    await with_saved_graph(world)
    await world.stop_index()
    damage(world.folder / "state.sqlite")
    await world.start_index()
    await world.holds_what_the_catalog_holds()
    assert damage is empty or (world.folder / "damaged-state.sqlite").exists()


async def test_what_is_not_a_collection_is_left_alone(world: World) -> None:
    await world.stop_index()
    (world.data_dir / "index" / "notes").mkdir()
    (world.data_dir / "index" / "file").write_text("hello")
    await world.start_index()
    await world.at_head()
    assert (world.data_dir / "index" / "file").read_text() == "hello"


class Process:
    """A real index process."""

    def __init__(self, world: World) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "VITRINA_INDEX_LISTEN": self.address,
            "VITRINA_CATALOG_ADDRESS": world.catalog.upstream.address,
            "VITRINA_EMBEDDER_ADDRESS": world.embedder.upstream.address,
            "VITRINA_DATA_DIR": str(world.data_dir),
            "VITRINA_INDEX_GRAPH_MIN_ROWS": "200",
        }
        self._folder = world.data_dir
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "services.index"),
            env=self._environment,
            cwd=self._folder,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await until(self._is_listening, what="the index listens")

    async def _is_listening(self) -> bool:
        host, _, port = self.address.rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return False
        writer.close()
        return True

    async def is_answering(self, world: World) -> None:
        """Wait until the channel has noticed the new process."""

        async def answers() -> bool:
            try:
                await world.collections()
            except grpc.aio.AioRpcError:
                return False
            return True

        await until(answers)

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await self.process.wait()


async def test_kills_while_a_space_is_built_embed_two_batches_twice_at_most(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.catalog.upstream.start()
    await world.embedder.upstream.start()
    await world.catalog.put(*(product(f"p{n}") for n in range(2000)))
    expected = {f"Product p{n}" for n in range(2000)}
    process = Process(world)
    try:
        async with channel_to(process.address) as channel:
            world.stub = index_pb2_grpc.IndexServiceStub(channel)
            await process.start()
            for share in (1, 2, 3):
                await until(lambda: len(world.embedder.texts) > share * 500)  # noqa: B023
                world.embedder.may_answer.clear()
                await process.end(signal.SIGKILL)
                world.embedder.may_answer.set()
                await process.start()
            await until(lambda: set(world.embedder.texts) >= expected)
            await process.is_answering(world)
            await world.at_head()
        twice = len(world.embedder.texts) - 2000
        assert twice <= 3 * MAX_BATCHES_UNDER_WAY * MAX_CHANGES_PER_BATCH
        assert set(world.embedder.texts) == expected
    finally:
        if process.process is not None and process.process.returncode is None:
            process.process.kill()
            await process.process.wait()
        await world.catalog.upstream.stop()
        await world.embedder.upstream.stop()


async def test_kills_in_the_middle_of_following_lose_and_double_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.catalog.upstream.start()
    await world.embedder.upstream.start()
    process = Process(world)
    try:
        async with channel_to(process.address) as channel:
            world.stub = index_pb2_grpc.IndexServiceStub(channel)
            await process.start()
            for round_ in range(3):
                await world.catalog.put(
                    *(product(f"p{n}", f"Round {round_} of {n}") for n in range(round_, 400, 2))
                )
                await world.catalog.delete(*(f"p{n}" for n in range(0, 400, 30 + round_)))
                calls = len(world.embedder.calls)
                await until(lambda: len(world.embedder.calls) > calls)  # noqa: B023
                await process.end(signal.SIGKILL)
                await process.start()
            await world.holds_what_the_catalog_holds()
            response = await world.search("x", limit=1000)
            assert response.plan.vectors == len(world.catalog.products)
            assert response.revision == world.catalog.head
            assert await process.end(signal.SIGTERM) == 0
    finally:
        if process.process is not None and process.process.returncode is None:
            process.process.kill()
            await process.process.wait()
        await world.catalog.upstream.stop()
        await world.embedder.upstream.stop()
