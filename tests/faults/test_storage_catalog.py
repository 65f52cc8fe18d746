"""The catalog on storage that fails: it refuses, it mends what is derived, it loses nothing."""

import asyncio
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import grpc
import grpc.aio
import pytest
from sqlalchemy import text as sql

from services.catalog.stores.sqlite import SqliteStore
from services.catalog.suggesting.popular import QueryCount
from services.catalog.text import Rules, parsed
from services.common.errors import StartRefused, Unavailable
from tests.catalog_support import open_store, product, reason_of
from tests.faults.storage_support import (
    PAGE_BYTES,
    catalog,
    overwrite,
    put,
    refused,
    root_page,
)
from tests.support import until
from vitrina.catalog.v1 import catalog_pb2 as pb

NAMES = [f"Lámpara número {n}" for n in range(300)]


async def found(store: SqliteStore, words: str) -> set[str]:
    hits = await store.search_text(parsed(words, Rules()), None, 1_000)
    return {hit.product_id for hit in hits.hits}


async def filled(folder: Path) -> Path:
    """Make a catalog of 300 products, closed; return its file."""
    async with open_store(folder) as store:
        await store.upsert([product(f"p{n}", name=name) for n, name in enumerate(NAMES)], 0)
        await store.record_queries([QueryCount("lámpara", 3)], 0)
    return folder / "catalog.db"


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_full_database_refuses_writes_and_takes_them_again(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert([product("before")], 0)
        with store.database._writer.connect() as writer:
            pages = writer.execute(sql("PRAGMA page_count")).scalar_one()
            writer.execute(sql(f"PRAGMA max_page_count = {pages}"))
        many = [product(f"p{n}", description="muy larga " * 400) for n in range(50)]
        with pytest.raises(Unavailable) as refusal:
            await store.upsert(many, 0)
        assert refusal.value.reason == "STORAGE_FULL"
        assert (await store.state()).revision == 1
        assert await found(store, "lámpara") == {"before"}
        with store.database._writer.connect() as writer:
            writer.execute(sql("PRAGMA max_page_count = 1000000"))
        assert (await store.upsert(many, 0)).revision == 51
        assert len(await found(store, "lámpara")) == 51


# damage


def cut_in_half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)


def without_header(file: Path) -> None:
    with file.open("r+b") as content:
        content.write(b"\xff" * 100)


def with_noise_in(table: str) -> Callable[[Path], None]:
    return lambda file: overwrite(file, root_page(file, table))


def empty(file: Path) -> None:
    os.truncate(file, 0)


def gone_but_for_its_log(file: Path) -> None:
    file.rename(file.with_name("catalog.db-wal"))


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_half,
        without_header,
        empty,
        gone_but_for_its_log,
        *map(with_noise_in, ("products", "changes", "tuning", "products_by_category")),
    ],
)
async def test_a_damaged_truth_is_not_served_and_not_touched(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    file = await filled(tmp_path)
    damage(file)
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    for _ in range(2):
        with pytest.raises(StartRefused, match="restore a backup") as refusal:
            async with open_store(file.parent):
                pass
        assert refusal.value.reason == "STORAGE_DAMAGED"
        assert str(file) in str(refusal.value)
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before


async def test_damage_ends_the_process_with_one_line_that_names_the_file(tmp_path: Path) -> None:
    file = await filled(tmp_path / "data" / "catalog")
    without_header(file)
    record = await refused("catalog", tmp_path / "data")
    assert record["reason"] == "STORAGE_DAMAGED"
    assert str(file) in record["problem"]


async def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "catalog.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TABLE orders (id)")
    before = file.read_bytes()
    with pytest.raises(StartRefused, match="something else"):
        async with open_store(tmp_path):
            pass
    assert file.read_bytes() == before


async def test_tables_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    file = await filled(tmp_path)
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    with pytest.raises(StartRefused) as refusal:
        async with open_store(tmp_path):
            pass
    assert refusal.value.reason == "DATA_OF_NEWER_VERSION"


LOGGED = {f"p{n}" for n in range(40)}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a catalog that was killed while its last writes were in its log."""
    data_dir = tmp_path_factory.mktemp("killed") / "data"

    async def write_and_die() -> None:
        async with catalog(data_dir) as (_, stubs):
            for each in sorted(LOGGED):
                await put(stubs, each, description="larga " * 100)

    asyncio.run(write_and_die())
    folder = data_dir / "catalog"
    assert (folder / "catalog.db-wal").stat().st_size > len(LOGGED) * PAGE_BYTES
    return folder


@pytest.fixture
def with_log(killed: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(killed, tmp_path / "catalog"))


async def ids_in(folder: Path) -> set[str]:
    async with open_store(folder) as store:
        return {each.product.id for each in (await store.page("", "", 1_000)).products}


def truncate_log(log: Path) -> None:
    os.truncate(log, log.stat().st_size - PAGE_BYTES)


def noise_in_log(log: Path) -> None:
    overwrite(log, log.stat().st_size // PAGE_BYTES // 2)


def noise_in_header_of_log(log: Path) -> None:
    with log.open("r+b") as file:
        file.write(b"\xff" * 32)


@pytest.mark.parametrize(
    "damage", [truncate_log, noise_in_log, noise_in_header_of_log, empty, Path.unlink]
)
async def test_a_log_that_lost_acknowledged_writes_is_noticed(
    with_log: Path, damage: Callable[[Path], None]
) -> None:
    log = with_log / "catalog.db-wal"
    whole = log.read_bytes()
    damage(log)
    for _ in range(2):
        with pytest.raises(StartRefused, match=r"catalog\.db-wal") as refusal:
            await ids_in(with_log)
        assert refusal.value.reason == "STORAGE_DAMAGED"
    log.write_bytes(whole)
    assert await ids_in(with_log) == LOGGED


async def test_what_is_lost_can_be_left_behind_on_purpose(with_log: Path) -> None:
    truncate_log(with_log / "catalog.db-wal")
    with pytest.raises(StartRefused, match=r"delete catalog\.db-shm to go on without"):
        await ids_in(with_log)
    (with_log / "catalog.db-shm").unlink()
    left = await ids_in(with_log)
    assert left < LOGGED
    assert len(left) >= len(LOGGED) - 2


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 32_768, random.Random(1).randbytes(32_768)])
async def test_garbage_beside_the_log_is_of_no_weight(with_log: Path, garbage: bytes) -> None:
    (with_log / "catalog.db-shm").write_bytes(garbage)
    assert await ids_in(with_log) == LOGGED


@pytest.mark.parametrize(
    "table", ["words_data", "words_content", "words_idx", "words_docsize", "identifiers"]
)
async def test_damaged_words_are_made_again_at_the_start(tmp_path: Path, table: str) -> None:
    file = await filled(tmp_path)
    async with open_store(tmp_path) as store:
        state = await store.state()
    overwrite(file, root_page(file, table))
    async with open_store(tmp_path) as store:
        assert await store.state() == state
        assert len(await found(store, "lámpara")) == 300
        assert [entry.query for entry in store.popular.most_asked(5, 0)] == ["lámpara"]
        assert (await store.upsert([product("new")], 0)).revision == 301
    assert names_in(tmp_path) == {"catalog.db", "damaged-catalog.db"}


async def test_damaged_popular_queries_are_forgotten_and_nothing_else(tmp_path: Path) -> None:
    file = await filled(tmp_path)
    overwrite(file, root_page(file, "popular_queries"))
    async with open_store(tmp_path) as store:
        assert len((await store.page("", "", 1_000)).products) == 300
        assert len(await found(store, "lámpara")) == 300
        assert store.popular.most_asked(5, 0) == []
        await store.record_queries([QueryCount("mesa", 1)], 0)


async def test_a_rescue_that_finds_a_product_missing_is_none(tmp_path: Path) -> None:
    file = await filled(tmp_path)
    with closing(sqlite3.connect(file)) as database:
        database.execute("DELETE FROM products WHERE id = 'p7'")
        database.commit()
    overwrite(file, root_page(file, "words_data"))
    damaged = file.read_bytes()
    with pytest.raises(StartRefused, match="missing"):
        async with open_store(tmp_path):
            pass
    assert file.read_bytes() == damaged
    assert names_in(tmp_path) == {"catalog.db"}


async def test_words_damaged_meanwhile_are_made_again_while_it_serves(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert([product(f"p{n}", name=name) for n, name in enumerate(NAMES)], 0)
        with closing(sqlite3.connect(tmp_path / "catalog.db")) as other:
            other.execute("UPDATE words_data SET block = x'ffffffffffffffff' WHERE id > 10")
            other.commit()
        with pytest.raises(Unavailable) as damage:
            await found(store, "lámpara")
        assert damage.value.reason == "STORAGE_DAMAGED"

        async def is_mended() -> bool:
            try:
                return len(await found(store, "lámpara")) == 300
            except Unavailable:
                return False

        await until(is_mended)
        assert (await store.upsert([product("new")], 0)).revision == 301


async def test_damage_found_while_serving_leaves_no_word_of_it(tmp_path: Path) -> None:
    async with catalog(tmp_path / "data", VITRINA_CATALOG_READERS="1") as (service, stubs):
        await put(stubs, *(f"p{n}" for n in range(300)), description="larga " * 200)
        file = tmp_path / "data" / "catalog" / "catalog.db"
        with closing(sqlite3.connect(file)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for page in range(2, file.stat().st_size // PAGE_BYTES):
            overwrite(file, page)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stubs.catalog.ListProducts(pb.ListProductsRequest(page_size=1_000), timeout=10)
        assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(failed.value) == "STORAGE_DAMAGED"
        details = failed.value.details() or ""
        assert "malformed" not in details
        assert "SELECT" not in details
        assert service.events("store damaged")[0]["level"] == "critical"
        assert service.process.returncode is None
    assert (await refused("catalog", tmp_path / "data"))["reason"] == "STORAGE_DAMAGED"
