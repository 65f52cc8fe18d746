"""The first tier: this process's memory, bounded in bytes, the least recently used go first."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from cachetools import TLRUCache

from services.gateway.entries import Entry

# Of an entry beside its body: objects, key, slots of the cache. Measured with tracemalloc.
OVERHEAD_BYTES = 800


class _Kept(NamedTuple):
    entry: Entry
    # By the clock that does not jump.
    is_due_at: float


class MemoryStore:
    """Entries until they expire; a hit does not extend that.

    Once here, an entry ages by `clock`, which never jumps, so that it cannot
    outlive its time when `wall_clock` is set back.
    """

    def __init__(
        self,
        limit_bytes: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._entries: TLRUCache[str, _Kept] = TLRUCache(
            maxsize=limit_bytes,
            ttu=lambda _key, kept, _now: kept.is_due_at + kept.entry.grace_seconds,
            timer=clock,
            getsizeof=lambda kept: len(kept.entry.body) + OVERHEAD_BYTES,
        )

    def get(self, key: str) -> Entry | None:
        """Return the entry, unless it is gone or expired."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        is_overdue = self._clock() >= kept.is_due_at
        if is_overdue is kept.entry.is_overdue:
            return kept.entry
        return replace(kept.entry, is_overdue=is_overdue)

    def put(self, key: str, entry: Entry) -> None:
        """Keep the entry. One that is larger than the whole tier is not kept."""
        left_seconds = entry.lifetime_left_seconds(self._wall_clock())
        kept = _Kept(entry, self._clock() + left_seconds)
        try:
            self._entries[key] = kept
        except ValueError:
            self.discard(key)

    def discard(self, key: str) -> None:
        """Forget the entry if it is there."""
        self._entries.pop(key, None)

    @property
    def entry_count(self) -> int:
        """Entries that are kept, expired ones among them until they are found."""
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Bytes that count against the limit."""
        return int(self._entries.currsize)

    @property
    def limit_bytes(self) -> int:
        """The bound."""
        return int(self._entries.maxsize)
