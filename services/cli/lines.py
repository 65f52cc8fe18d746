"""A text file as numbered lines, plain or gzip, with bounded memory."""

import codecs
import gzip
import io
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from services.cli.failures import WRONG_USE, Failure

# A JSON text may escape each character, so a row may be longer than the product that it makes.
MAX_ROW_CHARACTERS = 8 * 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
STDIN = Path("-")
# Stands for a line that was passed over, among lines that are pushed back.
PASSED_OVER = ""


class RowTooLong(Exception):
    """The row that begins at the line taken last is above MAX_ROW_CHARACTERS."""


class NumberedLines:
    """Iterates over the lines of a file, with their ends; `number` is that of the last one.

    Bytes that are not text of the encoding become lone surrogates (`holds_bad_bytes`).
    A line that is too long raises RowTooLong, and is passed over by then. A
    file that cannot be read on raises Failure.
    """

    def __init__(self, path: Path, *, encoding: str = "utf-8", newline: str = "") -> None:
        try:
            is_utf8 = codecs.lookup(encoding).name == "utf-8"
            "".encode(encoding)  # refuses those that are not of text, such as base64
        except LookupError:
            raise Failure(f"{encoding}: no such encoding", exit_code=WRONG_USE) from None
        self.path = path
        self._raw: BinaryIO = sys.stdin.buffer
        try:
            self.size_bytes = 0  # not known
            if path != STDIN:
                self._raw = path.open("rb", buffering=256 * 1024)
                self.size_bytes = path.stat().st_size
            content: BinaryIO = self._raw
            if self._raw.peek(2).startswith(_GZIP_MAGIC):  # type: ignore[attr-defined]
                content = gzip.GzipFile(fileobj=self._raw)  # type: ignore[assignment]
        except OSError as error:
            raise _unreadable(path, error) from None
        self._text = io.TextIOWrapper(
            content,
            encoding="utf-8-sig" if is_utf8 else encoding,
            errors="surrogateescape",
            newline=newline,
        )
        self._again: deque[str] = deque()
        self.number = 0
        self.is_at_end = False

    def __enter__(self) -> "NumberedLines":
        return self

    def __exit__(self, *_error: object) -> None:
        if self.path == STDIN:
            self._text.detach()  # or it would close standard input
        else:
            self._text.close()
            self._raw.close()

    @property
    def position_bytes(self) -> int:
        """Bytes of the file read so far, compressed ones where it is compressed."""
        try:
            return self._raw.tell()
        except (OSError, ValueError):  # a pipe, or closed
            return 0

    def push_back(self, lines: list[str]) -> None:
        """Give the lines that were taken last once more."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)
        self.is_at_end = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._again:
            self.number += 1
            line = self._again.popleft()
            if line == PASSED_OVER:
                raise RowTooLong
            return line
        line = self._read_line()
        if not line:
            self.is_at_end = True
            raise StopIteration
        self.number += 1
        if len(line) > MAX_ROW_CHARACTERS:
            while line and not line.endswith("\n"):
                line = self._read_line()
            raise RowTooLong
        return line

    def _read_line(self) -> str:
        try:
            return self._text.readline(MAX_ROW_CHARACTERS + 1)
        except (EOFError, zlib.error, OSError) as error:
            raise _unreadable(self.path, error, after_line=self.number) from None
        except UnicodeError:
            raise Failure(
                f"{self.path}: not {self._text.encoding} after line {self.number}",
                hint="pass the right --encoding",
            ) from None


def holds_bad_bytes(text: str) -> bool:
    """Tell whether bytes were read that are no text of the file's encoding."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _unreadable(path: Path, error: Exception, *, after_line: int = 0) -> Failure:
    if isinstance(error, FileNotFoundError):
        return Failure(f"{path}: no such file", exit_code=WRONG_USE)
    if isinstance(error, OSError) and error.strerror:
        return Failure(f"{path}: {error.strerror.lower()}", exit_code=WRONG_USE)
    return Failure(
        f"{path}: the compressed data are damaged or end too early, after line {after_line}",
        hint="what came before that line was imported; repeat with the whole file",
    )
