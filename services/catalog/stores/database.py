"""A SQLite file: one thread that writes, and several that read meanwhile."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, Executable, Row, create_engine, event
from sqlalchemy.ext.asyncio import create_async_engine

from services.catalog.stores import failures, filtering, ordering, soundness
from services.common.errors import Overloaded, Unavailable

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
    "mmap_size": str(2 * 1024 * 1024 * 1024),
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
        self._writer = _engine(path, 1)
        self._readers = _engine(
            path,
            readers,
            # What begins and ends is up to `read`.
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
        )
        _prepare(self._writer, _PRAGMAS, begin="BEGIN IMMEDIATE")
        _prepare(self._readers, _PRAGMAS | {"query_only": "ON"}, begin=None)
        self._asides = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(path)),
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            hide_parameters=True,
        )
        _prepare(self._asides.sync_engine, _PRAGMAS | {"query_only": "ON"}, begin=None)
        # A whole read, and a whole transaction, is one step in a thread: each step on the
        # way takes longer than most reads do.
        self._reading = ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="writer")
        # Each thread that reads keeps a connection to itself.
        self._own = threading.local()
        self._connections: list[Connection] = []
        self._free_readers = asyncio.Semaphore(readers)
        self._turn = asyncio.Lock()
        self._waiting_writes = 0
        self._at_work: asyncio.Task[Any] | None = None
        self._is_refused = False

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._path.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(soundness.ensure, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._turn:
            for threads in (self._reading, self._writing):
                await asyncio.to_thread(threads.shutdown)
            for connection in self._connections:
                connection.close()
            await self._asides.dispose()
            self._readers.dispose()
            self._writer.dispose()

    def refuse(self) -> None:
        """Let every call from now on end with Unavailable (STORAGE_DAMAGED)."""
        self._is_refused = True

    def _check(self) -> None:
        if self._is_refused:
            raise Unavailable(
                "the database of the catalog is damaged; start it again to mend or name that",
                reason="STORAGE_DAMAGED",
            )

    async def rows(
        self, statement: Executable, parameters: Mapping[str, Any]
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return the rows of one statement that reads, and that no search waits for."""
        self._check()
        with failures.named(self._on_damage):
            async with self._asides.connect() as connection:
                return (await connection.execute(statement, parameters)).all()

    async def read_once(self, statement: Callable[[Connection], T]) -> T:
        """Return what a function reads in a thread with one statement."""
        return await self._read(lambda: statement(self._reader()))

    async def read(self, transaction: Callable[[Connection], T]) -> T:
        """Return what a function reads in a thread; all its statements see one state."""

        def work() -> T:
            connection = self._reader()
            driver = driver_of(connection)
            driver.execute("BEGIN")
            try:
                return transaction(connection)
            finally:
                # Some errors end the transaction themselves.
                if driver.in_transaction:
                    driver.execute("COMMIT")

        return await self._read(work)

    def _reader(self) -> Connection:
        """Return the connection of the thread that reads."""
        try:
            return self._own.connection  # type: ignore[no-any-return]
        except AttributeError:
            self._own.connection = connection = self._readers.connect()
            self._connections.append(connection)
            return connection

    async def _read(self, work: Callable[[], T]) -> T:
        self._check()
        try:
            async with asyncio.timeout(READER_WAIT_SECONDS):
                await self._free_readers.acquire()
        except TimeoutError as error:
            raise Overloaded("too many reads at once") from error
        try:
            with failures.named(self._on_damage):
                return await asyncio.get_running_loop().run_in_executor(self._reading, work)
        finally:
            self._free_readers.release()

    async def write(
        self,
        transaction: Callable[[Connection], T],
        after_commit: Callable[[T], None] = lambda _: None,
    ) -> T:
        """Run a transaction in a thread, then `after_commit` with its result in the event loop.

        A caller that goes away while it waits for its turn writes nothing; once
        begun, the transaction runs to its end without the caller.
        """
        self._check()
        if self._waiting_writes >= MAX_WAITING_WRITES:
            raise Overloaded(f"{MAX_WAITING_WRITES} writes wait already")
        self._waiting_writes += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting_writes -= 1
        # Kept, because the event loop alone would not keep a task alive.
        self._at_work = asyncio.create_task(self._in_turn(transaction, after_commit))
        return await asyncio.shield(self._at_work)

    async def _in_turn(
        self, transaction: Callable[[Connection], T], after_commit: Callable[[T], None]
    ) -> T:
        def work() -> T:
            with self._writer.begin() as connection:
                return transaction(connection)

        try:
            with failures.named(self._on_damage):
                result = await asyncio.get_running_loop().run_in_executor(self._writing, work)
                after_commit(result)
                return result
        finally:
            self._turn.release()


def driver_of(connection: Connection) -> Any:
    """Return the connection of the driver, for statements that are worth no more than itself."""
    return connection.connection.driver_connection


def _engine(path: Path, connections: int, **options: Any) -> Engine:
    return create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=connections,
        max_overflow=0,
        # Errors are logged, and products do not belong in logs.
        hide_parameters=True,
        **options,
    )


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
