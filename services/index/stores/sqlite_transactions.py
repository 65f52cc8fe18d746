"""Transactions, and what their errors mean."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from services.index.stores.protocol import DamagedState, StateUnusable


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Make writes one: all of them are committed, or none. Errors are those of `reading`."""
    with reading():
        database.execute("BEGIN IMMEDIATE")
        try:
            yield
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise


@contextmanager
def reading() -> Iterator[None]:
    """Tell damage from what passes by, as a full disk or a lock does."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # Said by the driver without a code: it read what is no text.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT):  # or no such table or column
            raise DamagedState(str(error)) from error
        raise StateUnusable(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise DamagedState(str(error)) from error
