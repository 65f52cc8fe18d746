"""A SQLite file: one connection that writes, and several that read meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, Executable, Row, create_engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.catalog.stores import failures, filtering, ordering, soundness
from services.common.errors import Overloaded

T = TypeVar("T")

# Beyond this many, a write would wait for seconds; its caller does better to back off.
MAX_WAITING_WRITES = 256
READER_WAIT_SECONDS = 10.0

_PRAGMAS = {
    # Only another program (a backup) can hold the lock; ours queue before it.
    "busy_timeout": "5000",
    # Readers go on while a write commits.
    "journal_mode": "WAL",
    # With WAL, NORMAL does not flush at each commit: a power cut may lose the last
    # commits, and an upsert that was answered must be on the disk.
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "cache_size": "-32000",  # KiB, for each connection
    "mmap_size": str(256 * 1024 * 1024),
    "temp_store": "MEMORY",
}


class Database:
    """Runs statements: reads at once, writes one after another. Open it with `async with`.

    To open it raises StartRefused where the file is damaged or cannot be written. Later, a
    statement that the file fails raises Unavailable: STORAGE_FULL, STORAGE_DAMAGED,
    STORAGE_BUSY or STORAGE_FAILED. `on_damage` is called, in the event loop, where a
    statement finds something damaged.
    """

    def __init__(
        self, path: Path, *, readers: int, on_damage: Callable[[], None] = lambda: None
    ) -> None:
        self._path = path
        self._on_damage = on_damage
        self._writer = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(path)),
            pool_size=1,
            max_overflow=0,
            # Errors are logged, and products do not belong in logs.
            hide_parameters=True,
        )
        # A read is one step in a thread: a driver that takes each of its steps there
        # spends more time on the way than most reads take.
        self._readers = create_engine(
            URL.create("sqlite", database=str(path)),
            # What begins and ends is up to `read`.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
            pool_size=readers,
            max_overflow=0,
            pool_use_lifo=True,
            hide_parameters=True,
        )
        _prepare(self._writer.sync_engine, _PRAGMAS, begin="BEGIN IMMEDIATE")
        _prepare(self._readers, _PRAGMAS | {"query_only": "ON"}, begin=None)
        self._threads = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._free_readers = asyncio.Semaphore(readers)
        self._turn = asyncio.Lock()
        self._waiting_writes = 0
        self._writing: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._path.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(soundness.ensure, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._turn:
            await asyncio.to_thread(self._threads.shutdown)
            self._readers.dispose()
            await self._writer.dispose()

    async def rows(
        self, statement: Executable, parameters: Mapping[str, Any]
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return the rows of one statement that reads."""

        def work() -> Sequence[Row[*tuple[Any, ...]]]:
            with self._readers.connect() as connection:
                return connection.execute(statement, parameters).all()

        return await self._read(work)

    async def read(self, transaction: Callable[[Connection], T]) -> T:
        """Return what a function reads in a thread; all its statements see one state."""

        def work() -> T:
            with self._readers.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                try:
                    return transaction(connection)
                finally:
                    # Some errors end the transaction themselves.
                    if _driver_of(connection).in_transaction:
                        connection.exec_driver_sql("COMMIT")

        return await self._read(work)

    async def _read(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(READER_WAIT_SECONDS):
                await self._free_readers.acquire()
        except TimeoutError as error:
            raise Overloaded("too many reads at once") from error
        try:
            with failures.named(self._on_damage):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._free_readers.release()

    async def write(
        self,
        transaction: Callable[[AsyncConnection], Awaitable[T]],
        after_commit: Callable[[T], None] = lambda _: None,
    ) -> T:
        """Run a transaction, then `after_commit` with its result.

        A caller that goes away while it waits for its turn writes nothing; once
        begun, the transaction runs to its end without the caller.
        """
        if self._waiting_writes >= MAX_WAITING_WRITES:
            raise Overloaded(f"{MAX_WAITING_WRITES} writes wait already")
        self._waiting_writes += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting_writes -= 1
        # Kept, because the event loop alone would not keep a task alive.
        self._writing = asyncio.create_task(self._in_turn(transaction, after_commit))
        return await asyncio.shield(self._writing)

    async def _in_turn(
        self,
        transaction: Callable[[AsyncConnection], Awaitable[T]],
        after_commit: Callable[[T], None],
    ) -> T:
        try:
            with failures.named(self._on_damage):
                async with self._writer.begin() as connection:
                    result = await transaction(connection)
                after_commit(result)
                return result
        finally:
            self._turn.release()

    async def write_sync(self, transaction: Callable[[Connection], None]) -> None:
        """Run a transaction that is written for a synchronous connection."""
        await self.write(lambda connection: connection.run_sync(transaction))


def _driver_of(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _prepare(engine: Engine, pragmas: Mapping[str, str], *, begin: str | None) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        # The driver would begin transactions by guesses of its own.
        connection.isolation_level = None
        filtering.register(connection)
        ordering.register(connection)
        cursor = connection.cursor()
        for name, value in pragmas.items():
            cursor.execute(f"PRAGMA {name} = {value}")
        cursor.close()

    if begin is not None:

        @event.listens_for(engine, "begin")
        def begin_transaction(connection: Connection) -> None:
            connection.exec_driver_sql(begin)
