"""The deadline of the call at work, handed on to every call made for it."""

import time
from contextvars import ContextVar

# Kept of a caller's deadline, so that a refusal arrives before it ends.
_MARGIN_SECONDS = 0.05

# time.monotonic() at which the call must have ended; None: its caller set no deadline.
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def start(remaining_seconds: float | None) -> None:
    """Set the deadline of the current task and of those that it starts."""
    _deadline.set(None if remaining_seconds is None else time.monotonic() + remaining_seconds)


def remaining_seconds(default: float) -> float:
    """Return the seconds that are left, at most `default`, never below zero."""
    deadline = _deadline.get()
    if deadline is None:
        return default
    return min(default, max(0.0, deadline - time.monotonic()))


def shortened(timeout_seconds: float | None) -> float | None:
    """Return the smaller of a timeout and what is left; None where neither is set."""
    deadline = _deadline.get()
    if deadline is None:
        return timeout_seconds
    left = max(0.0, deadline - time.monotonic())
    return left if timeout_seconds is None else min(left, timeout_seconds)


def waiting_seconds(default: float) -> float:
    """Return how long something may be waited for: until the deadline, `default` without one.

    A little is kept, so that the refusal arrives before the caller gives up.
    """
    left = shortened(None)
    seconds = default if left is None else left
    return seconds - min(_MARGIN_SECONDS, seconds / 5)
