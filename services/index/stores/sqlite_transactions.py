"""Transactions, and what their errors mean."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from services.index.stores.protocol import DamagedState


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Make writes one: all of them are committed, or none."""
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
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # no such table or column
            raise DamagedState(str(error)) from error
        raise
    except sqlite3.DatabaseError as error:
        raise DamagedState(str(error)) from error
