"""When an upstream is not tried, and when it is again."""

import asyncio

import pytest

from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    Overloaded,
    Unavailable,
    VitrinaError,
)
from services.gateway.breakers import (
    FAILURES_UNTIL_OPEN,
    LONGEST_PAUSE_SECONDS,
    SHORTEST_PAUSE_SECONDS,
    Breaker,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("index", clock)


def call(breaker: Breaker, error: BaseException | None = None, fair_seconds: float = 1.0) -> str:
    """Return how a call ends: "" if it went well, the reason if not."""
    try:
        with breaker.admitted(fair_seconds):
            if error is not None:
                raise error
    except VitrinaError as failure:
        return failure.reason
    except asyncio.CancelledError:
        return "CANCELLED"
    return ""


def fail(breaker: Breaker, times: int = FAILURES_UNTIL_OPEN) -> None:
    for _ in range(times):
        assert call(breaker, Unavailable("gone")) == "UPSTREAM_UNAVAILABLE"


def test_only_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, FAILURES_UNTIL_OPEN - 1)
    assert call(breaker) == ""
    fail(breaker, FAILURES_UNTIL_OPEN - 1)
    assert call(breaker) == ""
    fail(breaker)
    assert call(breaker) == "CIRCUIT_OPEN"


@pytest.mark.parametrize(
    "answer",
    [
        InvalidArgument("filter", "no"),
        FailedPrecondition("another space", reason="SPACE_MISMATCH"),
        DeadlineExceeded("not yet", reason="REVISION_NOT_REACHED"),
        Unavailable("no space works", reason="SPACES_UNAVAILABLE"),
        Overloaded("too much"),
    ],
)
def test_an_upstream_that_answers_works_whatever_it_says(
    breaker: Breaker, answer: VitrinaError
) -> None:
    for _ in range(3 * FAILURES_UNTIL_OPEN):
        assert call(breaker, answer) == answer.reason


def test_hurried_callers_do_not_close_it_to_others(breaker: Breaker) -> None:
    for _ in range(3 * FAILURES_UNTIL_OPEN):
        call(breaker, DeadlineExceeded("late"), fair_seconds=0.01)
    assert call(breaker) == ""
    for _ in range(FAILURES_UNTIL_OPEN):
        call(breaker, DeadlineExceeded("late"), fair_seconds=1.0)
    assert call(breaker) == "CIRCUIT_OPEN"


def test_callers_that_go_away_teach_nothing(breaker: Breaker) -> None:
    fail(breaker, FAILURES_UNTIL_OPEN - 1)
    for _ in range(FAILURES_UNTIL_OPEN):
        call(breaker, asyncio.CancelledError())
    assert not breaker.is_open
    fail(breaker, 1)
    assert breaker.is_open


def test_after_a_pause_one_may_try_and_success_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += SHORTEST_PAUSE_SECONDS
    with breaker.admitted(1.0):
        assert call(breaker) == "CIRCUIT_OPEN"
    assert not breaker.is_open
    assert call(breaker) == ""


def test_a_trial_that_is_cancelled_makes_room_for_another(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += SHORTEST_PAUSE_SECONDS
    assert call(breaker, asyncio.CancelledError()) == "CANCELLED"
    assert call(breaker) == ""


def test_pauses_grow_up_to_a_bound(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    pauses = []
    for _ in range(7):
        began = clock.now
        while call(breaker, Unavailable("gone")) == "CIRCUIT_OPEN":
            clock.now += 0.25
        pauses.append(clock.now - began)
    assert pauses[0] == SHORTEST_PAUSE_SECONDS
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_what_was_under_way_when_it_opened_changes_nothing(breaker: Breaker, clock: Clock) -> None:
    with pytest.raises(Unavailable), breaker.admitted(1.0):  # noqa: PT012
        fail(breaker)
        raise Unavailable("gone")
    clock.now += SHORTEST_PAUSE_SECONDS
    assert call(breaker) == ""


def test_health_that_comes_back_ends_the_pause(breaker: Breaker) -> None:
    fail(breaker)
    breaker.note_health(is_serving=False)
    assert call(breaker) == "CIRCUIT_OPEN"
    breaker.note_health(is_serving=True)
    assert call(breaker) == ""


def test_health_that_was_never_away_does_not_end_the_pause(breaker: Breaker) -> None:
    fail(breaker)
    breaker.note_health(is_serving=True)
    assert call(breaker) == "CIRCUIT_OPEN"
