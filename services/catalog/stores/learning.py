"""What active products hold, counted when a store is opened: of large catalogs while it serves."""

import asyncio
import sys
from typing import Self

from sqlalchemy import Connection

from services.catalog.holdings import Difference, Held, Holdings
from services.catalog.stores import statements
from services.catalog.stores.database import Database, driver_of
from services.common.errors import VitrinaError
from services.common.telemetry import get_logger

log = get_logger()

# So many keys are learned before a catalog serves, which takes half a second.
LEARNED_BEFORE_SERVING = 25_000
# A write waits for a page at most.
_PAGE_PRODUCTS = 500
_EVERYTHING = sys.maxsize


class Learner:
    """Counts the products of a database in the order of their keys, between the writes.

    A write counts what it changes up to the key that is learned; what is beyond is counted
    when it is read. So each product is counted once, as it is.
    """

    def __init__(self, database: Database, holdings: Holdings) -> None:
        self._database = database
        self._holdings = holdings
        holdings.is_complete = False
        self._learned_key = 0
        self._learning: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        while self._learned_key < LEARNED_BEFORE_SERVING:
            await self._learn_page()
        if not self._holdings.is_complete:
            self._learning = asyncio.create_task(self._learn())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.wait([self._learning])

    def has_learned(self, key: int) -> bool:
        """Tell whether the product of a key is counted; asked by the write at work."""
        return key <= self._learned_key

    async def _learn(self) -> None:
        try:
            while not self._holdings.is_complete:
                await self._learn_page()
        except VitrinaError as error:
            log.error("products not learned", learned_key=self._learned_key, reason=error.reason)
            return
        log.info("products learned", words=len(self._holdings.vocabulary))

    async def _learn_page(self) -> None:
        await self._database.write(self._page, self._take)

    def _page(self, connection: Connection) -> tuple[Difference, int]:
        asked = {"after_key": self._learned_key, "limit": _PAGE_PRODUCTS}
        rows = statements.HELD_AFTER_KEY.rows(driver_of(connection), **asked)
        difference = Difference()
        for row in rows:
            difference.count(Held._make(row[1:]), 1)
        return difference, rows[-1][0] if len(rows) == _PAGE_PRODUCTS else _EVERYTHING

    def _take(self, learned: tuple[Difference, int]) -> None:
        difference, self._learned_key = learned
        self._holdings.apply(difference)
        self._holdings.is_complete = self._learned_key == _EVERYTHING
