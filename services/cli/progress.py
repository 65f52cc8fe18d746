"""How an import shows that it goes on: bars on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from services.cli.output import count, error_console, inert

_LINE_EVERY_SECONDS = 5.0


class Stage(Protocol):
    """One thing that takes time."""

    def update(self, done: float, total: float, *, rows: int = 0, note: str = "") -> None:
        """Show how far it is."""


class Silent:
    """Shows nothing."""

    def update(self, done: float, total: float, *, rows: int = 0, note: str = "") -> None:
        """Show nothing."""


class PlainLines:
    """Writes a line every few seconds, for logs and pipes."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = self._last = time.monotonic()

    def update(self, done: float, total: float, *, rows: int = 0, note: str = "") -> None:
        """Write a line if the last one was some seconds ago."""
        now = time.monotonic()
        if now - self._last < _LINE_EVERY_SECONDS:
            return
        self._last = now
        parts = [f"{100 * done / total:.0f} %"] if total else []
        if rows:
            parts.append(f"{count(rows, 'row')}, {rows / (now - self._started):,.0f}/s")
        error_console().print(" · ".join([self._title, *parts, *([note] if note else [])]))


class _RowsColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        rows, elapsed = task.fields["rows"], task.elapsed or 0
        if not rows:
            return Text("")
        rate = f"  {rows / elapsed:,.0f}/s" if elapsed > 0.5 else ""
        return Text(f"{count(rows, 'row')}{rate}", "cyan")


class _Bar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None, rows=0, note="")

    def update(self, done: float, total: float, *, rows: int = 0, note: str = "") -> None:
        self._progress.update(
            self._task, completed=done, total=total or None, rows=rows, note=inert(note)
        )


@contextmanager
def stage(title: str, *, is_silent: bool) -> Iterator[Stage]:
    """Show one stage inside the block, on standard error."""
    console = error_console()
    if is_silent:
        yield Silent()
    elif not console.is_terminal:
        yield PlainLines(title)
    else:
        columns = (
            TextColumn("{task.description:<12}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            _RowsColumn(),
            TimeElapsedColumn(),
            TextColumn(
                "{task.fields[note]}",
                style="yellow",
                markup=False,
                # The bar keeps its place; what does not fit is left out.
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
        )
        with Progress(*columns, console=console, expand=True) as progress:
            yield _Bar(progress, title)
