"""A large database is checked while it serves: one that is damaged is served no longer."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Self

from services.catalog.stores import soundness
from services.catalog.stores.database import Database
from services.common.telemetry import get_logger

log = get_logger()

_INTERRUPT_SECONDS = 0.05


class Inspection:
    """Checks the pages once, in the background, if `soundness` has left that for later."""

    def __init__(self, path: Path, database: Database) -> None:
        self._path = path
        self._database = database
        self._reader: sqlite3.Connection | None = None
        self._checking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if soundness.is_checked_later(self._path):
            self._checking = asyncio.create_task(self._check())
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._checking is not None and not self._checking.done():
            # Again, for it has no effect between two statements.
            if self._reader is not None:
                self._reader.interrupt()
            await asyncio.wait([self._checking], timeout=_INTERRUPT_SECONDS)

    async def _check(self) -> None:
        with closing(
            sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        ) as reader:
            reader.execute("PRAGMA query_only = ON")
            self._reader = reader
            try:
                if await asyncio.to_thread(soundness.is_damaged, self._path, reader):
                    self._database.refuse()
            except sqlite3.Error as error:
                log.warning("database not checked", problem=str(error))
            finally:
                self._reader = None
