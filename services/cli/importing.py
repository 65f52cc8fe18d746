"""`vitrina import`: products from a file."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli import options, rejects
from services.cli.connection import run
from services.cli.failures import SOME_REJECTED, WRONG_USE, Failure
from services.cli.import_run import Report, import_file
from services.cli.lines import STDIN
from services.cli.mapping import parse_mapping
from services.cli.output import cell, console, count, plain_table, print_json
from services.cli.prices import DecimalMark, is_currency
from services.cli.rejects import RejectsFile
from services.cli.rows import FileFormat
from services.cli.sources import Source, format_of
from services.cli.uploading import MAX_BATCH_PRODUCTS

EPILOG = """Examples

  vitrina import products.jsonl --wait

  vitrina import products.csv.gz --map id=SKU,name=Title,price="Price, EUR"

  vitrina import export.csv --encoding cp1252 --decimal comma --currency EUR

Rows that cannot go in are written to FILE.rejects.jsonl in the current folder, each with its \
line and the reason; all others go in. An import may be stopped and repeated: what is stored \
already stays as it is. A language is two letters (es, ES), or a tag that begins with them \
(es-ES)."""


def import_products(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON lines or CSV, plain or gzip; - is stdin.")
    ],
    *,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN,…",
            help="Which column (or JSON key, dotted inside of objects) is which field. "
            "Columns with a field's name map by themselves, all others become attributes; "
            "attribute=COLUMN makes one of a column with a field's name.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        FileFormat | None, typer.Option(help="Where the file's name does not tell.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of the file's text.")] = "utf-8",
    delimiter: Annotated[
        str, typer.Option(metavar="CHAR", help="Of CSV; by default read off the header.")
    ] = "",
    decimal: Annotated[
        DecimalMark, typer.Option(help='What "1.234" means, where the mark may be either.')
    ] = DecimalMark.AUTO,
    currency: Annotated[
        str, typer.Option(metavar="CODE", help="Of prices that name none, for example EUR.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until searches find what went in.")] = False,
    rejects_path: Annotated[
        Path | None,
        typer.Option("--rejects", metavar="PATH", help="Where rejected rows are written."),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=MAX_BATCH_PRODUCTS, help="Products in one call.")
    ] = MAX_BATCH_PRODUCTS,
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Import products from a file, and go on where something fails for a moment."""
    source = Source(
        path=file,
        format=format or format_of(file),
        encoding=encoding,
        delimiter=_delimiter(delimiter),
        mapping=parse_mapping(mapping or ()),
        decimal_mark=decimal,
        currency=_currency(currency),
        batch_size=batch_size,
    )
    kept = RejectsFile(rejects_path or rejects.default_path(file))
    if file != STDIN and rejects.same_file(kept.path, file):
        raise Failure("--rejects names the imported file itself", exit_code=WRONG_USE)
    target = options.target_of(context, address, timeout)
    report = run(import_file(source, target, kept, wait=wait, is_silent=as_json))
    if as_json:
        print_json(report.as_json())
    else:
        show_report(report)
    if report.failure is not None:
        raise report.failure
    if report.tally.rejected:
        raise typer.Exit(SOME_REJECTED)


def _delimiter(text: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(delimiter) > 1 or delimiter in ("\n", "\r", '"'):
        raise Failure(f"--delimiter {text!r}: must be one character or tab", exit_code=WRONG_USE)
    return delimiter


def _currency(text: str) -> str:
    code = text.upper()
    if code and not is_currency(code):
        raise Failure(
            f"--currency {text}: must be a code of ISO 4217, for example EUR", exit_code=WRONG_USE
        )
    return code


def show_report(report: Report) -> None:
    """Print the summary, and the first rows that were rejected."""
    tally, out = report.tally, console()
    rate = f", {tally.rows / report.seconds:,.0f} rows/s" if report.seconds else ""
    state = "stopped after" if report.failure else "read"
    out.print(f"{state} {count(tally.rows, 'row')} in {report.seconds:.1f} s{rate}")
    table = plain_table()
    table.show_header = False
    table.add_column(justify="right")
    table.add_column()
    for number, what, style in (
        (tally.stored, f"stored, up to revision {tally.revision}", "green"),
        (tally.created, "  new", ""),
        (tally.updated, "  changed", ""),
        (tally.unchanged, "  the same as before", ""),
        (tally.without_price, "  without a price", "yellow"),
        (tally.rejected, "rejected", "red"),
    ):
        if number or what.startswith("stored"):
            table.add_row(cell(f"{number:,}", style), cell(what, style))
    out.print(table)
    if report.searchable_seconds is not None:
        out.print(f"searchable {report.searchable_seconds:.1f} s later", style="green")
    if report.rejects.is_written:
        _show_rejects(report.rejects, tally.rejected)


def _show_rejects(kept: RejectsFile, rejected: int) -> None:
    table = plain_table()
    table.add_column("line", justify="right")
    table.add_column("id", max_width=30, no_wrap=True)
    table.add_column("why rejected")
    for row in kept.first:
        table.add_row(cell(row.line), cell(row.id), cell(row.reason))
    console().print(table)
    rest = rejected - len(kept.first)
    more = f"and {rest:,} more; " if rest else ""
    console().print(f"{more}all are in {kept.path}", style="dim")
