"""A look at the database before it is opened: the catalog is the truth, and begins on nothing less.

What is damaged is never served and never written to. Where only what is derived from the
products is damaged, the rest is copied into a new file; see `rescue`.
"""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from services.catalog.stores import failures, rescue, wal
from services.common.errors import StartRefused
from services.common.telemetry import get_logger

log = get_logger()

_MAX_PROBLEMS_TOLD = 5
# Larger ones are checked while they serve: it takes some seconds for each GiB.
CHECKED_BEFORE_SERVING_BYTES = 256 * 1024 * 1024
# What is beside the database takes as much; where it cannot, SQLite speaks of an I/O error.
_LEAST_FREE_BYTES = 64 * 1024


def ensure(path: Path) -> None:
    """Return once there is a sound database that can be written, new if there was none.

    StartRefused names the file, what is wrong with it and what to do. Blocks.
    """
    with _refusals(path):
        if problem := wal.problem_of(path):
            raise _damaged(path, problem, f"or delete {path.name}-shm to go on without them")
        if not path.exists():
            _create(path)
            log.info("database created", file=str(path))
            return
        if path.stat().st_size == 0:
            raise _damaged(path, "it is empty", "or delete it to begin with no products")
        damaged = _damaged_tables(path)
        if not damaged:
            _mark_of(path).unlink(missing_ok=True)
            return
        if not damaged <= rescue.DERIVED:
            names = ", ".join(sorted(damaged - rescue.DERIVED))
            raise _damaged(path, f"pages of {names} cannot be read")
        began = time.perf_counter()
        aside = rescue.rescue(path, damaged)
        log.warning(
            "database rescued",
            made_again=sorted(damaged),
            damaged_file=str(aside),
            seconds=round(time.perf_counter() - began, 2),
        )
        _mark_of(path).unlink(missing_ok=True)


def is_checked_later(path: Path) -> bool:
    """Tell whether the pages of a database are checked while it serves."""
    return path.stat().st_size > CHECKED_BEFORE_SERVING_BYTES and not _mark_of(path).exists()


def is_damaged(path: Path, database: sqlite3.Connection) -> bool:
    """Check the pages of a database that serves; mark a damaged one for the next start. Blocks.

    sqlite3.Error if it cannot be read for another reason, or was interrupted.
    """
    began = time.perf_counter()
    problems = _problems_of(database)
    milliseconds = round((time.perf_counter() - began) * 1000)
    log.info("database checked", is_sound=not problems, ms=milliseconds)
    if problems:
        _mark_of(path).touch()
        log.critical("database damaged", file=str(path), problems=problems)
    return bool(problems)


def _mark_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-damaged")


def _create(path: Path) -> None:
    """Create the file in one step, so that an empty one was certainly emptied by somebody."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    unfinished.replace(path)


def _damaged_tables(path: Path) -> frozenset[str]:
    """Return the tables with damaged pages; those that are DERIVED, if it is none of a table."""
    began = time.perf_counter()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        # Whether it can be written.
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
        problems = [] if is_checked_later(path) else _problems_of(database)
        tables = rescue.tables_of(database)
        if "catalog" not in tables:
            if tables:
                raise StartRefused(
                    f"{path} is a database of something else", reason="STORAGE_DAMAGED"
                )
            return frozenset()
        if not problems:
            damaged = rescue.unusable(database)
        else:
            log.critical("database damaged", file=str(path), problems=problems)
            damaged = frozenset(name for name in tables if _problems_of(database, name))
            # Pages that belong to no table, which a copy leaves behind.
            damaged = damaged or rescue.DERIVED
        milliseconds = round((time.perf_counter() - began) * 1000)
    log.info("database checked", is_sound=not damaged, ms=milliseconds)
    return frozenset(rescue.whole_name(name) for name in damaged)


def _problems_of(database: sqlite3.Connection, table: str = "") -> list[str]:
    """Return what is damaged, of a table or of all, in the words of SQLite."""
    asked = f'"{table}"' if table else str(_MAX_PROBLEMS_TOLD)
    try:
        found = [row[0] for row in database.execute(f"PRAGMA quick_check({asked})")]
    except sqlite3.DatabaseError as error:
        if failures.reason_of(error) != "STORAGE_DAMAGED":
            raise
        return [str(error)]
    return [] if found == ["ok"] else found


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = (error.strerror or str(error)).lower()
        raise StartRefused(f"{path}: {problem}", reason="STORAGE_FAILED") from error
    except sqlite3.Error as error:
        reason = failures.reason_of(error)
        if reason == "STORAGE_DAMAGED":
            raise _damaged(path, str(error)) from error
        if shutil.disk_usage(path.parent).free < _LEAST_FREE_BYTES:
            raise StartRefused(f"{path}: its disk is full", reason="STORAGE_FULL") from error
        raise StartRefused(f"{path}: {error}", reason=reason) from error


def _damaged(path: Path, problem: str, otherwise: str = "") -> StartRefused:
    advice = f"restore a backup, or try `sqlite3 {path.name} .recover`"
    return StartRefused(
        f"{path} is damaged: {problem}; {', '.join(filter(None, (advice, otherwise)))}",
        reason="STORAGE_DAMAGED",
    )
