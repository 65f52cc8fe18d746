"""A file and how to read it: from its bytes to batches of products."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.convert import Converter
from services.cli.failures import WRONG_USE, Failure
from services.cli.lines import NumberedLines
from services.cli.mapping import fields_of_columns, fields_of_keys
from services.cli.prices import DecimalMark
from services.cli.rows import CsvRows, FileFormat, json_rows
from services.cli.uploading import MAX_BATCH_PRODUCTS, Batch, batches_of

_FORMATS = {
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
    ".json": FileFormat.JSONL,
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
}


def format_of(path: Path) -> FileFormat:
    """Return the format that the file's name tells, or fail."""
    name = path.with_suffix("") if path.suffix == ".gz" else path
    try:
        return _FORMATS[name.suffix.lower()]
    except KeyError:
        raise Failure(
            f"{path}: the name does not tell the format",
            hint="pass --format jsonl or --format csv",
            exit_code=WRONG_USE,
        ) from None


@dataclass(frozen=True)
class Source:
    """A file, and how to read it."""

    path: Path
    format: FileFormat
    encoding: str = "utf-8"
    delimiter: str = ""
    mapping: dict[str, str] = field(default_factory=dict)
    decimal_mark: DecimalMark = DecimalMark.AUTO
    currency: str = ""
    batch_size: int = MAX_BATCH_PRODUCTS

    @contextmanager
    def open(self) -> Iterator[tuple[NumberedLines, Iterator[Batch]]]:
        """Open the file; give its lines, for the position, and its batches."""
        is_csv = self.format is FileFormat.CSV
        with NumberedLines(
            self.path, encoding=self.encoding, newline="" if is_csv else "\n"
        ) as lines:
            if is_csv:
                table = CsvRows(lines, encoding=self.encoding, delimiter=self.delimiter)
                fields = fields_of_columns(table.columns, self.mapping)
                rows = iter(table)
            else:
                fields = fields_of_keys(self.mapping)
                rows = json_rows(lines, encoding=self.encoding)
            converter = Converter(fields, decimal_mark=self.decimal_mark, currency=self.currency)
            yield lines, batches_of(rows, converter, batch_size=self.batch_size)
