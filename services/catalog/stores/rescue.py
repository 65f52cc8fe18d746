"""A sound copy of a database in which only what is derived is damaged."""

import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from services.common.errors import StartRefused

# Made again from the products, or of no weight: queries are counted again.
_WORDS = "words"
_QUERIES = "popular_queries"
DERIVED = frozenset({_WORDS, "identifiers", _QUERIES})

_IS_WHOLE = """
SELECT count(*) = 1
    AND max(product_count) = (SELECT count(*) FROM products)
    AND max(revision) = (SELECT coalesce(max(revision), 0) FROM changes)
FROM catalog
"""


def whole_name(table: str) -> str:
    """Return the table that another one is a part of: FTS5 keeps its own in several."""
    return _WORDS if table.startswith(f"{_WORDS}_") else table


def tables_of(database: sqlite3.Connection) -> frozenset[str]:
    """Return the names of all tables."""
    found = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return frozenset(name for (name,) in found)


def unusable(database: sqlite3.Connection) -> frozenset[str]:
    """Return the words, if FTS5 cannot even open what it stored; pages tell nothing of that."""
    try:
        database.execute("SELECT rowid FROM words WHERE words MATCH 'a' LIMIT 1").fetchall()
    except sqlite3.DatabaseError:
        return frozenset({_WORDS})
    return frozenset()


def rescue(path: Path, damaged: Iterable[str]) -> Path:
    """Put a copy without the damaged tables in place of a database; return where that is then.

    They are there, but empty, and the words are due to be indexed. The damaged file is only
    read: to drop a damaged table could give pages of others away. StartRefused if the copy
    does not hold all that the catalog should.
    """
    copy = path.with_name(f"{path.name}.rescued")
    _remove(copy)
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as database:
            _fill(database, path, frozenset(damaged) | (DERIVED - {_QUERIES}))
    except BaseException:
        _remove(copy)
        raise
    return _exchange(path, copy)


def _fill(database: sqlite3.Connection, source: Path, left_out: frozenset[str]) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("ATTACH ? AS source", (str(source),))
    # Tables come before the indexes on them.
    schema = database.execute(
        "SELECT type, name, sql FROM source.sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
    ).fetchall()
    database.execute("BEGIN")
    for kind, name, sql in schema:
        if whole_name(name) != name:  # FTS5 makes it
            continue
        database.execute(sql)
        if kind == "table" and name not in left_out:
            database.execute(
                f'INSERT INTO main."{name}" SELECT * FROM source."{name}" NOT INDEXED'  # noqa: S608 - of the schema
            )
    # No rules have this name, so the store indexes all words.
    database.execute("UPDATE main.catalog SET text_rules = ''")
    if database.execute(_IS_WHOLE).fetchone() != (1,):
        raise StartRefused(
            f"{source} is damaged: products or changes are missing; restore a backup",
            reason="STORAGE_DAMAGED",
        )
    database.execute("COMMIT")
    database.execute("DETACH source")


def _exchange(path: Path, copy: Path) -> Path:
    aside = path.with_name(f"damaged-{path.name}")
    _remove(aside)
    # The last connection leaves no log behind; if it did, it must not meet the copy.
    for end in ("-wal", "-shm"):
        beside = path.with_name(path.name + end)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + end))
    try:
        os.link(path, aside)
    except OSError:  # a file system without links
        shutil.copyfile(path, aside)
    copy.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return aside


def _remove(database: Path) -> None:
    for end in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            database.with_name(database.name + end).unlink()
