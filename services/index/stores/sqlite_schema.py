"""The tables of a collection's state, and how those of an earlier format become them."""

import sqlite3

FORMAT = 2
_FORMAT_WITHOUT_ATTRIBUTES = 1

# Vectors and attributes are apart, so that reading the columns at start does
# not read them, and a change of price writes neither.
_META = """CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    space TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    document_template TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    catalog_id TEXT NOT NULL,
    applied_revision INTEGER NOT NULL,
    has_been_ready INTEGER NOT NULL
) STRICT"""
_ROWS = """CREATE TABLE rows (
    vector_id INTEGER PRIMARY KEY AUTOINCREMENT,
    product_id TEXT NOT NULL UNIQUE,
    text_hash BLOB NOT NULL,
    category TEXT NOT NULL,
    brand TEXT NOT NULL,
    price_e4 INTEGER,
    stock INTEGER,
    is_active INTEGER NOT NULL,
    revision INTEGER NOT NULL
) STRICT"""
_VECTORS = """CREATE TABLE vectors (
    vector_id INTEGER PRIMARY KEY,
    vector BLOB NOT NULL
) STRICT"""
# By name, in canonical JSON.
_ATTRIBUTES = """CREATE TABLE attributes (
    vector_id INTEGER PRIMARY KEY,
    json TEXT NOT NULL
) STRICT"""
# Every name that a product has had, so that one that is misspelt costs no scan.
_ATTRIBUTE_NAMES = """CREATE TABLE attribute_names (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID"""


def create(database: sqlite3.Connection) -> None:
    """Create the tables of the newest format, within a transaction."""
    for statement in (_META, _ROWS, _VECTORS, _ATTRIBUTES, _ATTRIBUTE_NAMES):
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {FORMAT}")


def upgrade(database: sqlite3.Connection, found: int) -> bool:
    """Bring an earlier format to the newest one, within a transaction; False if it is unknown.

    Vectors are kept. What is new is in the catalog only, so its feed is to be read
    from the start: every text is then found unchanged. Until that is done, filters
    could not be right, so the collection counts as never having been ready.
    """
    if found != _FORMAT_WITHOUT_ATTRIBUTES:
        return False
    database.execute(_ATTRIBUTES)
    database.execute(_ATTRIBUTE_NAMES)
    database.execute("UPDATE meta SET applied_revision = 0, has_been_ready = 0")
    database.execute(f"PRAGMA user_version = {FORMAT}")
    return True
