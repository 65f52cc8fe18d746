"""A collection while things happen at the same time."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from collections.abc import Collection as AnyOf
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.common.errors import FailedPrecondition
from services.common.filters import Column, Comparison, Field, Operator, parse
from services.index.collection import Collection
from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import (
    Bits,
    BuildCancelled,
    Graph,
    GraphParameters,
    Positions,
    Scores,
)
from services.index.graph_files import GraphFiles
from services.index.model import Batch, Columns, Matrix, Space, Vector
from services.index.policy import GraphPolicy
from services.index.stores.protocol import AttributeValues
from services.index.stores.sqlite import SqliteStateStore
from services.index.threads import Threads
from tests.support import until

SPACE = Space("small-1", 8, "${name}")
POLICY = GraphPolicy(parameters=GraphParameters(links=8), min_rows=50)


class GatedStore(SqliteStateStore):
    """Answers a batch, which is durable then, when it may."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SPACE)
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_durable = asyncio.Event()
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.is_reading = asyncio.Event()
        # Attributes that were read, one a scan.
        self.scans: list[list[str]] = []

    async def attributes(self, names: AnyOf[str]) -> AsyncIterator[Mapping[str, AttributeValues]]:
        self.scans.append(sorted(names))
        async for part in super().attributes(names):
            self.is_reading.set()
            await self.may_read.wait()
            yield part

    async def apply(self, batch: Batch) -> NDArray[np.int64]:
        vector_ids = await super().apply(batch)
        self.is_durable.set()
        await self.may_answer.wait()
        return vector_ids


class GatedEngine(FaissEngine):
    """Builds when it may."""

    def __init__(self) -> None:
        self.may_build = threading.Event()
        self.may_build.set()
        self.is_building = threading.Event()
        # Builds that extend a graph of fewer rows need not wait.
        self.gated_rows = 0
        self.may_scan = threading.Event()
        self.may_scan.set()
        self.is_scanning = threading.Event()

    def scan(
        self, rows: Matrix, query: Vector, count: int, *, passing: Bits | None
    ) -> tuple[Positions, Scores]:
        self.is_scanning.set()
        assert self.may_scan.wait(5)
        return super().scan(rows, query, count, passing=passing)

    def build(
        self,
        chunks: Iterable[Matrix],
        dimensions: int,
        parameters: GraphParameters,
        is_cancelled: Callable[[], bool],
        *,
        extended: Graph | None = None,
        added_rows: int = 0,
        threads: int = 1,
    ) -> Graph:
        is_gated = (extended.rows if extended is not None else 0) >= self.gated_rows
        if is_gated:
            self.is_building.set()
        while is_gated and not self.may_build.wait(0.005):
            if is_cancelled():
                raise BuildCancelled
        return super().build(
            chunks,
            dimensions,
            parameters,
            is_cancelled,
            extended=extended,
            added_rows=added_rows,
            threads=threads,
        )


class Setting:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = GatedEngine()
        self.store = GatedStore(folder / "state.sqlite")

    @asynccontextmanager
    async def collection(self, policy: GraphPolicy = POLICY) -> AsyncIterator[Collection]:
        files = GraphFiles(self.folder, self.engine, policy.parameters)
        async with (
            Threads(self.engine, 2) as threads,
            Collection(SPACE, self.store, files, self.engine, threads, policy) as collection,
        ):
            yield collection


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path)


def vector_of(number: int) -> Vector:
    vector = np.random.default_rng(number).standard_normal(8).astype(np.float32)
    vector /= np.linalg.norm(vector)
    return vector


def batch(revision: int, numbers: Iterable[int], *, removed: Iterable[int] = ()) -> Batch:
    return Batch(
        revision=revision,
        catalog_id="catalog",
        is_at_head=True,
        embedded=[
            (Columns(f"p{n}", b"", "A", "", None, None, True, revision), vector_of(n))
            for n in numbers
        ],
        removed=[f"p{n}" for n in removed],
    )


async def ids(collection: Collection) -> set[str]:
    found = await collection.search(vector_of(0), 1000, None, 0)
    return set(found.product_ids)


@pytest.mark.parametrize("seed", range(3))
async def test_through_changes_builds_and_restarts_it_holds_what_a_dict_holds(
    setting: Setting, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    # By product: which vector, which category, whether active.
    known: dict[str, tuple[int, str, bool]] = {}
    revision = 0
    for _ in range(4):
        async with setting.collection() as collection:
            assert collection.applied_revision == revision
            for _ in range(8):
                revision += 1
                changed = {f"p{n}" for n in rng.integers(0, 250, int(rng.integers(1, 60)))}
                removed = {id_ for id_ in changed if rng.random() < 0.3}
                retained = {id_ for id_ in (changed - removed) & set(known) if rng.random() < 0.4}
                for id_ in removed:
                    known.pop(id_, None)
                for id_ in changed - removed:
                    number = known[id_][0] if id_ in retained else int(rng.integers(10_000))
                    category = ["A", "A > B", "C"][rng.integers(3)]
                    known[id_] = (number, category, rng.random() < 0.8)
                rows = {
                    id_: Columns(id_, b"", known[id_][1], "", None, None, known[id_][2], revision)
                    for id_ in changed - removed
                }
                await collection.apply(
                    Batch(
                        revision=revision,
                        catalog_id="catalog",
                        is_at_head=True,
                        embedded=[
                            (rows[id_], vector_of(known[id_][0])) for id_ in rows.keys() - retained
                        ],
                        retained=[rows[id_] for id_ in retained],
                        removed=sorted(removed),
                    )
                )
                await holds(collection, known, vector_of(revision))
        async with setting.collection() as collection:
            await holds(collection, known, vector_of(revision))
            await until(lambda: len(known) < 100 or collection.snapshot.graph_rows > 0)


async def holds(
    collection: Collection, known: dict[str, tuple[int, str, bool]], query: Vector
) -> None:
    for path, categories in {"": ("A", "A > B", "C"), "A": ("A", "A > B"), "C": ("C",)}.items():
        expected = {
            id_: float(vector_of(number) @ query)
            for id_, (number, category, is_active) in known.items()
            if is_active and category in categories
        }
        within = Comparison(Field(Column.CATEGORY), Operator.EQUAL, path) if path else None
        found = await collection.search(query, 1000, within, 0)
        assert dict(zip(found.product_ids, found.cosines, strict=True)) == pytest.approx(
            expected, abs=2e-3
        )
        assert (found.vectors, found.passing) == (len(known), len(expected))


async def test_a_batch_that_is_not_durable_is_not_found(setting: Setting) -> None:
    async with setting.collection() as collection:
        await collection.apply(batch(1, [1]))
        setting.store.is_durable.clear()
        setting.store.may_answer.clear()
        applying = asyncio.create_task(collection.apply(batch(2, [2])))
        await setting.store.is_durable.wait()
        assert await ids(collection) == {"p1"}
        setting.store.may_answer.set()
        await applying
        assert await ids(collection) == {"p1", "p2"}


async def test_a_batch_that_was_cancelled_on_its_way_is_in_memory_if_it_is_on_disk(
    setting: Setting,
) -> None:
    async with setting.collection() as collection:
        setting.store.may_answer.clear()
        applying = asyncio.create_task(collection.apply(batch(1, [1])))
        await setting.store.is_durable.wait()
        applying.cancel()
        asyncio.get_running_loop().call_soon(setting.store.may_answer.set)
        with pytest.raises(asyncio.CancelledError):
            await applying
        assert collection.applied_revision == 1
        assert await ids(collection) == {"p1"}


async def test_searches_and_batches_go_on_while_a_graph_is_built(setting: Setting) -> None:
    async with setting.collection() as collection:
        setting.engine.may_build.clear()
        await collection.apply(batch(1, range(100)))
        await until(setting.engine.is_building.is_set)
        await collection.apply(batch(2, range(100, 110), removed=range(5)))
        await collection.apply(batch(3, [7]))
        expected = {f"p{n}" for n in range(5, 110)}
        assert await ids(collection) == expected
        assert collection.snapshot.graph_rows == 0
        setting.engine.may_build.set()
        await until(lambda: collection.snapshot.graph_rows == 100)
        assert await ids(collection) == expected
        await until(lambda: collection.graph_save_time is not None)


def segments_of(collection: Collection) -> list[int]:
    return [segment.rows for segment in collection.snapshot.segments]


async def test_while_graphs_become_one_recent_rows_go_into_another(setting: Setting) -> None:
    # a graph is large from 51 rows on
    async with setting.collection(replace(POLICY, small_factor=1)) as collection:
        await collection.apply(batch(1, range(200)))
        await until(lambda: segments_of(collection) == [200])
        setting.engine.gated_rows = 200
        setting.engine.is_building.clear()
        setting.engine.may_build.clear()
        await collection.apply(batch(2, range(200, 260)))
        await until(setting.engine.is_building.is_set)
        assert segments_of(collection) == [200, 60]
        await collection.apply(batch(3, range(250, 330), removed=[7, 201]))
        await until(lambda: segments_of(collection) == [200, 60, 80])
        expected = {f"p{n}" for n in range(330) if n not in (7, 201)}
        assert await ids(collection) == expected
        setting.engine.may_build.set()
        # those of the two that were there when it began, then all
        await until(lambda: segments_of(collection) == [260 + 80])
        assert await ids(collection) == expected


async def test_each_graph_is_loaded_as_it_was_saved(setting: Setting) -> None:
    policy = replace(POLICY, small_factor=4)
    async with setting.collection(policy) as collection:
        await collection.apply(batch(1, range(300)))
        await until(lambda: segments_of(collection) == [300])
        await collection.apply(batch(2, range(250, 350)))
        await until(lambda: segments_of(collection) == [300, 100])
        await until((setting.folder / "newer.json").exists)
        await collection.apply(batch(3, [400], removed=[3, 260]))
        expected = await ids(collection)
    async with setting.collection(policy) as collection:
        assert segments_of(collection) == [300, 100]
        assert await ids(collection) == expected
        assert len(collection.snapshot.recent) == 1
    # without the large one, the small one is none
    (setting.folder / "graph.faiss").unlink()
    async with setting.collection(policy) as collection:
        assert await ids(collection) == expected


async def test_a_small_graph_that_is_in_the_large_one_by_now_is_not_loaded_twice(
    setting: Setting,
) -> None:
    policy = replace(POLICY, small_factor=4)
    async with setting.collection(policy) as collection:
        await collection.apply(batch(1, range(300)))
        await until(lambda: segments_of(collection) == [300])
        await collection.apply(batch(2, range(300, 400)))
        await until((setting.folder / "newer.json").exists)
        newer = {path: path.read_bytes() for path in setting.folder.glob("newer.*")}
        await collection.apply(batch(3, range(400, 600)))
        await until(lambda: segments_of(collection) == [600])
        await until(lambda: not (setting.folder / "newer.json").exists())
    for path, content in newer.items():
        path.write_bytes(content)
    async with setting.collection(policy) as collection:
        assert segments_of(collection) == [600]
        assert await ids(collection) == {f"p{n}" for n in range(600)}


async def test_a_graph_of_dropped_content_is_not_taken(setting: Setting) -> None:
    async with setting.collection() as collection:
        setting.engine.may_build.clear()
        await collection.apply(batch(9, range(100)))
        await until(setting.engine.is_building.is_set)
        async with asyncio.timeout(5):
            await collection.drop_content()
        with pytest.raises(FailedPrecondition, match="being built"):
            await ids(collection)
        setting.engine.may_build.set()
        await collection.apply(batch(1, range(200, 260)))
        await until(lambda: collection.snapshot.graph_rows == 60)
        assert await ids(collection) == {f"p{n}" for n in range(200, 260)}


async def test_closing_does_not_wait_for_a_build(setting: Setting) -> None:
    async with asyncio.timeout(5):
        async with setting.collection() as collection:
            setting.engine.may_build.clear()
            await collection.apply(batch(1, range(100)))
            await until(setting.engine.is_building.is_set)
    setting.engine.may_build.set()
    async with setting.collection() as collection:
        assert len(await ids(collection)) == 100
        await until(lambda: collection.snapshot.graph_rows == 100)


async def test_a_wait_for_a_revision_ends_when_the_content_is_dropped(setting: Setting) -> None:
    async with setting.collection() as collection:
        await collection.apply(batch(1, [1]))
        waiting = asyncio.create_task(collection.search(vector_of(1), 1, None, 5))
        await asyncio.sleep(0)
        await collection.drop_content()
        with pytest.raises(FailedPrecondition):
            await waiting


async def test_what_leads_a_query_is_of_the_state_that_the_hits_are_of(setting: Setting) -> None:
    async with setting.collection() as collection:
        await collection.apply(batch(1, [1, 2, 3]))
        setting.engine.may_scan.clear()
        searching = asyncio.create_task(
            collection.search(vector_of(2), 10, None, 0, feedback_products=1)
        )
        await until(setting.engine.is_scanning.is_set)
        # p3 goes, p4 comes, and p1 gets another vector
        another = Columns("p1", b"", "A", "", None, None, True, 2)
        changed = batch(2, [4], removed=[3])
        await collection.apply(
            replace(changed, embedded=[*changed.embedded, (another, vector_of(99))])
        )
        setting.engine.may_scan.set()
        found = await searching
        # its nearest is the product itself, so it leans nowhere else
        expected = {f"p{n}": float(vector_of(n) @ vector_of(2)) for n in (1, 2, 3)}
        assert dict(zip(found.product_ids, found.cosines, strict=True)) == pytest.approx(expected)
        assert found.revision == 1


def colored(revision: int, colors: Mapping[int, str], *, retained: bool = False) -> Batch:
    rows = [
        Columns(f"p{n}", b"", "A", "", None, None, True, revision, {"color": color})
        for n, color in colors.items()
    ]
    embedded = [(row, vector_of(n)) for n, row in zip(colors, rows, strict=True)]
    if retained:
        return Batch(revision, "catalog", is_at_head=True, retained=rows)
    return Batch(revision, "catalog", is_at_head=True, embedded=embedded)


RED = parse('attributes.color = "red"')


async def red(collection: Collection, *, min_revision: int = 0) -> set[str]:
    found = await collection.search(vector_of(0), 1000, RED, min_revision)
    return set(found.product_ids)


async def test_an_attribute_is_read_once_and_batches_keep_it_right(setting: Setting) -> None:
    async with setting.collection() as collection:
        await collection.apply(colored(1, {1: "red", 2: "blue", 3: "red"}))
        assert await red(collection) == {"p1", "p3"}
        await collection.apply(colored(2, {2: "red", 3: "blue"}, retained=True))
        await collection.apply(colored(3, {4: "red"}))
        await collection.apply(batch(4, [1]))
        assert await red(collection) == {"p2", "p4"}
    assert setting.store.scans == [["color"]]


async def test_searches_at_the_same_time_share_one_reading(setting: Setting) -> None:
    async with setting.collection() as collection:
        await collection.apply(colored(1, {1: "red", 2: "blue"}))
        found = await asyncio.gather(*(red(collection) for _ in range(10)))
        assert found == [{"p1"}] * 10
    assert setting.store.scans == [["color"]]


async def test_batches_wait_while_an_attribute_is_read_and_other_searches_do_not(
    setting: Setting,
) -> None:
    async with setting.collection() as collection:
        await collection.apply(colored(1, {1: "red", 2: "blue"}))
        setting.store.may_read.clear()
        searching = asyncio.create_task(red(collection))
        await setting.store.is_reading.wait()
        applying = asyncio.create_task(collection.apply(colored(2, {1: "blue", 3: "red"})))
        demanding = asyncio.create_task(red(collection, min_revision=2))
        assert await ids(collection) == {"p1", "p2"}
        setting.store.may_read.set()
        assert await searching in ({"p1"}, {"p3"})
        await applying
        assert await demanding == {"p3"}
        assert await red(collection) == {"p3"}


async def test_a_graph_that_comes_while_an_attribute_is_read_confuses_no_rows(
    setting: Setting,
) -> None:
    async with setting.collection() as collection:
        setting.engine.may_build.clear()
        await collection.apply(colored(1, {n: "red" if n % 3 else "blue" for n in range(100)}))
        await until(setting.engine.is_building.is_set)
        await collection.apply(batch(2, [], removed=range(0, 50, 2)))
        setting.store.may_read.clear()
        searching = asyncio.create_task(red(collection))
        await setting.store.is_reading.wait()
        setting.engine.may_build.set()
        await until(lambda: collection.snapshot.graph_rows > 0)
        setting.store.may_read.set()
        alive = {n for n in range(100) if n % 2 or n >= 50}
        assert await searching == {f"p{n}" for n in alive if n % 3}


async def test_a_search_that_gives_up_leaves_the_attribute_to_the_next_one(
    setting: Setting,
) -> None:
    async with setting.collection() as collection:
        await collection.apply(colored(1, {1: "red", 2: "blue"}))
        setting.store.may_read.clear()
        searching = asyncio.create_task(red(collection))
        await setting.store.is_reading.wait()
        searching.cancel()
        setting.store.may_read.set()
        assert await red(collection) == {"p1"}
    assert setting.store.scans == [["color"]]


async def test_content_dropped_while_an_attribute_is_read_is_not_found(setting: Setting) -> None:
    async with setting.collection() as collection:
        await collection.apply(colored(1, {1: "red"}))
        setting.store.may_read.clear()
        searching = asyncio.create_task(red(collection))
        await setting.store.is_reading.wait()
        dropping = asyncio.create_task(collection.drop_content())
        setting.store.may_read.set()
        await dropping
        with contextlib.suppress(FailedPrecondition):
            assert await searching == {"p1"}  # it may have come before
        await collection.apply(colored(1, {2: "red"}))
        assert await red(collection) == {"p2"}


async def test_closing_does_not_wait_for_an_attribute(setting: Setting) -> None:
    async with asyncio.timeout(5):
        async with setting.collection() as collection:
            await collection.apply(colored(1, {1: "red"}))
            setting.store.may_read.clear()
            searching = asyncio.create_task(red(collection))
            await setting.store.is_reading.wait()
    with pytest.raises(asyncio.CancelledError):
        await searching
