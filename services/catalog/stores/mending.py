"""Damaged words are indexed again while the catalog serves."""

import asyncio
import time
from typing import Self

from services.catalog.stores import wording
from services.catalog.stores.database import Database
from services.catalog.text import Rules
from services.common.errors import VitrinaError
from services.common.telemetry import get_logger

log = get_logger()


class WordsMender:
    """Makes the words again if it is them that are damaged; what needs them fails until then.

    Where it is something else it gives up: the next start mends or names that.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._database: Database | None = None
        self._mending: asyncio.Task[None] | None = None
        self._has_given_up = False

    def of(self, database: Database) -> Self:
        """Work on a database; it is open while the mender is."""
        self._database = database
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._database = None
        if self._mending is not None:
            self._mending.cancel()
            await asyncio.wait([self._mending])

    def look(self) -> None:
        """Look for the damage, unless that is under way or of no use."""
        is_at_work = self._mending is not None and not self._mending.done()
        if self._database is not None and not is_at_work and not self._has_given_up:
            self._mending = asyncio.create_task(self._mend(self._database))

    async def _mend(self, database: Database) -> None:
        began = time.perf_counter()
        try:
            if await database.write(lambda connection: wording.made_again(connection, self._rules)):
                seconds = round(time.perf_counter() - began, 2)
                log.warning("damaged words made again", seconds=seconds)
                return
            problem = "the words are sound"
        except VitrinaError as error:
            if error.reason != "STORAGE_DAMAGED":  # it may work the next time
                return
            problem = error.message
        self._has_given_up = True
        log.critical("damage cannot be mended while serving, start again", problem=problem)
