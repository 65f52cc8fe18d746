"""The cache of answers and query vectors: memory before Redis, both right or silent.

Keys carry the format's version, the catalog and the space, so that nothing of
another catalog, model or release can be found. An answer found is used only if
the change log says that it still holds.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.common.filters import Column
from services.gateway.answers import Answer, Provenance
from services.gateway.entries import Entry
from services.gateway.pages import SET_SECONDS, PageToken, ResultSet
from services.gateway.queries import Query
from services.gateway.stores.memory import MemoryStore
from services.gateway.validity import EVERYTHING, ChangeLog

KEY_VERSION = 3


class SharedStore(Protocol):
    """A tier that several gateways share. Never raises; what it cannot do it leaves."""

    is_up: bool

    async def get(self, key: str) -> Entry | None:
        """Return the entry if it is there and can be had at once."""

    def put(self, key: str, entry: Entry) -> None:
        """Store the entry in the background."""


class Codec(Protocol):
    """Answers to bytes and back."""

    def encode(self, answer: Answer) -> bytes:
        """Return the bytes."""

    def decode(self, body: bytes) -> Answer:
        """Return the answer; raise ValueError for bytes that are none."""

    def encode_set(self, kept: ResultSet) -> bytes:
        """Return the bytes of a whole result."""

    def decode_set(self, body: bytes) -> ResultSet:
        """Return the result; raise ValueError for bytes that are none."""


@dataclass(frozen=True)
class Lifetimes:
    """Seconds that entries live at most."""

    answer: float
    unbounded_answer: float
    vector: float


@dataclass
class CacheCounts:
    """Since the process began."""

    memory_hits: int = 0
    redis_hits: int = 0
    shared_hits: int = 0
    misses: int = 0
    invalid_entries: int = 0


class AnswerCache:
    """Two tiers, one truth."""

    def __init__(
        self,
        memory: MemoryStore,
        shared: SharedStore | None,
        changes: ChangeLog,
        codec: Codec,
        lifetimes: Lifetimes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.memory = memory
        self.shared = shared
        self.counts = CacheCounts()
        self._changes = changes
        self._codec = codec
        self._lifetimes = lifetimes
        self._clock = clock

    @property
    def is_down(self) -> bool:
        """Whether a shared tier is configured and does not answer."""
        return self.shared is not None and not self.shared.is_up

    def answer_key(self, query: Query, space: str) -> str | None:
        """Return the key; None while the catalog is not known, when nothing can be valid."""
        if not self._changes.catalog_id:
            return None
        facets = [spec.text for spec in query.facets]
        parts = [query.digest.hex(), query.page_size, *facets, space]
        return f"answer:{KEY_VERSION}:{self._changes.catalog_id}:{_digest(parts)}"

    async def find_answer(self, key: str, min_revision: int) -> tuple[Answer, Provenance] | None:
        """Return an answer that holds and reflects `min_revision`, and the tier it came from."""
        entry = self.memory.get(key)
        if entry is not None and self._holds(entry, min_revision):
            self.counts.memory_hits += 1
            return self._codec.decode(entry.body), Provenance.MEMORY
        entry = await self.shared.get(key) if self.shared else None
        if entry is not None and self._holds(entry, min_revision):
            try:
                answer = self._codec.decode(entry.body)
            except ValueError:  # foreign bytes under our key
                answer = None
            if answer is not None:
                self.memory.put(key, entry)
                self.counts.redis_hits += 1
                return answer, Provenance.REDIS
        self.counts.misses += 1
        return None

    def _holds(self, entry: Entry, min_revision: int) -> bool:
        if entry.revision < min_revision or not self._changes.is_valid(
            entry.revision, entry.touched
        ):
            self.counts.invalid_entries += 1
            return False
        return True

    def keep_answer(self, key: str, query: Query, answer: Answer) -> None:
        """Keep a sound answer in both tiers. A degraded one is not kept: its cause may pass."""
        if answer.degraded:
            return
        # Facets may count what lies outside of the category.
        is_wider = any(
            spec.ignores_own_filter and spec.field.column is Column.CATEGORY
            for spec in query.facets
        )
        if query.filter.category and not is_wider:
            touched, ttl = frozenset({query.filter.category}), self._lifetimes.answer
        else:
            touched = answer.categories or frozenset({EVERYTHING})
            ttl = min(self._lifetimes.answer, self._lifetimes.unbounded_answer)
        if self._changes.is_valid(answer.revision, touched):
            body = self._codec.encode(answer)
            self._put(key, Entry(body, answer.computed_at + ttl, answer.revision, touched))

    async def find_result_set(self, token: PageToken) -> tuple[ResultSet, Provenance] | None:
        """Return the result that a token belongs to, and the tier it came from."""
        key = _set_key(token)
        entry, provenance = self.memory.get(key), Provenance.MEMORY
        if entry is None and self.shared is not None:
            entry, provenance = await self.shared.get(key), Provenance.REDIS
        if entry is None:
            return None
        try:
            return self._codec.decode_set(entry.body), provenance
        except ValueError:  # foreign bytes under our key
            return None

    def keep_result_set(self, token: PageToken, kept: ResultSet) -> None:
        """Keep a result in both tiers, until its pages are read or forgotten."""
        body = self._codec.encode_set(kept)
        self._put(_set_key(token), Entry(body, self._clock() + SET_SECONDS))

    async def find_vector(self, space: str, text: str) -> bytes | None:
        """Return the packed float32 vector of a query text, if it is known."""
        key = _vector_key(space, text)
        entry = self.memory.get(key)
        if entry is None and self.shared is not None:
            entry = await self.shared.get(key)
            if entry is not None:
                self.memory.put(key, entry)
        return entry.body if entry else None

    def keep_vector(self, space: str, text: str, vector: bytes) -> None:
        """Keep the vector of a query text in both tiers."""
        self._put(_vector_key(space, text), Entry(vector, self._clock() + self._lifetimes.vector))

    def _put(self, key: str, entry: Entry) -> None:
        self.memory.put(key, entry)
        if self.shared is not None:
            self.shared.put(key, entry)


def _set_key(token: PageToken) -> str:
    return f"set:{KEY_VERSION}:{token.set_id.hex()}"


def _vector_key(space: str, text: str) -> str:
    return f"vector:{KEY_VERSION}:{space}:{_digest([text])}"


def _digest(parts: Sequence[object]) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
