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
from typing import NamedTuple, Protocol

from services.common.filters import Column
from services.gateway.answers import Answer, Encoded, Provenance
from services.gateway.entries import Entry
from services.gateway.pages import SET_SECONDS, PageToken, ResultSet
from services.gateway.popularity import popular_query
from services.gateway.queries import Mode, Query
from services.gateway.stores.memory import MemoryStore
from services.gateway.validity import EVERYTHING, ChangeLog

KEY_VERSION = 5


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
    """Seconds that entries live at most; answers once more where nothing at all speaks against it.

    See `AnswerCache.find_answer`.
    """

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
    refreshed_answers: int = 0


class CachedAnswer(NamedTuple):
    """An answer that holds, the tier it came from, and whether to compute it anew meanwhile."""

    encoded: Encoded
    provenance: Provenance
    is_overdue: bool


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
        return f"answer:{KEY_VERSION}:{self._changes.history_id}:{query.answer_digest}:{space}"

    async def find_answer(self, key: str, min_revision: int) -> CachedAnswer | None:
        """Return an answer that holds and reflects `min_revision`.

        For one more lifetime after its own it may be found overdue, while the feed is
        known to be current and nothing that it touches has changed; if no category
        bounds it, nothing at all.
        """
        found = self._held(self.memory.get(key), min_revision, Provenance.MEMORY)
        if self.shared is not None and (found is None or found.is_overdue):
            entry = await self.shared.get(key)
            of_all = self._held(entry, min_revision, Provenance.REDIS)
            if not self._is_of_this_catalog(key):
                found = None
            elif entry and of_all and (found is None or not of_all.is_overdue):
                self.memory.put(key, entry)
                found = of_all
        if found is not None:
            is_from_memory = found.provenance is Provenance.MEMORY
            self.counts.memory_hits += is_from_memory
            self.counts.redis_hits += not is_from_memory
        return found

    def find_in_memory(self, key: str, min_revision: int) -> Encoded | None:
        """Return an answer that `find_answer` would find at once, and that is not overdue."""
        entry = self.memory.get(key)
        if entry is None or entry.is_overdue or not self._holds(entry, min_revision):
            return None
        self.counts.memory_hits += 1
        return Encoded(entry.body, entry.popular)

    def _held(
        self, entry: Entry | None, min_revision: int, provenance: Provenance
    ) -> CachedAnswer | None:
        if entry is None:
            return None
        if not self._holds(entry, min_revision):
            self.counts.invalid_entries += 1
            return None
        # What is in memory was made here, or has been through this.
        if provenance is Provenance.REDIS and not self._is_answer(entry.body):
            return None
        return CachedAnswer(Encoded(entry.body, entry.popular), provenance, entry.is_overdue)

    def _is_answer(self, body: bytes) -> bool:
        try:
            self._codec.decode(body)
        except (ValueError, OverflowError):  # foreign bytes under our key
            return False
        return True

    def _holds(self, entry: Entry, min_revision: int) -> bool:
        if entry.revision < min_revision:
            return False
        if not entry.is_overdue:
            return self._changes.is_valid(entry.revision, entry.touched)
        touched = entry.touched if entry.is_bounded else {EVERYTHING}
        return self._changes.is_current and self._changes.is_valid(entry.revision, touched)

    def encoded(self, query: Query, answer: Answer) -> Encoded:
        """Return the answer as it is kept and sent."""
        return Encoded(self._codec.encode(answer), popular_query(query.text, answer))

    def keep_answer(self, key: str, query: Query, answer: Answer, encoded: Encoded) -> None:
        """Keep a sound answer in both tiers. A degraded one is not kept: its cause may pass."""
        if answer.degraded or not self._is_of_this_catalog(key):
            return
        bound = frozenset({query.filter.category} - {""})
        # Facets may count what lies outside of the category, and whether and how the
        # spelling is corrected depends on the words of all.
        may_correct = not query.literal and query.mode is not Mode.SEMANTIC
        finds_no_words = may_correct and not answer.plan.lexical_candidates
        is_wider = (
            answer.corrected_query
            or finds_no_words
            or any(
                spec.ignores_own_filter and spec.field.column is Column.CATEGORY
                for spec in query.facets
            )
        )
        is_bounded = bool(bound) and not is_wider
        if is_bounded:
            touched, seconds = bound, self._lifetimes.answer
        else:
            touched = answer.categories | bound if answer.categories else frozenset({EVERYTHING})
            seconds = min(self._lifetimes.answer, self._lifetimes.unbounded_answer)
        if self._changes.is_valid(answer.revision, touched):
            entry = Entry(
                encoded.body,
                answer.computed_at + seconds,
                seconds,
                answer.revision,
                touched,
                is_bounded,
                grace_seconds=seconds,
                popular=encoded.popular,
            )
            self._put(key, entry)

    async def find_result_set(self, token: PageToken) -> tuple[ResultSet, Provenance] | None:
        """Return the result that a token belongs to, and the tier it came from."""
        key = self._set_key(token)
        entry, provenance = self.memory.get(key), Provenance.MEMORY
        if entry is None and self.shared is not None:
            entry, provenance = await self.shared.get(key), Provenance.REDIS
        if entry is None:
            return None
        try:
            return self._codec.decode_set(entry.body), provenance
        except (ValueError, OverflowError):  # foreign bytes under our key
            return None

    def keep_result_set(self, token: PageToken, kept: ResultSet) -> None:
        """Keep a result in both tiers, until its pages are read or forgotten."""
        body = self._codec.encode_set(kept)
        # Its first page may come from the cache as long as an answer lives, twice at most.
        self._put_for(SET_SECONDS + 2 * self._lifetimes.answer, self._set_key(token), body)

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
        self._put_for(self._lifetimes.vector, _vector_key(space, text), vector)

    def _is_of_this_catalog(self, key: str) -> bool:
        """Tell whether the catalog is still the one that a key was made for."""
        return bool(self._changes.catalog_id) and f":{self._changes.history_id}:" in key

    def _set_key(self, token: PageToken) -> str:
        # Another catalog may have other products under the same ids.
        return f"set:{KEY_VERSION}:{self._changes.history_id}:{token.set_id.hex()}"

    def _put_for(self, seconds: float, key: str, body: bytes) -> None:
        self._put(key, Entry(body, self._clock() + seconds, seconds))

    def _put(self, key: str, entry: Entry) -> None:
        self.memory.put(key, entry)
        if self.shared is not None:
            self.shared.put(key, entry)


def _vector_key(space: str, text: str) -> str:
    return f"vector:{KEY_VERSION}:{space}:{_digest([text])}"


def _digest(parts: Sequence[object]) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
