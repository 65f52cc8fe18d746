"""The second tier: Redis, shared by all gateways, which may be slow or gone at any time.

It never costs a query more than the timeout, and after a few failures nothing
at all: it is left alone then, and a ping in the background notices when it is
back. Writes happen in the background.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Self

import redis.asyncio
from redis.exceptions import RedisError

from services.common.telemetry import get_logger
from services.gateway.entries import Entry

log = get_logger()

FAILURES_UNTIL_DOWN = 3
PROBE_SECONDS = 0.5
# A ping may open a connection first, which a query's timeout would not allow for.
PROBE_TIMEOUT_SECONDS = 0.25
MAX_PENDING_WRITES = 512
MAX_ENTRY_BYTES = 1024 * 1024
# The last is what uvloop raises for a connection that the other side has closed.
_FAILURES = (RedisError, OSError, TimeoutError, RuntimeError)


class RedisStore:
    """Entries under `<prefix>:<key>` until they expire. Used inside `async with`."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        timeout_seconds: float,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.is_up = False
        self._wall_clock = wall_clock
        self._prefix = prefix
        self._timeout_seconds = timeout_seconds
        self._failures = 0
        self._writes: set[asyncio.Task[None]] = set()
        self._client = redis.asyncio.Redis.from_url(
            url,
            socket_connect_timeout=PROBE_TIMEOUT_SECONDS,
            socket_timeout=PROBE_TIMEOUT_SECONDS,
            max_connections=64,
            retry=None,
            protocol=2,
        )

    async def __aenter__(self) -> Self:
        await self._probe()
        self._prober = asyncio.create_task(self._probe_while_down(), name="redis-probe")
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [self._prober, *self._writes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def get(self, key: str) -> Entry | None:
        """Return the entry; None where there is none, or Redis is not up to it."""
        if not self.is_up:
            return None
        data = await self._attempt(self._client.get(self._key(key)))
        entry = Entry.decode(data) if isinstance(data, bytes) else None
        if entry is None:
            return None
        left_seconds = entry.lifetime_left_seconds(self._wall_clock())
        if left_seconds > 0:
            return entry
        # Redis has a clock of its own, and another gateway had stored it by its.
        return replace(entry, is_overdue=True) if left_seconds > -entry.grace_seconds else None

    def put(self, key: str, entry: Entry) -> None:
        """Store the entry in the background; drop it where Redis is not up to it."""
        kept_seconds = entry.lifetime_left_seconds(self._wall_clock()) + entry.grace_seconds
        ttl_ms = int(kept_seconds * 1000)
        is_too_much = len(self._writes) >= MAX_PENDING_WRITES or len(entry.body) > MAX_ENTRY_BYTES
        if not self.is_up or is_too_much or ttl_ms <= 0:
            return
        task = asyncio.create_task(self._write(key, entry.encode(), ttl_ms), name="redis-write")
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write(self, key: str, data: bytes, ttl_ms: int) -> None:
        await self._attempt(self._client.set(self._key(key), data, px=ttl_ms))

    def _key(self, key: str) -> str:
        return f"{self._prefix}:{key}"

    async def _attempt(self, command: Awaitable[object]) -> object:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await command
        except _FAILURES as error:
            self._failures += 1
            # A refused connection is certain; a late answer may be an accident.
            if self._failures >= FAILURES_UNTIL_DOWN or not isinstance(error, TimeoutError):
                self._mark(is_up=False, cause=type(error).__name__)
            return None
        self._failures = 0
        return result

    def _mark(self, *, is_up: bool, cause: str = "") -> None:
        if is_up != self.is_up:
            self.is_up = is_up
            log.warning("redis is " + ("up" if is_up else "down"), cause=cause or None)

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self._client.ping()
                # The second one measures Redis alone, without a new connection.
                started = time.perf_counter()
                await self._client.ping()
                is_fast = time.perf_counter() - started <= self._timeout_seconds
        except _FAILURES as error:
            self._mark(is_up=False, cause=type(error).__name__)
            return
        if is_fast:
            self._failures = 0
            self._mark(is_up=True)

    async def _probe_while_down(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            if not self.is_up:
                # What was connected to a Redis that died would fail call by call.
                await self._client.connection_pool.disconnect(inuse_connections=False)
                await self._probe()
