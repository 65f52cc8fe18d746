"""Durable state in one SQLite file, worked on by one thread of its own."""

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from services.index.model import Batch, Columns, Matrix, Space
from services.index.stores import sqlite_schema
from services.index.stores.protocol import (
    AttributeValues,
    DamagedState,
    StateUnusable,
    StoredRows,
    StoredState,
)
from services.index.stores.sqlite_attributes import StoredAttributes
from services.index.stores.sqlite_transactions import reading, transaction

T = TypeVar("T")

# Below the 999 parameters of old builds of SQLite.
_IDS_PER_QUERY = 500
# Rows that are read before the thread gets to do something else.
_ROWS_PER_PART = 20_000

_INSERT = (
    "INSERT INTO rows (product_id, text_hash, category, brand, price_e4, stock, is_active,"
    " revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE = (
    "UPDATE rows SET category = ?, brand = ?, price_e4 = ?, stock = ?, is_active = ?,"
    " revision = ? WHERE product_id = ?"
)


class SqliteStateStore:
    """See `StateStore`. A file of another space counts as damaged too."""

    def __init__(self, path: Path, space: Space) -> None:
        self._path = path
        self._space = space
        self._thread: ThreadPoolExecutor | None = None
        self._database: sqlite3.Connection | None = None
        self._attributes: StoredAttributes | None = None

    async def open(self) -> None:
        """Open it, empty if it is new."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index-state")
        try:
            await self._run(self._open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close it."""
        if self._thread is not None:
            await self._run(self._close)
            self._thread.shutdown(wait=False)
            self._thread = None

    async def move_aside(self) -> None:
        """Rename the files; those that were moved aside before are overwritten."""
        await asyncio.to_thread(self._move_aside)

    async def state(self) -> StoredState:
        """Read all but the rows."""
        return await self._run(self._state)

    async def rows(self) -> AsyncIterator[StoredRows]:
        """Read the rows without vectors and attributes, part by part."""
        after = 0
        while True:
            part = await self._run(lambda: self._rows(after))  # noqa: B023
            if not len(part.vector_ids):
                return
            yield part
            after = int(part.vector_ids[-1])

    async def vectors(self, vector_ids: NDArray[np.int64]) -> Matrix:
        """Read the vectors of rows, in the order given."""
        return await self._run(lambda: self._vectors(vector_ids))

    async def attributes(
        self, names: Collection[str]
    ) -> AsyncIterator[Mapping[str, AttributeValues]]:
        """Read some attributes of all rows, by name; an iteration for each part of the rows."""
        last = await self._run(lambda: self._last_vector_id() if self._known(names) else 0)
        for after in range(0, last, _ROWS_PER_PART):
            yield await self._run(lambda: self._attribute_values(names, after))  # noqa: B023

    async def text_hashes(self, product_ids: Sequence[str]) -> Mapping[str, bytes]:
        """Read the text hashes of those products that have a row."""
        return await self._run(lambda: self._text_hashes(product_ids))

    async def apply(self, batch: Batch) -> NDArray[np.int64]:
        """Apply a batch; return the vector ids of its embedded rows, in order."""
        return await self._run(lambda: self._apply(batch))

    async def clear(self) -> str:
        """Drop all rows and all that is known of the catalog; return the new incarnation."""
        return await self._run(self._clear)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise RuntimeError("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with reading():
            database = self._database = sqlite3.connect(self._path, isolation_level=None)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            found = database.execute("PRAGMA user_version").fetchone()[0]
            if found == 0:
                self._create(database)
            else:
                self._check(database)
                if found != sqlite_schema.FORMAT:
                    self._upgrade(database, found)
            self._attributes = StoredAttributes(database)

    def _create(self, database: sqlite3.Connection) -> None:
        space = self._space
        with transaction(database):
            sqlite_schema.create(database)
            database.execute(
                "INSERT INTO meta VALUES (1, ?, ?, ?, ?, '', 0, 0)",
                (space.id, space.dimensions, space.document_template, uuid.uuid4().hex),
            )

    def _upgrade(self, database: sqlite3.Connection, found: int) -> None:
        with transaction(database):
            if not sqlite_schema.upgrade(database, found):
                raise DamagedState(f"format {found}, not {sqlite_schema.FORMAT}")

    def _check(self, database: sqlite3.Connection) -> None:
        # Not the vectors, which are most of the file: reading one tells whether it is whole.
        for table in ("meta", "rows"):
            if database.execute(f"PRAGMA quick_check({table})").fetchone()[0] != "ok":
                raise DamagedState("pages are damaged")
        if _space_of(database) != self._space:
            raise DamagedState("it is of another space")

    def _move_aside(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            path = self._path.with_name(self._path.name + suffix)
            if path.exists():
                path.replace(path.with_name("damaged-" + path.name))

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    @property
    def _stored_attributes(self) -> StoredAttributes:
        if self._attributes is None:
            raise RuntimeError("the store is closed")
        return self._attributes

    @property
    def _db(self) -> sqlite3.Connection:
        if self._database is None:
            raise RuntimeError("the store is closed")
        return self._database

    def _state(self) -> StoredState:
        with reading():
            incarnation, catalog_id, applied_revision, has_been_ready = self._db.execute(
                "SELECT incarnation, catalog_id, applied_revision, has_been_ready FROM meta"
            ).fetchone()
            return StoredState(
                space=self._space,
                incarnation=incarnation,
                catalog_id=catalog_id,
                applied_revision=applied_revision,
                has_been_ready=bool(has_been_ready),
                last_vector_id=self._last_vector_id(),
            )

    def _rows(self, after: int) -> StoredRows:
        with reading():
            rows = self._db.execute(
                "SELECT vector_id, product_id, category, brand, price_e4, stock, is_active"
                " FROM rows WHERE vector_id > ? ORDER BY vector_id LIMIT ?",
                (after, _ROWS_PER_PART),
            ).fetchall()
        ids, *columns = zip(*rows, strict=True) if rows else [()] * 7
        return StoredRows(np.array(ids, dtype=np.int64), *columns)

    def _last_vector_id(self) -> int:
        last = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'rows'").fetchone()
        return last[0] if last is not None else 0

    def _known(self, names: Collection[str]) -> Sequence[str]:
        return self._stored_attributes.known(names)

    def _attribute_values(
        self, names: Collection[str], after: int
    ) -> Mapping[str, AttributeValues]:
        with reading():
            return self._stored_attributes.values(self._known(names), after, after + _ROWS_PER_PART)

    def _vectors(self, vector_ids: NDArray[np.int64]) -> Matrix:
        vectors = np.empty((len(vector_ids), self._space.dimensions), dtype="<f4")
        with reading():
            for place, vector_id in enumerate(vector_ids.tolist()):
                row = self._db.execute(
                    "SELECT vector FROM vectors WHERE vector_id = ?", (vector_id,)
                ).fetchone()
                if row is None or len(row[0]) != vectors.itemsize * self._space.dimensions:
                    raise DamagedState("a vector is missing or too short")
                vectors[place] = np.frombuffer(row[0], dtype="<f4")
        return vectors

    def _text_hashes(self, product_ids: Sequence[str]) -> Mapping[str, bytes]:
        hashes: dict[str, bytes] = {}
        for start in range(0, len(product_ids), _IDS_PER_QUERY):
            some = product_ids[start : start + _IDS_PER_QUERY]
            marks = ", ".join("?" * len(some))
            with reading():
                hashes.update(
                    self._db.execute(
                        f"SELECT product_id, text_hash FROM rows WHERE product_id IN ({marks})",  # noqa: S608 - marks are marks
                        some,
                    )
                )
        return hashes

    def _apply(self, batch: Batch) -> NDArray[np.int64]:
        database = self._db
        attributes = self._stored_attributes
        vector_ids = np.empty(len(batch.embedded), dtype=np.int64)
        with transaction(database):
            for product_id in batch.removed:
                self._remove(product_id)
            for columns in batch.retained:
                _, _, *changed, revision = _values(columns)
                database.execute(_UPDATE, (*changed, revision, columns.product_id))
                attributes.update(columns.product_id, columns.attributes)
            for place, (columns, vector) in enumerate(batch.embedded):
                self._remove(columns.product_id)
                inserted = database.execute(_INSERT, _values(columns))
                vector_ids[place] = inserted.lastrowid or 0
                database.execute(
                    "INSERT INTO vectors VALUES (?, ?)",
                    (inserted.lastrowid, vector.astype("<f4").tobytes()),
                )
                attributes.insert(inserted.lastrowid or 0, columns.attributes)
            rows = (*batch.retained, *(columns for columns, _ in batch.embedded))
            names = attributes.note({name for columns in rows for name in columns.attributes})
            database.execute(
                "UPDATE meta SET applied_revision = ?, catalog_id = ?,"
                " has_been_ready = max(has_been_ready, ?)",
                (batch.revision, batch.catalog_id, batch.is_at_head),
            )
        attributes.noted(names)
        return vector_ids

    def _remove(self, product_id: str) -> None:
        for table in ("vectors", "attributes"):
            self._db.execute(
                f"DELETE FROM {table} WHERE vector_id ="  # noqa: S608 - one of two names
                " (SELECT vector_id FROM rows WHERE product_id = ?)",
                (product_id,),
            )
        self._db.execute("DELETE FROM rows WHERE product_id = ?", (product_id,))

    def _clear(self) -> str:
        incarnation = uuid.uuid4().hex
        with transaction(self._db):
            for table in ("vectors", "attributes", "rows"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - one of three names
            self._db.execute(
                "UPDATE meta SET incarnation = ?, catalog_id = '', applied_revision = 0,"
                " has_been_ready = 0",
                (incarnation,),
            )
        return incarnation


def stored_space(path: Path) -> Space | None:
    """Return the space that a file is of; None if it does not tell. Blocks."""
    if not path.is_file():
        return None
    try:
        with reading(), closing(sqlite3.connect(path, isolation_level=None)) as database:
            return _space_of(database)
    except (DamagedState, StateUnusable):
        return None


def _space_of(database: sqlite3.Connection) -> Space:
    row = database.execute("SELECT space, dimensions, document_template FROM meta").fetchone()
    if row is None:
        raise DamagedState("it says of no space")
    return Space(*row)


def _values(columns: Columns) -> tuple[object, ...]:
    return (
        columns.product_id,
        columns.text_hash,
        columns.category,
        columns.brand,
        columns.price_e4,
        columns.stock,
        columns.is_active,
        columns.revision,
    )
