"""Searches by words: what FTS5 and the table of identifiers are asked."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from services.catalog.stores import TextHit, TextHits, filtering, ordering, ranking
from services.catalog.stores.database import driver_of
from services.catalog.stores.frequencies import Frequencies, counted
from services.catalog.stores.revisions import newest
from services.catalog.text import MAX_PRODUCTS_OF_IDENTIFIER, TextQuery
from services.common.filters import Node
from services.common.ordering import OrderKey

# Documents that are ranked for one expression. Of more, those that hold its words in their
# name, brand and category, or in their name, or at last the newest of these.
MAX_RANKED = 5_000
# The same of those that are put in an order, which costs less.
MAX_ORDERED = 20_000
_NARROWER = ("{{name brand category}} : ({})", "{{name}} : ({})")

# All hits as one row. The driver lets go of the interpreter before each row and takes it again
# after; beside a batch that is being written, that is a wait, and hits are hundreds.
_AS_ONE_ROW = "SELECT json_group_array(json_array(id, score)) FROM ({})"

# By rank alone: only the best are looked up in `products`. FTS5 could order by `rank` itself,
# but takes a third longer.
_BEST = """
SELECT products.id, -hits.score AS score
FROM (
    SELECT rowid AS key, {bm25} AS score FROM words
    WHERE words MATCH :match {newest} ORDER BY score LIMIT {ranked}
) AS hits
CROSS JOIN products USING (key)
{passes}
"""
# Asked for each hit in order of rank, until there are enough: most hits are never looked at.
_PASSES = "WHERE {condition} LIMIT :limit"

_FIRST = """
SELECT products.id, -{bm25} AS score
FROM words CROSS JOIN products ON products.key = words.rowid
WHERE words MATCH :match {newest} AND ({condition})
ORDER BY {order}, score DESC, products.key LIMIT :limit
"""
_NEWEST = "AND words.rowid >= :least_key"
_LEAST_OF_NEWEST = """
SELECT min(key) FROM (
    SELECT rowid AS key FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?
)
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


class Searches:
    """Searches by words, ranked by an expression for BM25."""

    def __init__(self, bm25: str) -> None:
        self._bm25 = bm25
        self._frequencies = Frequencies()

    def found(
        self,
        connection: Connection,
        query: TextQuery,
        passing: Node | None,
        order: Sequence[OrderKey],
        limit: int,
    ) -> TextHits:
        """Return the hits of a query that is not empty; see `Store.search_text`."""
        driver = driver_of(connection)
        revision = newest(connection)
        condition, values = filtering.condition(passing)
        terms = ordering.terms(order, values)
        most = MAX_ORDERED if order else MAX_RANKED
        is_cut = False

        def counts(expressions: Sequence[str]) -> list[int]:
            return self._frequencies.of(driver, expressions, revision)

        def matching(expression: str, at_most: int) -> list[TextHit]:
            nonlocal is_cut
            # One more than asked for tells whether there are more.
            parameters = {"match": expression, "limit": limit + 1, **values}
            if at_most > most and (narrower := _narrowed(driver, expression, most)):
                is_cut = True
                parameters |= narrower
            statement = self._statement(
                condition if passing else "", terms, has_least_key="least_key" in parameters
            )
            (hits,) = driver.execute(_AS_ONE_ROW.format(statement), parameters).fetchone()
            return list(map(TextHit._make, json.loads(hits)))

        named = _named(driver, query, condition, terms, values) if query.identifiers else []
        if order:
            ranked = ranking.all_or_any(query, named, counts, matching)
        else:
            ranked = ranking.ranked(query, named, counts, matching, enough=limit + 1)
        return TextHits(
            ranked.hits[:limit],
            revision,
            exact_identifiers=min(ranked.exact_identifiers, limit),
            holds_all=ranked.holds_all,
            is_complete=len(ranked.hits) <= limit and not is_cut,
        )

    def _statement(self, condition: str, order: Sequence[str], *, has_least_key: bool) -> str:
        parts = {"bm25": self._bm25, "newest": _NEWEST if has_least_key else ""}
        if order:
            return _FIRST.format(condition=condition or "1", order=", ".join(order), **parts)
        if condition:
            passes = _PASSES.format(condition=condition)
            return _BEST.format(ranked="-1", passes=passes, **parts)
        return _BEST.format(ranked=":limit", passes="", **parts)


def _narrowed(driver: Any, expression: str, most: int) -> dict[str, object]:
    """Return what to match instead if an expression matches more; nothing if it does not."""
    if counted(driver, expression, most + 1) <= most:
        return {}
    for narrower in _NARROWER:
        narrow = narrower.format(expression)
        if 0 < (count := counted(driver, narrow, most + 1)) <= most:
            return {"match": narrow}
        if not count:
            break
        expression = narrow
    (least_key,) = driver.execute(_LEAST_OF_NEWEST, (expression, most)).fetchone()
    return {"match": expression, "least_key": least_key}


def _named(
    driver: Any,
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
    return [product_id for (product_id,) in driver.execute(statement, parameters)]
