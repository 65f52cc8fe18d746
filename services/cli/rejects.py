"""The rows that did not go in: a file of them, and the first few for the screen."""

from pathlib import Path
from typing import TextIO

from services.cli.failures import WRONG_USE, Failure
from services.cli.output import json_line
from services.cli.uploading import Rejected

SHOWN = 5


class RejectsFile:
    """Writes {"line", "id", "reason", "row"} lines; the file begins with the first of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first: list[Rejected] = []
        self._file: TextIO | None = None

    def add(self, rejected: Rejected) -> None:
        """Write one row."""
        if len(self.first) < SHOWN:
            self.first.append(rejected)
        line = json_line(
            {
                "line": rejected.line,
                "id": rejected.id[:512],
                "reason": rejected.reason,
                "row": rejected.raw,
            }
        )
        self._opened().write(line + "\n")

    def close(self) -> None:
        """Close the file if there is one."""
        if self._file is not None:
            self._file.close()

    @property
    def is_written(self) -> bool:
        """Tell whether there is a file."""
        return self._file is not None

    def _opened(self) -> TextIO:
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8")
            except OSError as error:
                raise Failure(
                    f"{self.path}: rejected rows cannot be written there: {error.strerror}",
                    hint="name another file with --rejects",
                    exit_code=WRONG_USE,
                ) from None
        return self._file


def default_path(imported: Path) -> Path:
    """Return where rejects go by default: the current folder, beside no one's data."""
    name = imported.name if imported.name not in ("", "-") else "stdin"
    return Path(f"{name}.rejects.jsonl")


def same_file(left: Path, right: Path) -> bool:
    """Tell whether two paths are one file."""
    return left.resolve() == right.resolve()
