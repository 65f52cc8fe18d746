"""What each stage of a search costs at the least, without a service around it."""

import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from benchmarks.queries import Product

# As many as a hybrid search takes from the words.
_HITS = 200
_COLUMNS = ("id", "name", "description", "category", "brand", "price", "currency", "attributes")
_TEXTS = ("name", "description", "category", "brand")


class BareTables:
    """Plain SQLite over the same products: FTS5 as it comes, and rows by their id.

    Nothing is stemmed, corrected, weighted or widened.
    """

    def __init__(self, file: Path, products: Sequence[Product]) -> None:
        self._connection = sqlite3.connect(file)
        columns = ", ".join(f"{name} TEXT" for name in _COLUMNS[1:])
        rows = [tuple(_text(product.get(name, "")) for name in _COLUMNS) for product in products]
        places = ", ".join("?" * len(_COLUMNS))
        with self._connection as connection:
            connection.execute(
                f"CREATE TABLE products (key INTEGER PRIMARY KEY, id TEXT UNIQUE, {columns})"
            )
            connection.executemany(
                f"INSERT INTO products ({', '.join(_COLUMNS)}) VALUES ({places})", rows
            )
            texts = ", ".join(_TEXTS)
            connection.execute(
                f"CREATE VIRTUAL TABLE words USING fts5({texts}, tokenize='unicode61')"
            )
            connection.execute(
                f"INSERT INTO words (rowid, {texts}) SELECT key, {texts} FROM products"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def words(self, query: str) -> list[tuple[int, float]]:
        """Return keys and BM25 of the best that hold any word of the query."""
        match = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", query))
        return self._connection.execute(
            "SELECT rowid, rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?",
            (match, _HITS),
        ).fetchall()

    def rows(self, ids: Sequence[str]) -> list[tuple[object, ...]]:
        """Return the rows of products, in any order."""
        return self._connection.execute(
            "SELECT * FROM products WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(ids),),
        ).fetchall()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
