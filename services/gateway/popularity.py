"""What people search for: counted here, and told to the catalog, which suggests it to others."""

import asyncio
from collections import Counter

from services.common.errors import VitrinaError
from services.common.telemetry import get_logger
from services.gateway.answers import Answer
from services.gateway.background import Background
from services.gateway.ports import Catalog

log = get_logger()

REPORT_SECONDS = 5.0
REPORT_TIMEOUT_SECONDS = 2.0
# Bounds of one report, as the catalog has them. While it is away, what is beyond is not counted.
MAX_QUERIES = 1_000
MAX_CHARACTERS = 100


def popular_query(text: str, answer: Answer) -> str:
    """Return the query as a person may be glad to be offered it; empty if nobody would be."""
    query = answer.corrected_query or text
    # By meaning alone anything finds something.
    return query if answer.plan.lexical_candidates and len(query) <= MAX_CHARACTERS else ""


class Popularity(Background):
    """Counts queries that found something. Used inside `async with`; the end reports the rest."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._counts: Counter[str] = Counter()

    def count(self, query: str) -> None:
        """Count a query, as `popular_query` returned it."""
        if query and (query in self._counts or len(self._counts) < MAX_QUERIES):
            self._counts[query] += 1

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            await self._report()

    async def _finish(self) -> None:
        await self._report()

    async def _report(self) -> None:
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        try:
            await self._catalog.record_queries(counts, REPORT_TIMEOUT_SECONDS)
        except VitrinaError as error:
            log.debug("popular queries not told", problem=error.message)
            self._counts.update(counts)
