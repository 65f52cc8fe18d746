"""The Redis tier against a real Redis that is there, slow, gone and back."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.gateway.entries import Entry
from services.gateway.stores.redis import RedisStore
from tests.support import RedisServer, until

# Generous, since the machine may be busy; what is proven is a bound, not a speed.
TIMEOUT_SECONDS = 0.1


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


def store_at(server: RedisServer, prefix: str = "test") -> RedisStore:
    return RedisStore(server.url, prefix=prefix, timeout_seconds=TIMEOUT_SECONDS)


def entry(body: bytes = b"body", ttl_seconds: float = 100.0) -> Entry:
    return Entry(
        body, time.time() + ttl_seconds, ttl_seconds, 7, frozenset({"Audio > Auriculares ñ"})
    )


async def kept(store: RedisStore, key: str, value: Entry) -> None:
    """Put, and wait until it is there."""
    store.put(key, value)

    async def is_there() -> bool:
        return await store.get(key) == value

    await until(is_there)


async def test_what_one_gateway_stores_another_finds(redis_server: RedisServer) -> None:
    async with store_at(redis_server) as first, store_at(redis_server) as second:
        value = entry()
        await kept(first, "k", value)
        assert await second.get("k") == value


async def test_shops_with_prefixes_of_their_own_do_not_meet(redis_server: RedisServer) -> None:
    async with store_at(redis_server, "a") as first, store_at(redis_server, "b") as second:
        await kept(first, "k", entry())
        assert await second.get("k") is None


async def test_redis_forgets_at_the_absolute_expiry(redis_server: RedisServer) -> None:
    async with store_at(redis_server) as store:
        await kept(store, "k", entry(ttl_seconds=1.0))

        async def is_gone() -> bool:
            return await store.get("k") is None

        await until(is_gone, seconds=5)


async def test_redis_killed_is_noticed_and_costs_nothing_and_is_used_again_when_back(
    redis_server: RedisServer,
) -> None:
    async with store_at(redis_server) as store:
        await kept(store, "k", entry())
        redis_server.stop()
        assert await store.get("k") is None
        await until(lambda: not store.is_up, seconds=2)
        store.put("k", entry())  # dropped, not raised
        redis_server.start()
        await until(lambda: store.is_up, seconds=5)
        await kept(store, "k", entry(b"new"))


async def test_a_frozen_redis_costs_at_most_the_timeout_and_soon_nothing(
    redis_server: RedisServer,
) -> None:
    async with store_at(redis_server) as store:
        await kept(store, "k", entry())
        assert redis_server.process is not None
        redis_server.process.send_signal(signal.SIGSTOP)
        try:
            lookups = 0
            while store.is_up:
                assert await store.get("k") is None
                lookups += 1
            assert lookups <= 3
        finally:
            redis_server.process.send_signal(signal.SIGCONT)
        await until(lambda: store.is_up, seconds=5)
        assert await store.get("k") is not None


async def test_a_store_opens_without_redis_and_finds_it_later(redis_server: RedisServer) -> None:
    redis_server.stop()
    async with store_at(redis_server) as store:
        assert not store.is_up
        redis_server.start()
        await until(lambda: store.is_up, seconds=5)


async def test_lookups_that_are_cancelled_do_not_mix_answers_up(redis_server: RedisServer) -> None:
    async with store_at(redis_server) as store:
        values = {f"k{n}": entry(f"body {n}".encode()) for n in range(20)}
        for key, value in values.items():
            await kept(store, key, value)
        for round_number in range(50):
            lookups = [asyncio.create_task(store.get(key)) for key in values]
            await asyncio.sleep(0)
            for lookup in lookups[round_number % 2 :: 2]:
                lookup.cancel()
            await asyncio.gather(*lookups, return_exceptions=True)
            for key, value in values.items():
                found = await store.get(key)
                assert found is None or found == value


async def test_bytes_of_somebody_else_are_no_entry(redis_server: RedisServer) -> None:
    async with store_at(redis_server) as store:
        await store._client.set("test:k", b"\x80\x04\x95pickle")
        assert await store.get("k") is None
        assert store.is_up


async def test_a_key_of_another_type_does_not_end_the_store(redis_server: RedisServer) -> None:
    async with store_at(redis_server) as store:
        await store._client.lpush("test:k", b"x")
        assert await store.get("k") is None
        await until(lambda: store.is_up, seconds=5)
