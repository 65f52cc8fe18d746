"""Structured logs with trace ids: one JSON object a line on stderr.

Trace ids follow W3C Trace Context: `traceparent` comes with a call, or begins
here, and goes on with every call made for it.
"""

import logging
import random
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import structlog

TRACEPARENT = "traceparent"

# Of the call at work. Apart from structlog's own variables: those are collected from all
# there are, which every call to another process would pay for.
_trace: ContextVar[str | None] = ContextVar("trace", default=None)


def configure_logging(process: str, *, level: str, environment: str) -> None:
    """Set up logging of this process. Done once, by the composition root."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process, environment=environment)
    # Libraries speak through the standard library; only what matters gets through.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")


def _add_trace(_logger: Any, _method: str, event: structlog.typing.EventDict) -> Any:
    trace = _trace.get()
    if trace is not None:
        event["trace"] = trace
    return event


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """Return the logger. An event is lower case with fields, not a sentence."""
    return structlog.get_logger()  # type: ignore[no-any-return]


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and all(c in "0123456789abcdef" for c in text)


def start_trace(traceparent: str | None) -> None:
    """Begin or carry on a trace for the current task."""
    parts = traceparent.split("-") if traceparent else []
    is_valid = (
        len(parts) >= 4
        and parts[0] != "ff"
        and _is_hex(parts[0], 2)
        and _is_hex(parts[1], 32)
        and _is_hex(parts[2], 16)
        and parts[1] != "0" * 32
    )
    _trace.set(parts[1] if is_valid else _random_hex(16))


def current_traceparent() -> str | None:
    """Return the header that carries the current trace on, if there is one."""
    trace = _trace.get()
    return f"00-{trace}-{_random_hex(8)}-01" if trace else None


def _random_hex(size: int) -> str:
    # No secret, and the system's own randomness costs a call a dozen microseconds.
    return random.randbytes(size).hex()  # noqa: S311


def metadata_value(metadata: Iterable[tuple[str, str | bytes]] | None, key: str) -> str | None:
    """Return the first text value of a metadata key."""
    for name, value in metadata or ():
        if name == key and isinstance(value, str):
            return value
    return None
