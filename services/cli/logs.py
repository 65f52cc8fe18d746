"""The logs of all processes as one, for people or for programs."""

import contextlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.text import Text

from services.cli.output import error_console, inert, json_line

_COLORS = ("cyan", "magenta", "blue", "green", "yellow", "bright_cyan", "bright_magenta")
_LEVELS = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "bold red"}
_LOUD = ("warning", "error", "critical")
# Shown elsewhere in the line, or the same in all of them.
_NOT_FIELDS = frozenset(
    ("event", "level", "timestamp", "process", "environment", "service", "exception", "trace")
)
_NAME_WIDTH = 9


class Log(Protocol):
    """Takes what processes say, a line at a time, and what `up` says of them."""

    def line(self, process: str, line: str) -> None:
        """Take a line that a process wrote, without its end."""

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Take an event of `up` itself."""


class JsonLog:
    """Passes JSON on as it is, and puts all else into JSON: standard error stays JSON lines."""

    def line(self, process: str, line: str) -> None:
        """Write the line, wrapped unless it is an object."""
        if parsed(line) is None:
            line = json_line({"process": process, "level": "info", "event": line})
        _write(line)

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Write an object as the processes do."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        record = {"process": "up", **fields, "event": event, "level": level, "timestamp": now}
        _write(json_line(record))


class ReadableLog:
    """Writes `05:31:07 catalog   serving  port=50053`, with a colour a process."""

    def __init__(self, processes: Sequence[str]) -> None:
        self._colors = {name: _COLORS[i % len(_COLORS)] for i, name in enumerate(processes)}

    def line(self, process: str, line: str) -> None:
        """Write the line for people; what is no JSON passes through with the name before it."""
        record = parsed(line)
        if record is None:
            text = self._head(process, datetime.now().astimezone())
            self._print(text.append(inert(line)))
        else:
            self._record(process, record)

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Write an event of `up`."""
        self._record("up", {"level": level, "event": event, **fields})

    def _record(self, process: str, record: dict[str, Any]) -> None:
        level = str(record.get("level", "info"))
        style = _LEVELS.get(level, "")
        text = self._head(process, _time_of(record))
        if level in _LOUD:
            text.append(f"{level.upper()} ", style)
        text.append(inert(str(record["event"])), style)
        for name, value in record.items():
            # The trace joins the lines of processes where something went wrong.
            if name not in _NOT_FIELDS or (name == "trace" and level in _LOUD):
                shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                text.append(f"  {inert(name)}=", "dim").append(inert(shown))
        for line in str(record.get("exception") or "").splitlines():
            text.append(f"\n{'':9}{inert(line)}", "red" if line[:1].strip() else "dim")
        self._print(text)

    def _head(self, process: str, at: datetime) -> Text:
        name = f"{process:<{_NAME_WIDTH}} "
        return Text(f"{at:%H:%M:%S} ", "dim").append(name, self._colors.get(process, "bold"))

    def _print(self, text: Text) -> None:
        # The terminal may be gone; the processes are not.
        with contextlib.suppress(OSError):
            error_console().print(text, soft_wrap=True)


def parsed(line: str) -> dict[str, Any] | None:
    """Return the object of a log line; None if it is no such line."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "event" in record else None


def _time_of(record: dict[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(str(record["timestamp"])).astimezone()
    except (KeyError, ValueError):
        return datetime.now().astimezone()


def _write(line: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
