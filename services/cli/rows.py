"""Files to rows: JSON lines and CSV, each row with the line where it begins."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from services.cli.failures import WRONG_USE, Failure
from services.cli.lines import (
    MAX_ROW_CHARACTERS,
    PASSED_OVER,
    NumberedLines,
    RowTooLong,
    holds_bad_bytes,
)

TOO_LONG = f"the row is longer than {MAX_ROW_CHARACTERS // 1024 // 1024} Mi characters"
BAD_BYTES = "bytes that are not {} (is the file in another --encoding?)"
_MAX_KEPT_CHARACTERS = 2000
UNCLOSED_QUOTE = "a quote is opened and not closed, or a line break cuts the row"


class FileFormat(StrEnum):
    """How a file holds its rows."""

    JSONL = "jsonl"
    CSV = "csv"


_decode_json = json.JSONDecoder(parse_float=Decimal, parse_constant=lambda _: None).decode


@dataclass(slots=True)
class Row:
    """One row: its values by name, or the problem that keeps it from having any.

    Values are JSON values, with Decimal in place of float; of CSV all are str.
    `raw` is the text as read.
    """

    line: int
    raw: str
    values: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    def forget(self) -> None:
        """Keep what names the row to its owner, so that many of them take little memory."""
        self.values = {}
        self.raw = self.raw.rstrip("\r\n")
        if len(self.raw) > _MAX_KEPT_CHARACTERS:
            self.raw = f"{self.raw[:_MAX_KEPT_CHARACTERS]}… ({len(self.raw)} characters)"


def json_rows(lines: NumberedLines, *, encoding: str) -> Iterator[Row]:
    """Read one JSON object a line. NaN and Infinity, which are not JSON, count as null."""
    is_first = True
    while True:
        try:
            text = next(lines)
        except StopIteration:
            return
        except RowTooLong:
            yield Row(lines.number, "", problem=TOO_LONG)
            continue
        if text.isspace():
            continue
        row = Row(lines.number, text)
        if holds_bad_bytes(text):
            row.problem = BAD_BYTES.format(encoding)
        else:
            _decode(row)
        if row.problem and is_first and text.lstrip().startswith("["):
            raise Failure(
                f"{lines.path}: a JSON array; one JSON object a line is needed",
                hint="turn it into lines with: jq -c '.[]' FILE > products.jsonl",
                exit_code=WRONG_USE,
            )
        is_first = False
        yield row


def _decode(row: Row) -> None:
    try:
        value = _decode_json(row.raw)
    except json.JSONDecodeError as error:
        row.problem = f"bad JSON: {error.msg[:1].lower()}{error.msg[1:]}, column {error.colno}"
    except (ValueError, RecursionError):
        row.problem = "bad JSON: a number too long, or nested too deeply"
    else:
        if isinstance(value, dict):
            row.values = value
        else:
            row.problem = "not a JSON object"


class CsvRows:
    """Reads CSV with a header. `columns` are its names, made unique; unnamed ones are empty.

    A quote that is never closed costs its own line only: the lines that it
    would have swallowed are read again.
    """

    def __init__(self, lines: NumberedLines, *, encoding: str, delimiter: str = "") -> None:
        # Cells of a legitimate row may be longer than the csv module's default.
        csv.field_size_limit(MAX_ROW_CHARACTERS + 1)
        self._lines = lines
        self._encoding = encoding
        self._taken: list[str] = []
        self._taken_characters = 0
        first = self._first_line()
        self._delimiter = delimiter or _likeliest_delimiter(first)
        self._lines.push_back([first])
        self._reader = csv.reader(self._feed(), delimiter=self._delimiter)
        header = self._next_record()
        if not header or (self._lines.is_at_end and self._taken):
            raise Failure(f"{lines.path}: the header cannot be read", exit_code=WRONG_USE)
        if holds_bad_bytes("".join(header)):
            raise Failure(
                f"{lines.path}: the header is not {encoding}",
                hint="pass the right --encoding, for example cp1252",
                exit_code=WRONG_USE,
            )
        self.columns = _unique([name.strip() for name in header])

    def _first_line(self) -> str:
        try:
            for line in self._lines:
                # Spreadsheets may put their delimiter into a line of its own.
                if line.strip() and not re.fullmatch(r"sep=.\s*", line):
                    return line
        except RowTooLong:
            pass
        raise Failure(f"{self._lines.path}: no header", exit_code=WRONG_USE)

    def _feed(self) -> Iterator[str]:
        while True:
            try:
                line = next(self._lines)
            except StopIteration:
                return
            except RowTooLong:
                if self._taken:
                    self._taken.append(PASSED_OVER)
                raise
            self._taken.append(line)
            self._taken_characters += len(line)
            if self._taken_characters > MAX_ROW_CHARACTERS:
                raise RowTooLong
            yield line

    def _next_record(self) -> list[str] | None:
        self._taken = []
        self._taken_characters = 0
        try:
            return next(self._reader)
        except StopIteration:
            return None
        except (RowTooLong, csv.Error):
            # The feed and the reader are spent by the error.
            self._reader = csv.reader(self._feed(), delimiter=self._delimiter)
            return []

    def __iter__(self) -> Iterator[Row]:
        while (cells := self._next_record()) is not None:
            taken = self._taken
            row = Row(self._lines.number - max(0, len(taken) - 1), "".join(taken))
            if not any(cells) and not row.raw.strip(f'\r\n" \t{self._delimiter}'):
                if taken:
                    continue
                row.problem = TOO_LONG  # of a single line; it was passed over
            elif self._is_torn(cells):
                row.problem = UNCLOSED_QUOTE
                row.raw = taken[0]
                self._lines.push_back(taken[1:])
                self._reader = csv.reader(self._feed(), delimiter=self._delimiter)
            elif holds_bad_bytes(row.raw):
                row.problem = BAD_BYTES.format(self._encoding)
            elif len(cells) < len(self.columns) or any(cells[len(self.columns) :]):
                row.problem = f"{len(cells)} columns; the header has {len(self.columns)}"
            if not row.problem:
                row.values = {
                    name: cell for name, cell in zip(self.columns, cells, strict=False) if name
                }
            yield row

    def _is_torn(self, cells: list[str]) -> bool:
        """Tell whether a record swallowed lines that are not its own."""
        if len(self._taken) < 2 and not self._lines.is_at_end:
            return False
        if len(cells) != len(self.columns):
            return True
        try:
            # Strict: text after a closing quote shows that the quotes are paired wrongly.
            next(csv.reader(self._taken, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return True
        return False


def _likeliest_delimiter(header: str) -> str:
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(",;\t|", key=unquoted.count)


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(f"{name} ({seen[name]})" if name and seen[name] > 1 else name)
    return result
