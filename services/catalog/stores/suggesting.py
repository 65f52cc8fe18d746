"""What suggestions need of the SQLite store while a person types."""

import json
from collections.abc import Sequence

from sqlalchemy import text

from services.catalog.stores import ProductName, ranking
from services.catalog.stores.database import Database
from services.catalog.text import Term

_HELD = text(
    """
    SELECT asked.key FROM json_each(:asked) AS asked
    WHERE EXISTS (SELECT 1 FROM words WHERE words MATCH asked.value)
    """
)
# In the order of keys, which FTS5 gives without looking at all that match.
_NAMES = text(
    """
    SELECT products.id, products.name
    FROM (SELECT rowid AS key FROM words WHERE words MATCH :match LIMIT :limit) AS found
    CROSS JOIN products USING (key)
    """
)


async def held_together(database: Database, queries: Sequence[Sequence[Term]]) -> list[bool]:
    """Tell of each query whether an active product holds all its terms."""
    asked = {"asked": json.dumps([ranking.all_of(terms) for terms in queries])}
    rows = await database.read_once(lambda reader: reader.execute(_HELD, asked).all())
    held = {position for (position,) in rows}
    return [position in held for position in range(len(queries))]


async def names_like(
    database: Database, earlier: Sequence[Term], last: Term, beginnings: Sequence[str], limit: int
) -> list[ProductName]:
    """Return some products that hold the terms, and `last` or what begins so, in name or brand."""
    # Words are letters and digits only, so quotes keep every syntax of FTS5 out.
    begun = [f'"{beginning}" *' for beginning in beginnings]
    either = " OR ".join((ranking.all_of([last]), *begun))
    wanted = " AND ".join(filter(None, (ranking.all_of(earlier), f"({either})")))
    asked = {"match": f"{{name brand}} : ({wanted})", "limit": limit}
    rows = await database.read_once(lambda reader: reader.execute(_NAMES, asked).all())
    return [ProductName(row.id, row.name) for row in rows]
