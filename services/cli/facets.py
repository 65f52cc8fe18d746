"""The result of a search by the values of fields, as people read it."""

from collections.abc import Sequence

from rich.columns import Columns
from rich.table import Table
from rich.text import Text

from services.cli.output import cell, console, on_one_line, plain_table
from vitrina.catalog.v1 import facet_pb2

_LONGEST_VALUE = 40


def _counted(number: int, kind: int) -> str:
    """Return "1,200", or "≥1,200" where there may be more."""
    sign = "≥" if kind == facet_pb2.COUNT_KIND_LOWER_BOUND else ""
    return f"{sign}{number:,}"


def show_facets(facets: Sequence[facet_pb2.Facet]) -> None:
    """Print a table for each facet, side by side as far as there is room."""
    if not facets:
        return
    out = console()
    out.print(Columns([_table(facet) for facet in facets], padding=(1, 4)))
    out.print()


def _table(facet: facet_pb2.Facet) -> Table:
    table = plain_table(facet.field)
    table.show_header = False
    table.add_column(max_width=_LONGEST_VALUE)
    table.add_column(justify="right", no_wrap=True)
    for value in facet.values:
        # A range without products is told all the same.
        style = "" if value.count else "dim"
        number = _counted(value.count, facet.kind)
        table.add_row(on_one_line(cell(value.value, style)), cell(number, style))
    for name, left in (("(others)", facet.other_count), ("(none)", facet.missing_count)):
        if left:
            table.add_row(Text(name, "dim"), Text(_counted(left, facet.kind), "dim"))
    if not table.row_count:
        table.add_row(Text("no product has a value", "dim"), "")
    return table
