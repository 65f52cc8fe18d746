"""What the catalog changed, by category: the measure of every cached answer.

A cached answer is valid if nothing that it touches has changed after the
revision that it reflects. The gateway learns the changes from the catalog's
feed, and invalidations that somebody asks for are changes of that feed too.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from services.common import categories

# Touched by an answer that any change at all may alter. No category has this path.
EVERYTHING = ">"

# Heads seen closer together than this are remembered as one.
HEAD_GRAIN_SECONDS = 0.02


@dataclass(frozen=True)
class CategoryChange:
    """One revision: the category before and after; None where there was no product."""

    revision: int
    category_before: str | None
    category_after: str | None
    # Any answer may depend on it: the shop's rules or synonyms changed, for example.
    changes_everything: bool = False
    # Somebody wants answers computed anew: all, or those of the category and below it.
    is_invalidation: bool = False
    # Of the product; empty where it is about none.
    product_id: str = ""


class ChangeLog:
    """Per category, the last revision that changed it or something below it.

    It knows what happened after its `floor`, the head at which following
    began, or the last change of everything. Before that anything may have
    changed last, so everything counts as changed at the floor: that is never
    wrong, and after a restart in an idle shop it still lets every cached answer
    live.
    """

    def __init__(
        self, *, stale_after_seconds: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.catalog_id = ""
        # What revisions are comparable within: the catalog's id, and which of its pasts
        # if it was set back while this gateway followed.
        self.history_id = ""
        self._set_back_id = ""
        self.head = 0
        self.is_following = False
        # Invalidations that were seen.
        self.invalidations = 0
        self._floor = 0
        # The newest revision that anything told of: a catalog without it was set back.
        self.witnessed = 0
        # Written through this gateway; the feed may not have brought it yet.
        self._expected = 0
        # Replaced whenever changes were taken in.
        self._news = asyncio.Event()
        self._last: dict[str, int] = {}
        # Like `_last`, of categories that were invalidated with all below them.
        self._invalidated: dict[str, int] = {}
        self._clock = clock
        self._stale_after_seconds = stale_after_seconds
        # (when seen, head), oldest first; the first one is past the staleness limit.
        self._heads: deque[tuple[float, int]] = deque()

    @property
    def is_current(self) -> bool:
        """Whether the feed runs and has brought all that was written through this gateway."""
        return self.is_following and self.head >= self._expected

    def expect(self, revision: int) -> None:
        """Say that a write took a revision; until the feed brings it, this is not current."""
        self._expected = max(self._expected, revision)
        self.witness(revision)

    def witness(self, revision: int) -> None:
        """Say that the catalog has come to a revision, whether the feed has brought it or not."""
        self.witnessed = max(self.witnessed, revision)

    async def reached(self, revision: int, timeout_seconds: float) -> None:
        """Return when the change of this revision is known, the time over, or nobody follows."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self.is_following and self.head < revision:
                    await self._news.wait()

    def begin(self, catalog_id: str, head: int) -> None:
        """Forget all, and know from `head` of this catalog on."""
        if catalog_id != self._set_back_id:
            self.history_id = catalog_id
        self.catalog_id, self.head, self._floor = catalog_id, head, head
        self._expected, self.witnessed = 0, head
        self._last.clear()
        self._invalidated.clear()
        self._heads.clear()
        self._heads.append((self._clock(), head))

    def lose(self, *, was_set_back: bool) -> None:
        """Say that the catalog is another one, or an older state of the same one.

        What was cached of the revisions that it has lost is not found any more.
        """
        self._set_back_id = self.catalog_id if was_set_back else ""
        self.history_id = f"{self.catalog_id}.{secrets.token_hex(4)}"
        self.catalog_id = ""

    def anticipate(self, change: CategoryChange) -> None:
        """Take in at once what this gateway has caused; the feed brings it again."""
        self._take(change)

    def apply(self, changes: Iterable[CategoryChange]) -> None:
        """Take changes in, in order of revision."""
        for change in changes:
            self._take(change)
            self.invalidations += change.is_invalidation
            self.head = max(self.head, change.revision)
        news, self._news = self._news, asyncio.Event()
        news.set()
        now = self._clock()
        seen, head = self._heads[-1]
        if self.head > head:
            if now - seen <= HEAD_GRAIN_SECONDS:
                self._heads.pop()
                now = seen
            self._heads.append((now, self.head))
        while len(self._heads) > 1 and now - self._heads[1][0] > self._stale_after_seconds:
            self._heads.popleft()

    def _take(self, change: CategoryChange) -> None:
        if change.changes_everything:
            self._last.clear()
            self._invalidated.clear()
            self._floor = max(self._floor, change.revision)
            return
        for category in {change.category_before, change.category_after} - {None}:
            if change.is_invalidation:
                self._invalidated[category or ""] = change.revision
            for path in categories.self_and_ancestors(category or ""):
                self._last[path] = max(change.revision, self._last.get(path, 0))

    def last_change(self, path: str) -> int:
        """Return the last revision that may have changed a category or something below it."""
        if path == EVERYTHING:
            return max(self.head, self._floor)
        last = max(self._floor, self._last.get(path, 0))
        if self._invalidated:
            above = categories.self_and_ancestors(path)
            last = max(last, *(self._invalidated.get(ancestor, 0) for ancestor in above))
        return last

    def is_valid(self, revision: int, touched: Iterable[str]) -> bool:
        """Tell whether an answer of `revision` still holds for the categories that it touches.

        Of a revision that is not known here nobody can say so: it may be one that
        the catalog has lost since.
        """
        return revision <= self.head and all(revision >= self.last_change(path) for path in touched)

    def is_stale(self, revision: int) -> bool:
        """Tell whether `revision` lacks a change that was seen longer ago than the limit."""
        now = self._clock()
        known = 0
        for seen, head in self._heads:
            if now - seen <= self._stale_after_seconds:
                break
            known = head
        return revision < known
