"""The first tier: this process's memory, bounded in bytes, the least recently used go first."""

import time
from collections.abc import Callable

from cachetools import TLRUCache

from services.gateway.entries import Entry

# Of an entry beside its body: objects, key, slots of the cache. Measured with tracemalloc.
OVERHEAD_BYTES = 800


class MemoryStore:
    """Entries until their absolute expiry; a hit does not extend it."""

    def __init__(self, limit_bytes: int, *, clock: Callable[[], float] = time.time) -> None:
        self._entries: TLRUCache[str, Entry] = TLRUCache(
            maxsize=limit_bytes,
            ttu=lambda _key, entry, _now: entry.expires_at,
            timer=clock,
            getsizeof=lambda entry: len(entry.body) + OVERHEAD_BYTES,
        )

    def get(self, key: str) -> Entry | None:
        """Return the entry, unless it is gone or expired."""
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        """Keep the entry. One that is larger than the whole tier is not kept."""
        try:
            self._entries[key] = entry
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
