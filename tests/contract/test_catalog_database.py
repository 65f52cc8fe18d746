"""Reads of the catalog's file: one state each, and no more at once than there are readers."""

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection

from services.catalog.stores import database
from services.catalog.stores.revisions import newest
from services.common.errors import Overloaded
from tests.catalog_support import open_store, product


async def test_all_that_one_read_reads_is_one_state(tmp_path: Path) -> None:
    has_begun, may_go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def read_twice(connection: Connection) -> tuple[int, int]:
        before = newest(connection)
        loop.call_soon_threadsafe(has_begun.set)
        may_go_on.wait(10)
        return before, newest(connection)

    async with open_store(tmp_path) as store:
        reading = asyncio.ensure_future(store.database.read(read_twice))
        await has_begun.wait()
        await store.upsert([product("a")], 0)
        may_go_on.set()
        assert await reading == (0, 0)
        assert await store.database.read(newest) == 1


async def test_a_read_that_fails_leaves_its_reader_fit_for_the_next(tmp_path: Path) -> None:
    def fail(connection: Connection) -> None:
        newest(connection)
        raise ValueError

    async with open_store(tmp_path, readers=1) as store:
        with pytest.raises(ValueError):  # noqa: PT011
            await store.database.read(fail)
        await store.upsert([product("a")], 0)
        assert await store.database.read(newest) == 1


async def test_a_read_that_finds_no_reader_in_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "READER_WAIT_SECONDS", 0.05)
    has_begun, may_go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(_: Connection) -> None:
        loop.call_soon_threadsafe(has_begun.set)
        may_go_on.wait(10)

    async with open_store(tmp_path, readers=1) as store:
        reading = asyncio.ensure_future(store.database.read(wait))
        await has_begun.wait()
        with pytest.raises(Overloaded):
            await store.get(["a"])
        may_go_on.set()
        await reading
        assert (await store.state()).revision == 0
