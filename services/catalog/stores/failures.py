"""What the errors of SQLite mean for a caller; their words are for the log alone."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from services.common.errors import Unavailable
from services.common.telemetry import get_logger

log = get_logger()

_PRIMARY_CODE = 0xFF
_REASONS = {
    sqlite3.SQLITE_FULL: "STORAGE_FULL",
    sqlite3.SQLITE_CORRUPT: "STORAGE_DAMAGED",
    sqlite3.SQLITE_NOTADB: "STORAGE_DAMAGED",
    sqlite3.SQLITE_BUSY: "STORAGE_BUSY",
    sqlite3.SQLITE_LOCKED: "STORAGE_BUSY",
}
# Reading or writing fails, as on a broken disk, beyond a quota, or where it is read-only.
_OTHER_REASON = "STORAGE_FAILED"
_MESSAGES = {
    "STORAGE_FULL": "the disk of the catalog is full; nothing was written",
    "STORAGE_DAMAGED": "the database of the catalog is damaged",
    "STORAGE_BUSY": "another program holds the database of the catalog; nothing was written",
    _OTHER_REASON: "the database of the catalog cannot be read or written",
}
_DEFECTS = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


def reason_of(error: sqlite3.Error) -> str:
    """Return the reason that an error of SQLite is told by."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if str(error).startswith("Could not decode to UTF-8"):  # said by the driver, without a code
        return "STORAGE_DAMAGED"
    return _REASONS.get(code & _PRIMARY_CODE, _OTHER_REASON)


@contextmanager
def named(on_damage: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Raise Unavailable in place of what SQLite says. A defect of a statement stays what it is.

    `on_damage` is called where it says that something is damaged.
    """
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if not isinstance(cause, sqlite3.Error) or isinstance(cause, _DEFECTS):
            raise
        reason = reason_of(cause)
        if reason == "STORAGE_DAMAGED":
            # Not the driver's words: they may quote what it read.
            problem = getattr(cause, "sqlite_errorname", "text that is not UTF-8")
            log.critical("store damaged", reason=reason, problem=problem)
            on_damage()
        else:
            # The driver's words alone: the rest of the error is SQL.
            log.error("store failed", reason=reason, problem=str(cause))
        raise Unavailable(_MESSAGES[reason], reason=reason) from error
