"""`python -m benchmarks.catalog_writes CATALOG`: batches over gRPC, beside SQLite alone.

Alone it writes the very rows that the catalog made of the products, its words among them, into
the same tables: one transaction a batch, each flushed to the disk. What it does not do is read
what was there, parse, fold words, and answer.
"""

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc.aio
from google.protobuf import json_format
from rich.console import Console
from rich.table import Table

from benchmarks.processes import running_service
from benchmarks.queries import read_products
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc

BATCH = 500
IN_FLIGHT = 2

# What belongs to a batch of products is found by their keys.
_ROWS = {
    "products": "SELECT * FROM products WHERE key > ? AND key <= ?",
    "words": "SELECT rowid, * FROM words WHERE rowid > ? AND rowid <= ?",
    "identifiers": "SELECT * FROM identifiers WHERE product_key > ? AND product_key <= ?",
    "changes": "SELECT * FROM changes WHERE revision > ? AND revision <= ?",
}
_COLUMNS_OF_WORDS = "words (rowid, name, brand, category, description, attributes)"

Rows = list[tuple[Any, ...]]


async def written(address: str, batches: Sequence[catalog_pb2.BatchUpsertProductsRequest]) -> float:
    """Return the seconds until all batches are stored, some of them in flight at once."""
    left = iter(batches)
    async with grpc.aio.insecure_channel(address) as channel:
        catalog: catalog_pb2_grpc.CatalogServiceAsyncStub
        catalog = catalog_pb2_grpc.CatalogServiceStub(channel)

        async def write() -> None:
            for batch in left:
                answer = await catalog.BatchUpsertProducts(batch)
                if any(result.HasField("error") for result in answer.results):
                    raise RuntimeError("a product was refused")

        began = time.perf_counter()
        await asyncio.gather(*(write() for _ in range(IN_FLIGHT)))
        return time.perf_counter() - began


def written_bare(made: Path, file: Path) -> float:
    """Return the seconds in which SQLite alone writes what is in a database into a new one."""
    with closing(sqlite3.connect(made)) as source:
        schema = source.execute(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'words\\_%' "
            "ESCAPE '\\' ORDER BY rowid"
        ).fetchall()
        state = source.execute("SELECT * FROM catalog").fetchone()
        (last,) = source.execute("SELECT max(key) FROM products").fetchone()
        batches = [
            {
                table: source.execute(sql, (first, first + BATCH)).fetchall()
                for table, sql in _ROWS.items()
            }
            for first in range(0, last, BATCH)
        ]
    with closing(sqlite3.connect(file, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode = WAL")
        target.execute("PRAGMA synchronous = FULL")
        target.execute("PRAGMA cache_size = -32000")
        for (sql,) in schema:
            target.execute(sql)
        _insert(target, "catalog", [state])
        began = time.perf_counter()
        for batch in batches:
            target.execute("BEGIN IMMEDIATE")
            for table, rows in batch.items():
                _insert(target, _COLUMNS_OF_WORDS if table == "words" else table, rows)
            target.execute("UPDATE catalog SET revision = revision + ?", (len(batch["changes"]),))
            target.execute("COMMIT")
        return time.perf_counter() - began


def _insert(database: sqlite3.Connection, table: str, rows: Rows) -> None:
    places = ", ".join("?" * len(rows[0])) if rows else ""
    database.executemany(f"INSERT INTO {table} VALUES ({places})", rows)


def main() -> None:
    """Write a catalog in both ways, and print the ratio."""
    parser = argparse.ArgumentParser(description="Measure how fast products are stored.")
    parser.add_argument("catalog", type=Path, help="JSONL, .gz or not")
    parser.add_argument("--limit", type=int, default=10**9, help="products at most")
    options = parser.parse_args()
    products = [
        json_format.ParseDict(product | _price_of(product), catalog_pb2.Product())
        for product in read_products(options.catalog, options.limit)
    ]
    batches = [
        catalog_pb2.BatchUpsertProductsRequest(products=products[first : first + BATCH])
        for first in range(0, len(products), BATCH)
    ]
    with tempfile.TemporaryDirectory(prefix="vitrina-bench-") as name:
        folder = Path(name)
        settings = {"VITRINA_DATA_DIR": str(folder)}
        with running_service("catalog", settings) as (address, _):
            seconds = asyncio.run(written(address, batches))
        bare = written_bare(folder / "catalog" / "catalog.db", folder / "bare.db")
    shown = Table(title=f"{len(products):,} products in batches of {BATCH}", title_justify="left")
    for number, column in enumerate(("", "products/s", "ratio")):
        shown.add_column(column, justify="right" if number else "left")
    shown.add_row("SQLite alone, the same rows", f"{len(products) / bare:,.0f}", "1.00")
    shown.add_row(
        f"catalog over gRPC, {IN_FLIGHT} batches in flight",
        f"{len(products) / seconds:,.0f}",
        f"{bare / seconds:.2f}",
    )
    Console(width=100).print(shown)


def _price_of(product: dict[str, Any]) -> dict[str, str]:
    """Return the price as the contract has it; it may be a number in the file."""
    return {"price": f"{product['price']}"} if product.get("price") is not None else {}


if __name__ == "__main__":
    main()
