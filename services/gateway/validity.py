"""What the catalog changed, by category: the measure of every cached answer.

A cached answer is valid if nothing that it touches has changed after the
revision that it reflects. The gateway learns the changes from the catalog's
feed; nobody sends invalidations.
"""

import asyncio
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
    # The shop's rules or synonyms changed, which any answer may depend on.
    changes_everything: bool = False


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
        self.head = 0
        self.is_following = False
        self._floor = 0
        # Replaced whenever changes were taken in.
        self._news = asyncio.Event()
        self._last: dict[str, int] = {}
        self._clock = clock
        self._stale_after_seconds = stale_after_seconds
        # (when seen, head), oldest first; the first one is past the staleness limit.
        self._heads: deque[tuple[float, int]] = deque()

    async def reached(self, revision: int, timeout_seconds: float) -> None:
        """Return when the change of this revision is known, the time over, or nobody follows."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self.is_following and self.head < revision:
                    await self._news.wait()

    def begin(self, catalog_id: str, head: int) -> None:
        """Forget all, and know from `head` of this catalog on."""
        self.catalog_id, self.head, self._floor = catalog_id, head, head
        self._last.clear()
        self._heads.clear()
        self._heads.append((self._clock(), head))

    def apply(self, changes: Iterable[CategoryChange]) -> None:
        """Take changes in, in order of revision."""
        for change in changes:
            for category in {change.category_before, change.category_after} - {None}:
                for path in categories.self_and_ancestors(category or ""):
                    self._last[path] = change.revision
            if change.changes_everything:
                self._last.clear()
                self._floor = change.revision
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

    def is_valid(self, revision: int, touched: Iterable[str]) -> bool:
        """Tell whether an answer of `revision` still holds for the categories that it touches."""
        return all(
            revision >= (self.head if path == EVERYTHING else self._last.get(path, self._floor))
            for path in touched
        )

    def is_stale(self, revision: int) -> bool:
        """Tell whether `revision` lacks a change that was seen longer ago than the limit."""
        now = self._clock()
        known = 0
        for seen, head in self._heads:
            if now - seen <= self._stale_after_seconds:
                break
            known = head
        return revision < known
