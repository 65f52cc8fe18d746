"""The same machine with a real Redis, which freezes and comes back with what it had."""

import signal
from itertools import count
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from services.gateway.cache import SharedStore
from services.gateway.stores.redis import RedisStore
from tests.cache_machine import CacheMachine
from tests.support import RedisServer

EXAMPLES = count()


class RedisCacheMachine(CacheMachine):
    server: RedisServer

    def prepare_redis(self) -> None:
        self.prefix = f"shop-{next(EXAMPLES)}"
        self.stores: list[RedisStore] = []
        self.is_frozen = False

    def new_tier(self) -> SharedStore:
        store = RedisStore(
            self.server.url,
            prefix=self.prefix,
            timeout_seconds=0.1,
            wall_clock=self.clocks.wall,
        )
        self.run(store.__aenter__())
        self.stores.append(store)
        return store

    def empty_redis(self) -> None:
        if self.is_frozen:
            self.redis_goes_or_comes_back()
        self.run(self.stores[0]._client.flushdb())

    def redis_goes_or_comes_back(self) -> None:
        self.is_frozen = not self.is_frozen
        assert self.server.process is not None
        self.server.process.send_signal(signal.SIGSTOP if self.is_frozen else signal.SIGCONT)
        for store in self.stores:
            if not self.is_frozen:
                self.run(store._probe())

    def teardown(self) -> None:
        if self.is_frozen:
            self.redis_goes_or_comes_back()
        for store in self.stores:
            self.run(store.__aexit__())
        super().teardown()


def test_no_answer_is_older_than_it_says_with_a_real_redis(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        RedisCacheMachine.server = server
        run_state_machine_as_test(
            RedisCacheMachine,
            settings=settings(max_examples=12, stateful_step_count=25, deadline=None),
        )
