"""Circuit breakers: an upstream that fails again and again is not tried for a while.

Own code, since pybreaker's breakers hold a lock for threads during the call, have one
pause for ever, and cannot be told that an upstream is back.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.common.errors import DeadlineExceeded, Unavailable, VitrinaError
from services.common.telemetry import get_logger
from services.gateway.background import Background
from services.gateway.ports import Catalog, Embedder, HealthChecked, Index

log = get_logger()

FAILURES_UNTIL_OPEN = 3
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 10.0
# Callers choose their deadlines. An upstream that misses one as short as this is
# not broken, or a few hurried callers could close it to all others.
FAIR_TIMEOUT_SECONDS = 0.1
# How often, while a circuit is open, the upstream is asked whether it is back.
CHECK_SECONDS = 0.25
CHECK_TIMEOUT_SECONDS = 0.5

# Every other reason is an answer of an upstream that works, be it to a wrong question.
_FAILURES = {"UPSTREAM_UNAVAILABLE", "NOT_SERVING", "DEADLINE_EXCEEDED"}


class Breaker:
    """Counts how calls to one upstream end.

    After failures in a row calls end with Unavailable (CIRCUIT_OPEN) at once; after a
    pause one of them may try. Each trial that fails doubles the pause.
    """

    def __init__(self, upstream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._failures = 0
        # 0: closed.
        self._pause_seconds = 0.0
        self._opened_at = self._may_try_at = 0.0
        self._is_trying = self._was_down = False
        self._refused = 0

    @property
    def is_open(self) -> bool:
        """Whether calls are not let in, but for a trial now and then."""
        return self._pause_seconds > 0

    @contextmanager
    def admitted(self, fair_seconds: float) -> Iterator[None]:
        """Let a call in, or raise Unavailable; learn from how it ends.

        `fair_seconds`: the time that the upstream is given; 0 where being late is
        no fault of its own. What is cancelled teaches nothing.
        """
        is_trial = self.is_open
        if is_trial:
            self._begin_trial()
        try:
            yield
        except VitrinaError as error:
            if error.reason not in _FAILURES:
                self._worked(is_trial=is_trial)
            elif not isinstance(error, DeadlineExceeded) or fair_seconds >= FAIR_TIMEOUT_SECONDS:
                self._failed(error.reason, is_trial=is_trial)
            raise
        else:
            self._worked(is_trial=is_trial)
        finally:
            if is_trial:
                self._is_trying = False

    def note_health(self, *, is_serving: bool) -> None:
        """Take what a health check found: one that was down and is back may be tried now."""
        if is_serving and self._was_down:
            self._may_try_at = self._clock()
        self._was_down = not is_serving

    def _begin_trial(self) -> None:
        if self._is_trying or self._clock() < self._may_try_at:
            self._refused += 1
            raise Unavailable(f"{self._upstream} failed lately, not tried", reason="CIRCUIT_OPEN")
        self._is_trying = True

    def _worked(self, *, is_trial: bool) -> None:
        if not self.is_open:
            self._failures = 0
        elif is_trial:
            log.warning(
                "circuit closed",
                upstream=self._upstream,
                open_seconds=round(self._clock() - self._opened_at, 2),
                refused=self._refused,
            )
            self._failures = self._refused = 0
            self._pause_seconds = 0.0

    def _failed(self, reason: str, *, is_trial: bool) -> None:
        if is_trial:
            pause_seconds = min(LONGEST_PAUSE_SECONDS, self._pause_seconds * 2)
        elif self.is_open:  # a call from before it opened
            return
        else:
            self._failures += 1
            if self._failures < FAILURES_UNTIL_OPEN:
                return
            pause_seconds = SHORTEST_PAUSE_SECONDS
            self._opened_at = self._clock()
            self._was_down = False
        self._pause_seconds = pause_seconds
        self._may_try_at = self._clock() + pause_seconds
        log.warning(
            "circuit open",
            upstream=self._upstream,
            reason=reason,
            pause_seconds=pause_seconds,
            refused=self._refused,
        )


class Breakers(Background):
    """One for each upstream. Inside `async with` they notice when it is back."""

    def __init__(self, embedder: Embedder, index: Index, catalog: Catalog) -> None:
        self.embedder = Breaker("embedder")
        self.index = Breaker("index")
        # Of searches by words. Products are always asked for: without them is no answer.
        self.words = Breaker("catalog")
        self._guarded: list[tuple[Breaker, HealthChecked]] = [
            (self.embedder, embedder),
            (self.index, index),
            (self.words, catalog),
        ]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await asyncio.gather(
                *(_check(breaker, upstream) for breaker, upstream in self._guarded)
            )


async def _check(breaker: Breaker, upstream: HealthChecked) -> None:
    if not breaker.is_open:
        return
    try:
        is_serving = await upstream.is_serving(CHECK_TIMEOUT_SECONDS)
    except VitrinaError:
        is_serving = False
    except Exception:
        log.exception("health not checked")
        is_serving = False
    breaker.note_health(is_serving=is_serving)
