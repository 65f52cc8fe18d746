"""Retry, quota and circuit breaker around a provider."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.embedder.providers.base import (
    CircuitOpen,
    CredentialRefused,
    Embedded,
    ProviderError,
    ProviderFailed,
    ProviderTimeout,
    QuotaExhausted,
    TextRefused,
)
from services.embedder.providers.guarded import Guarded
from services.embedder.spaces import Purpose
from tests.embedder_support import ScriptedProvider
from tests.support import until

QUERY, DOCUMENT = Purpose.QUERY, Purpose.DOCUMENT
BROKEN = ProviderFailed("answered with 500", is_transient=True)


class Failing(ScriptedProvider):
    """Raises these errors one after the other, then works; None works too."""

    def __init__(self, *errors: ProviderError | None) -> None:
        super().__init__()
        self.errors = list(errors)
        self.before = self._raise_next

    def _raise_next(self, texts: Sequence[str], purpose: Purpose, timeout_seconds: float) -> None:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error


def guarded(inside: ScriptedProvider, **limits: float) -> Guarded:
    quick = {"backoff_seconds": 0.001, "circuit_failures": 2, "circuit_pause_seconds": 60.0}
    return Guarded(inside, **(quick | limits))  # type: ignore[arg-type]


def embed(provider: Guarded, purpose: Purpose = QUERY, timeout_seconds: float = 5.0) -> Embedded:
    return provider.embed_batch(["text"], purpose, timeout_seconds)


def fails_with(kind: type[ProviderError], provider: Guarded, purpose: Purpose = QUERY) -> None:
    with pytest.raises(kind):
        embed(provider, purpose)


@pytest.mark.parametrize("error", [BROKEN, ProviderTimeout(), QuotaExhausted()])
def test_what_passes_is_retried(error: ProviderError) -> None:
    inside = Failing(error, error)
    embed(guarded(inside))
    assert len(inside.calls) == 3


@pytest.mark.parametrize("error", [ProviderFailed("odd"), TextRefused(), CredentialRefused()])
def test_what_stays_is_not_retried(error: ProviderError) -> None:
    inside = Failing(error)
    fails_with(type(error), guarded(inside))
    assert len(inside.calls) == 1


def test_attempts_are_bounded() -> None:
    inside = Failing(*[BROKEN] * 9)
    fails_with(ProviderFailed, guarded(inside, max_attempts=4))
    assert len(inside.calls) == 4


def test_a_retry_is_not_sooner_than_the_provider_asks_for() -> None:
    inside = Failing(QuotaExhausted(retry_after_seconds=0.1))
    started = time.monotonic()
    embed(guarded(inside))
    assert time.monotonic() - started >= 0.1


def test_a_retry_that_would_be_too_late_is_left_out() -> None:
    inside = Failing(QuotaExhausted(retry_after_seconds=30))
    started = time.monotonic()
    fails_with(QuotaExhausted, guarded(inside))
    assert time.monotonic() - started < 1
    assert len(inside.calls) == 1


def test_used_up_quota_spares_the_provider_for_as_long_as_it_asks() -> None:
    inside = Failing(QuotaExhausted(retry_after_seconds=30))
    provider = guarded(inside)
    fails_with(QuotaExhausted, provider)
    fails_with(QuotaExhausted, provider)
    assert len(inside.calls) == 1


def test_used_up_quota_of_documents_leaves_queries_alone() -> None:
    provider = guarded(Failing(QuotaExhausted(retry_after_seconds=30)))
    for _ in range(5):
        fails_with(QuotaExhausted, provider, DOCUMENT)
    assert not provider.is_failing
    embed(provider, QUERY)


def test_used_up_quota_of_queries_spares_documents_too() -> None:
    inside = Failing(QuotaExhausted(retry_after_seconds=30))
    provider = guarded(inside)
    fails_with(QuotaExhausted, provider, QUERY)
    fails_with(QuotaExhausted, provider, DOCUMENT)
    assert len(inside.calls) == 1


def test_the_circuit_opens_after_failures_in_a_row_only() -> None:
    inside = Failing(BROKEN, None, BROKEN, BROKEN)
    provider = guarded(inside, max_attempts=1)
    fails_with(ProviderFailed, provider)
    embed(provider)
    fails_with(ProviderFailed, provider)
    states = [provider.is_failing]
    fails_with(ProviderFailed, provider)
    states.append(provider.is_failing)
    assert states == [False, True]
    fails_with(CircuitOpen, provider)
    assert len(inside.calls) == 4


def test_failing_documents_do_not_close_the_way_of_queries() -> None:
    provider = guarded(Failing(BROKEN, BROKEN), max_attempts=1)
    fails_with(ProviderFailed, provider, DOCUMENT)
    fails_with(ProviderFailed, provider, DOCUMENT)
    fails_with(CircuitOpen, provider, DOCUMENT)
    embed(provider, QUERY)


def test_a_refused_credential_opens_at_the_first_time_for_all() -> None:
    provider = guarded(Failing(CredentialRefused()), circuit_failures=9)
    fails_with(CredentialRefused, provider)
    fails_with(CircuitOpen, provider, QUERY)
    fails_with(CircuitOpen, provider, DOCUMENT)


def test_refused_texts_never_open_the_circuit() -> None:
    provider = guarded(Failing(*[TextRefused()] * 5))
    for _ in range(5):
        fails_with(TextRefused, provider)
    assert not provider.is_failing


def test_callers_in_a_hurry_cannot_open_the_circuit() -> None:
    provider = guarded(Failing(*[ProviderTimeout()] * 5), max_attempts=1)
    for _ in range(5):
        with pytest.raises(ProviderTimeout):
            embed(provider, timeout_seconds=0.05)
    assert not provider.is_failing


def test_after_the_pause_one_call_alone_tries_again() -> None:
    inside = Failing(BROKEN, BROKEN)
    provider = guarded(inside, max_attempts=1, circuit_pause_seconds=0.05)
    fails_with(ProviderFailed, provider)
    fails_with(ProviderFailed, provider)
    while provider.is_failing:
        time.sleep(0.005)
    inside.may_go_on.clear()
    with ThreadPoolExecutor(1) as pool:
        trial = pool.submit(embed, provider)
        while len(inside.calls) < 3:
            time.sleep(0.005)
        fails_with(CircuitOpen, provider)
        inside.may_go_on.set()
        trial.result(timeout=5)
    embed(provider)
    assert len(inside.calls) == 4


def test_a_failed_trial_opens_again() -> None:
    provider = guarded(Failing(*[BROKEN] * 3), max_attempts=1, circuit_pause_seconds=0.05)
    fails_with(ProviderFailed, provider)
    fails_with(ProviderFailed, provider)
    while provider.is_failing:
        time.sleep(0.005)
    fails_with(ProviderFailed, provider)
    fails_with(CircuitOpen, provider)


def test_one_slow_call_does_not_hold_up_others() -> None:
    inside = ScriptedProvider()
    provider = guarded(inside)
    is_inside, may_end = threading.Event(), threading.Event()

    def before(texts: Sequence[str], purpose: Purpose, timeout_seconds: float) -> None:
        if not is_inside.is_set():
            is_inside.set()
            may_end.wait(10)

    inside.before = before
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(embed, provider)
        assert is_inside.wait(5)
        embed(provider)
        assert not slow.done()
        may_end.set()
        slow.result(timeout=5)


async def test_the_end_cuts_the_wait_for_a_retry_short() -> None:
    inside = Failing(*[QuotaExhausted(retry_after_seconds=20)] * 3)
    provider = guarded(inside)
    with ThreadPoolExecutor(1) as pool:
        async with provider:
            waiting = pool.submit(embed, provider, QUERY, 60.0)
            await until(lambda: bool(inside.calls))
        with pytest.raises(QuotaExhausted):
            waiting.result(timeout=5)
