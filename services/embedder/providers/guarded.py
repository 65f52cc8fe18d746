"""Retry and circuit breaker around a provider that is reached over a network."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, Self

import tenacity
from pybreaker import STATE_CLOSED, CircuitBreaker, CircuitBreakerError, CircuitMemoryStorage

from services.common.telemetry import get_logger
from services.embedder.providers.base import (
    CircuitOpen,
    CredentialRefused,
    Embedded,
    LaneLimits,
    Provider,
    ProviderError,
    ProviderTimeout,
    QuotaExhausted,
    TextRefused,
)
from services.embedder.spaces import Purpose, Space

log = get_logger()

# Callers choose their deadlines. A provider that misses one as short as this is
# not broken, or a few hurried callers could close it to all others.
_SHORTEST_FAIR_TIMEOUT_SECONDS = 0.25
# After quota ran out: the least and the most that the provider is spared.
_QUOTA_PAUSE_SECONDS = (1.0, 60.0)


class Guarded:
    """The provider inside, retried within the deadline, and left alone while it is broken.

    Retried are transient errors only, with exponential backoff and jitter, not
    sooner than the provider asks for. After `circuit_failures` calls in a row
    have failed, calls end with CircuitOpen at once; after
    `circuit_pause_seconds` one of them may try again. A credential that is
    refused opens the circuit at the first time. Used-up quota never does: it
    ends calls with QuotaExhausted for a while. Queries and documents are
    counted apart, but for the quota: where queries run out of it, documents wait too.
    """

    def __init__(
        self,
        inside: Provider,
        *,
        max_attempts: int = 3,
        attempt_timeout_seconds: float = 10.0,
        circuit_failures: int = 3,
        circuit_pause_seconds: float = 15.0,
        backoff_seconds: float = 0.2,
    ) -> None:
        self._inside = inside
        self._max_attempts = max_attempts
        self._attempt_timeout_seconds = attempt_timeout_seconds
        self._backoff = tenacity.wait_random_exponential(multiplier=backoff_seconds, max=5.0)
        self._is_closing = threading.Event()
        self._circuits = {
            purpose: _Circuit(circuit_failures, circuit_pause_seconds) for purpose in Purpose
        }
        # time.monotonic() before which there is no quota.
        self._no_quota_until = dict.fromkeys(Purpose, 0.0)

    @property
    def space(self) -> Space:
        """Of the provider inside."""
        return self._inside.space

    @property
    def lanes(self) -> Mapping[Purpose, LaneLimits]:
        """Of the provider inside."""
        return self._inside.lanes

    @property
    def is_failing(self) -> bool:
        """Whether a circuit is open."""
        return any(circuit.is_open for circuit in self._circuits.values())

    async def __aenter__(self) -> Self:
        await self._inside.__aenter__()
        return self

    async def __aexit__(self, *details: Any) -> None:
        self._is_closing.set()
        await self._inside.__aexit__(*details)

    def embed_batch(
        self, texts: Sequence[str], purpose: Purpose, timeout_seconds: float
    ) -> Embedded:
        """As the provider inside, retried; raises CircuitOpen and QuotaExhausted early."""
        if time.monotonic() < self._no_quota_until[purpose]:
            raise QuotaExhausted
        circuit = self._circuits[purpose]
        with circuit.admitted():
            try:
                embedded = self._embed_with_retry(texts, purpose, timeout_seconds)
            except QuotaExhausted as error:
                circuit.record_answer()
                self._spare(purpose, error.retry_after_seconds)
                log.warning("quota used up", space=self.space.id, purpose=purpose.value)
                raise
            except TextRefused:
                circuit.record_answer()
                log.warning("text refused", space=self.space.id, texts=len(texts))
                raise
            except CredentialRefused:
                log.error("credential refused", space=self.space.id)
                for each in self._circuits.values():
                    each.open()
                raise
            except ProviderError as error:
                is_hurried = timeout_seconds < _SHORTEST_FAIR_TIMEOUT_SECONDS
                if not (is_hurried and isinstance(error, ProviderTimeout)):
                    circuit.record_failure(error)
                log.warning("provider failed", space=self.space.id, problem=str(error))
                raise
            circuit.record_answer()
            return embedded

    def _spare(self, purpose: Purpose, asked_for_seconds: float) -> None:
        """Leave the provider its quota for a while: what there is of it belongs to queries."""
        shortest, longest = _QUOTA_PAUSE_SECONDS
        until = time.monotonic() + min(max(asked_for_seconds, shortest), longest)
        for spared in {purpose, Purpose.DOCUMENT}:
            self._no_quota_until[spared] = max(self._no_quota_until[spared], until)

    def _embed_with_retry(
        self, texts: Sequence[str], purpose: Purpose, timeout_seconds: float
    ) -> Embedded:
        give_up_at = time.monotonic() + timeout_seconds

        def attempt() -> Embedded:
            left_seconds = give_up_at - time.monotonic()
            return self._inside.embed_batch(
                texts, purpose, min(left_seconds, self._attempt_timeout_seconds)
            )

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=self._wait_seconds,
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self._max_attempts),
                tenacity.stop_before_delay(timeout_seconds),
                tenacity.stop_when_event_set(self._is_closing),
            ),
            sleep=tenacity.sleep_using_event(self._is_closing),
            reraise=True,
        )
        return retrying(attempt)

    def _wait_seconds(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_for = error.retry_after_seconds if isinstance(error, QuotaExhausted) else 0.0
        return max(self._backoff(state), asked_for)


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and error.is_transient


class _Circuit:
    """A breaker that is told how calls ended.

    `CircuitBreaker.call` would hold its lock during the whole call, so that one
    slow call held up all others.
    """

    def __init__(self, failures: int, pause_seconds: float) -> None:
        self._pause = timedelta(seconds=pause_seconds)
        self._storage = CircuitMemoryStorage(STATE_CLOSED)
        self._breaker = CircuitBreaker(
            fail_max=failures,
            reset_timeout=pause_seconds,
            state_storage=self._storage,
            throw_new_error_on_trip=False,
        )
        self._trial = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether calls end at once."""
        opened_at = self._storage.opened_at
        is_closed = self._breaker.current_state == STATE_CLOSED
        return (
            not is_closed and opened_at is not None and datetime.now(UTC) < opened_at + self._pause
        )

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Let a call in, or raise CircuitOpen. After the pause only one goes in at a time."""
        if self._breaker.current_state == STATE_CLOSED:
            yield
        elif self.is_open or not self._trial.acquire(blocking=False):
            raise CircuitOpen("left alone for a while after failures")
        else:
            try:
                yield
            finally:
                self._trial.release()

    def open(self) -> None:
        """Open at once."""
        self._breaker.open()

    def record_answer(self) -> None:
        """Note that the provider works."""
        self._record(lambda: None)

    def record_failure(self, error: ProviderError) -> None:
        """Note that the provider failed."""

        def fail() -> NoReturn:
            raise error

        self._record(fail)

    def _record(self, outcome: Callable[[], None]) -> None:
        # Either the failure itself, or the end of a call from before the circuit opened.
        with suppress(ProviderError, CircuitBreakerError):
            self._breaker.call(outcome)
