"""Searches by words: what FTS5 and the table of identifiers are asked."""

import json
from collections.abc import Sequence

from sqlalchemy import Connection

from services.catalog.stores import TextHit, TextHits, filtering, ordering, ranking
from services.catalog.stores.revisions import newest
from services.catalog.text import MAX_PRODUCTS_OF_IDENTIFIER, TextQuery
from services.common.filters import Node
from services.common.ordering import OrderKey

# By rank alone: only the best are looked up in `products`.
_BEST = """
SELECT products.id, -hits.rank AS score
FROM (
    SELECT rowid AS key, rank FROM words
    WHERE words MATCH :match AND rank MATCH :weights {passes}
    ORDER BY rank LIMIT :limit
) AS hits
JOIN products USING (key)
ORDER BY hits.rank
"""
# Asked for each hit in order of rank, until there are enough: most hits are never looked at.
_PASSES = "AND EXISTS (SELECT 1 FROM products WHERE products.key = words.rowid AND ({condition}))"

_FIRST = """
SELECT products.id, -words.rank AS score
FROM words CROSS JOIN products ON products.key = words.rowid
WHERE words MATCH :match AND words.rank MATCH :weights AND ({condition})
ORDER BY {order}, words.rank, products.key LIMIT :limit
"""

# An identifier that :common products have, or more, is none.
_NAMED = """
SELECT products.id
FROM (
    SELECT value AS identifier FROM json_each(:identifiers) AS asked
    WHERE (
        SELECT count(*) FROM (
            SELECT 1 FROM identifiers WHERE identifier = asked.value LIMIT :common
        )
    ) < :common
    LIMIT -1
) AS asked
CROSS JOIN identifiers USING (identifier)
CROSS JOIN products ON products.key = identifiers.product_key
WHERE ({condition}) {holds_phrases}
GROUP BY products.key
ORDER BY {order}
"""
_HOLDS_PHRASES = "AND products.key IN (SELECT rowid FROM words WHERE words MATCH :phrases)"


def found(
    connection: Connection,
    query: TextQuery,
    passing: Node | None,
    order: Sequence[OrderKey],
    limit: int,
    bm25: str,
) -> TextHits:
    """Return the hits of a query that is not empty; see `Store.search_text`."""
    condition, values = filtering.condition(passing)
    terms = ordering.terms(order, values)
    if order:
        statement = _FIRST.format(condition=condition, order=", ".join(terms))
    else:
        passes = "" if passing is None else _PASSES.format(condition=condition)
        statement = _BEST.format(passes=passes)

    def matching(expression: str) -> list[TextHit]:
        # One more than asked for tells whether there are more.
        parameters = {"match": expression, "weights": bm25, "limit": limit + 1, **values}
        rows = connection.exec_driver_sql(statement, parameters).all()
        return list(map(TextHit._make, rows))

    named = _named(connection, query, condition, terms, values) if query.identifiers else []
    if order:
        ranked = ranking.all_or_any(query, named, matching)
    else:
        ranked = ranking.ranked(query, named, matching, enough=limit + 1)
    return TextHits(
        ranked.hits[:limit],
        newest(connection),
        exact_identifiers=min(ranked.exact_identifiers, limit),
        holds_all=ranked.holds_all,
        is_complete=len(ranked.hits) <= limit,
    )


def _named(
    connection: Connection,
    query: TextQuery,
    condition: str,
    terms: Sequence[str],
    values: dict[str, object],
) -> list[str]:
    """Return the ids of the products that an identifier of the query names."""
    statement = _NAMED.format(
        condition=condition,
        holds_phrases=_HOLDS_PHRASES if query.phrase_forms else "",
        order=", ".join((*terms, "products.id")),
    )
    parameters = {
        "identifiers": json.dumps(query.identifiers),
        "common": MAX_PRODUCTS_OF_IDENTIFIER + 1,
        "phrases": ranking.all_phrases(query),
        **values,
    }
    return list(connection.exec_driver_sql(statement, parameters).scalars())
