"""What only the SQLite store promises: its tables, its pragmas, its limits."""

import asyncio
import os
import sqlite3
from pathlib import Path

import psutil
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy import text as sql

from services.catalog.stores import TextHit, database
from services.catalog.stores.sqlite import SqliteStore
from services.catalog.stores.tables import metadata
from services.catalog.text import Language, Rules, parsed
from services.common.errors import Overloaded, Unavailable
from tests.catalog_support import open_store, product


async def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    differences: list[object] = []

    def compare(connection: Connection) -> None:
        made = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        context = MigrationContext.configure(connection, opts=made)
        differences.extend(compare_metadata(context, metadata))

    async with open_store(tmp_path):
        pass
    async with database.Database(tmp_path / "catalog.db", readers=1) as opened:
        await opened.write(compare)
    assert differences == []


async def test_each_catalog_has_a_name_of_its_own(tmp_path: Path) -> None:
    ids = set()
    for folder in (tmp_path / "one", tmp_path / "deeply" / "other %20?"):
        async with open_store(folder) as store:
            ids.add((await store.state()).catalog_id)
    assert len(ids) == 2


async def hits(store: SqliteStore, query: str, rules: Rules) -> list[TextHit]:
    return (await store.search_text(parsed(query, rules), None, 1_000)).hits


async def count_named(store: SqliteStore, query: str, rules: Rules) -> int:
    return (await store.search_text(parsed(query, rules), None, 1_000)).exact_identifiers


async def test_words_are_indexed_anew_when_the_rules_change(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert(
            [product(f"p{i}", name=f"Silla TN{i}000") for i in range(1, 502)]
            + [product("hidden", name="Silla", active=False)],
            0,
        )
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute("UPDATE words SET name = 'antiguo'")
        connection.execute("UPDATE identifiers SET identifier = 'antiguo' || identifier")
    connection.close()
    async with open_store(tmp_path) as store:
        assert len(await hits(store, "antiguo", Rules())) == 501
    spanish = Rules(Language.SPANISH)
    async with open_store(tmp_path, text_rules=spanish) as store:
        assert await hits(store, "antiguo", spanish) == []
        assert len(await hits(store, "sillita", spanish)) == 0
        assert len(await hits(store, "silla", spanish)) == 501
        assert await count_named(store, "TN-7000", spanish) == 1


async def test_a_catalog_of_the_first_tables_is_brought_to_the_newest(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert([product("a", name="Toner TN-2110")], 0)
        state = await store.state()
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.executescript(
            "DROP TABLE identifiers; UPDATE catalog SET text_rules = 1;"
            "ALTER TABLE products DROP COLUMN language;"
            "DROP TABLE tuning; DROP TABLE tuning_changes; DROP TABLE popular_queries;"
            "UPDATE alembic_version SET version_num = '0001'"
        )
    connection.close()
    async with open_store(tmp_path) as store:
        assert await store.state() == state
        assert await count_named(store, "tn2110", Rules()) == 1


async def test_a_commit_is_flushed_and_readers_cannot_write(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        for pragma, value in {"journal_mode": "wal", "foreign_keys": 1, "query_only": 1}.items():
            assert (await store._database.rows(sql(f"PRAGMA {pragma}"), {}))[0][0] == value
        with store.database._writer.connect() as writer:
            assert writer.execute(sql("PRAGMA synchronous")).scalar_one() == 2
        with pytest.raises(Unavailable) as refused:
            await store._database.rows(sql("DELETE FROM products"), {})
        assert "products" not in refused.value.message


async def test_a_store_that_fails_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert([product("a")], 0)
        with sqlite3.connect(tmp_path / "catalog.db") as other:
            other.execute("ALTER TABLE changes RENAME TO hidden")
        with pytest.raises(Unavailable):
            await store.upsert([product("b")], 0)
        with sqlite3.connect(tmp_path / "catalog.db") as other:
            other.execute("ALTER TABLE hidden RENAME TO changes")
        other.close()
        done = await store.upsert([product("b")], 0)
        assert done.revision == 2
        assert (await store.state()).product_count == 2


async def test_too_many_waiting_writes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MAX_WAITING_WRITES", 5)
    async with open_store(tmp_path) as store:
        writes = [asyncio.ensure_future(store.upsert([product(f"p{i}")], 0)) for i in range(10)]
        results = await asyncio.gather(*writes, return_exceptions=True)
        refused = [result for result in results if isinstance(result, Overloaded)]
        assert 1 <= len(refused) <= 5
        assert (await store.state()).revision == len(results) - len(refused)


async def test_a_revision_is_announced_once_others_can_read_it(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def announced(revision: int) -> None:
        other = sqlite3.connect(tmp_path / "catalog.db")
        seen.append((revision, other.execute("SELECT revision FROM catalog").fetchone()[0]))
        other.close()

    async with open_store(tmp_path, announced) as store:
        await store.upsert([product("a"), product("b")], 0)
        await store.delete("a")
    assert seen == [(0, 0), (2, 2), (3, 3)]


async def test_closing_waits_for_the_write_at_work_and_leaves_no_file_open(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.__aenter__()
    writing = asyncio.ensure_future(store.upsert([product(f"p{i}") for i in range(300)], 0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writing.cancel()
    await store.__aexit__(None, None, None)
    assert not [file.path for file in psutil.Process().open_files() if str(tmp_path) in file.path]
    # The last connection to close leaves all in the one file.
    assert [name for name in os.listdir(tmp_path) if name != "catalog.db"] == []  # noqa: PTH208
