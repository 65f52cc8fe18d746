"""The catalog on a full disk, on folders that are not its own, and from a backup."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tests.catalog_support import Stubs, reason_of
from tests.faults.storage_support import (
    catalog,
    fill,
    put,
    refused,
    small_disk,
    stored,
)
from vitrina.catalog.v1 import catalog_pb2 as pb


async def write_until_refused(stubs: Stubs) -> tuple[list[str], grpc.aio.AioRpcError]:
    acknowledged: list[str] = []
    for number in range(10_000):
        try:
            await put(stubs, f"p{number}", description=f"larga {number} " * 500)
        except grpc.aio.AioRpcError as error:
            return acknowledged, error
        acknowledged.append(f"p{number}")
    raise AssertionError("never full")


async def test_a_full_disk_loses_nothing_acknowledged_and_the_process_goes_on(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        async with catalog(disk) as (service, stubs):
            ballast = disk / "ballast"
            ballast.write_bytes(b"\0" * 3_000_000)
            acknowledged, refusal = await write_until_refused(stubs)
            assert refusal.code() is grpc.StatusCode.UNAVAILABLE
            assert reason_of(refusal) == "STORAGE_FULL"
            assert str(tmp_path) not in (refusal.details() or "")
            assert acknowledged
            assert await stored(stubs) == set(acknowledged)
            ballast.unlink()
            assert await put(stubs, "after") == len(acknowledged) + 1
            assert service.process.returncode is None
        # killed, not drained
        async with catalog(disk) as (_, stubs):
            assert await stored(stubs) == {*acknowledged, "after"}


async def test_a_file_that_may_not_grow_loses_nothing_acknowledged(tmp_path: Path) -> None:
    async with catalog(tmp_path / "data") as (service, stubs):
        await put(stubs, "first")
        service.limit_files(1_000_000)
        acknowledged, refusal = await write_until_refused(stubs)
        assert refusal.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(refusal) == "STORAGE_FAILED"
        assert await stored(stubs) == {"first", *acknowledged}
        service.limit_files(None)
        await put(stubs, "after")
        assert await stored(stubs) == {"first", *acknowledged, "after"}
        assert service.process.returncode is None
    async with catalog(tmp_path / "data") as (_, stubs):
        assert await stored(stubs) == {"first", *acknowledged, "after"}


async def test_a_start_on_a_full_disk_says_so_and_leaves_all_in_place(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        async with catalog(disk) as (service, stubs):
            await put(stubs, "kept")
            service.process.terminate()
            assert await service.ended() == 0
        fill(disk)
        record = await refused("catalog", disk)
        assert record["reason"] in {"STORAGE_FULL", "STORAGE_FAILED"}
        assert "catalog.db" in record["problem"]
        (disk / "ballast").unlink()
        async with catalog(disk) as (_, stubs):
            assert await stored(stubs) == {"kept"}


# folders


async def test_a_data_folder_that_is_a_file_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no folder")
    for name in ("catalog", "index"):
        record = await refused(name, tmp_path / "data")
        assert record["reason"] == "DATA_FOLDER_UNUSABLE"
        assert record["problem"].startswith(f"VITRINA_DATA_DIR: {tmp_path / 'data' / name}")
        assert "not a directory" in record["problem"]


@pytest.mark.skipif(
    not os.path.isdir("/proc/sys"),  # noqa: PTH112
    reason="there is no folder here in which not even root can make another",
)
async def test_a_folder_of_somebody_else_is_named_with_its_setting(tmp_path: Path) -> None:
    record = await refused("catalog", tmp_path, DATABASE_URL="sqlite+aiosqlite:////proc/sys/x/y.db")
    assert record["reason"] == "DATA_FOLDER_UNUSABLE"
    assert record["problem"].startswith("DATABASE_URL: /proc/sys/x")


async def test_a_folder_is_not_shared_by_two_catalogs_and_a_dead_one_leaves_no_lock(
    tmp_path: Path,
) -> None:
    async with catalog(tmp_path / "data") as (first, stubs):
        record = await refused("catalog", tmp_path / "data")
        assert record["reason"] == "DATA_IN_USE"
        assert await put(stubs, "still") == 1
        first.process.kill()
        await first.ended()
        async with catalog(tmp_path / "data") as (_, others):
            assert await stored(others) == {"still"}


# a backup, as docs/operations.md has it


async def test_a_backup_made_meanwhile_is_restored_as_another_catalog(tmp_path: Path) -> None:
    file = tmp_path / "data" / "catalog" / "catalog.db"
    async with catalog(tmp_path / "data") as (_, stubs):
        await put(stubs, "a", "b")
        with closing(sqlite3.connect(file)) as database:
            database.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
        await put(stubs, "c")
    for left in file.parent.glob("catalog.db*"):
        left.unlink()
    shutil.copyfile(tmp_path / "backup.db", file)
    with closing(sqlite3.connect(file)) as database:
        (before,) = database.execute("SELECT catalog_id FROM catalog").fetchone()
        database.execute("UPDATE catalog SET catalog_id = lower(hex(randomblob(16)))")
        database.commit()
    async with catalog(tmp_path / "data") as (_, stubs):
        assert await stored(stubs) == {"a", "b"}
        first = await anext(aiter(stubs.catalog.WatchChanges(pb.WatchChangesRequest(), timeout=10)))
        assert first.head_revision == 2
        assert first.catalog_id != before
