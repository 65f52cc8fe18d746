"""Popular queries in SQLite: counted in one transaction, which takes no revision."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import sqlite

from services.catalog.stores.database import Database
from services.catalog.stores.tables import popular_queries
from services.catalog.suggesting.popular import (
    PopularQueries,
    PopularQuery,
    QueryCount,
    Recording,
)

_ALL = select(popular_queries)
_INSERT = sqlite.insert(popular_queries)
_COUNT = _INSERT.on_conflict_do_update(
    index_elements=[popular_queries.c.folded],
    set_={name: value for name, value in _INSERT.excluded.items() if name != "folded"},
)
_FORGET = delete(popular_queries).where(popular_queries.c.folded == bindparam("forgotten"))


async def loaded(database: Database) -> PopularQueries:
    """Return the queries of a database."""
    popular = PopularQueries()
    rows = await database.rows(_ALL, {})
    popular.apply(Recording([PopularQuery(*row) for row in rows], forgotten=[]))
    return popular


async def record(
    database: Database, popular: PopularQueries, asked: Sequence[QueryCount], now_us: int
) -> None:
    """Count queries, in the database and then in memory."""

    def transaction(connection: Connection) -> Recording:
        recording = popular.planned(asked, now_us)
        if recording.counted:
            rows = [
                {"folded": each.folded, "query": each.query}
                | {"count": each.count, "time_us": each.time_us}
                for each in recording.counted
            ]
            connection.execute(_COUNT, rows)
        if recording.forgotten:
            gone = [{"forgotten": folded} for folded in recording.forgotten]
            connection.execute(_FORGET, gone)
        return recording

    await database.write(transaction, popular.apply)
