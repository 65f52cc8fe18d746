"""The change feed: history first, then each change as soon as it is committed."""

import asyncio
from collections.abc import AsyncIterator

from services.catalog.stores import ChangePage, Store
from services.common import deadlines
from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    Unavailable,
)

# How long a reader without a deadline waits for a revision.
MAX_WAIT_SECONDS = 5.0


class ChangeFeed:
    """Wakes those who wait for a revision. Belongs to one event loop."""

    def __init__(self) -> None:
        self._head_revision = 0
        self._is_draining = False
        self._news = asyncio.Event()

    @property
    def head_revision(self) -> int:
        """The newest revision that is committed, and known to all that is held in memory."""
        return self._head_revision

    def announce(self, head_revision: int) -> None:
        """Say that a revision is committed."""
        if head_revision > self._head_revision:
            self._head_revision = head_revision
            self._wake()

    def drain(self) -> None:
        """End every watch, now and from now on, with Unavailable."""
        self._is_draining = True
        self._wake()

    def _wake(self) -> None:
        # Everybody who waits holds the old event, so none can miss it and none wakes twice.
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def wait_beyond(self, revision: int) -> None:
        """Return when a newer revision is committed; Unavailable when the feed drains."""
        while True:
            if self._is_draining:
                raise Unavailable("the catalog drains; go on with the last revision seen")
            if self._head_revision > revision:
                return
            await self._news.wait()

    async def reach(self, min_revision: int) -> None:
        """Return when a revision is committed, at most until the caller's deadline.

        Errors: InvalidArgument (min_revision), DeadlineExceeded (REVISION_NOT_REACHED)
        with the newest revision, Unavailable when the feed drains meanwhile.
        """
        if min_revision < 0:
            raise InvalidArgument("min_revision", f"{min_revision}, must be zero or more")
        if self._head_revision >= min_revision:
            return
        try:
            async with asyncio.timeout(deadlines.waiting_seconds(MAX_WAIT_SECONDS)):
                await self.wait_beyond(min_revision - 1)
        except TimeoutError:
            raise DeadlineExceeded(
                f"min_revision: {min_revision} is not there yet, only {self._head_revision}",
                reason="REVISION_NOT_REACHED",
                metadata={"revision": str(self._head_revision)},
            ) from None


async def watch(
    store: Store, feed: ChangeFeed, after_revision: int, *, with_products: bool
) -> AsyncIterator[ChangePage]:
    """Yield every change after a revision, in order, each once, without end.

    The first page comes at once, even if it is empty. Errors: InvalidArgument,
    FailedPrecondition (REVISION_UNKNOWN) for a revision that is not there yet,
    Unavailable when the feed drains.
    """
    if after_revision < 0:
        raise InvalidArgument("after_revision", f"{after_revision}, must be zero or more")
    page = await store.changes_after(after_revision, with_products=with_products)
    if after_revision > page.head_revision:
        raise FailedPrecondition(
            f"after_revision: {after_revision} is newer than this catalog's "
            f"{page.head_revision}; begin again with 0",
            reason="REVISION_UNKNOWN",
        )
    yield page
    cursor = after_revision
    while True:
        if page.changes:
            cursor = page.changes[-1].revision
        await feed.wait_beyond(cursor)
        page = await store.changes_after(cursor, with_products=with_products)
        if page.changes:
            yield page
