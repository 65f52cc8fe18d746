"""Tables of figures: shown on the terminal, and kept as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.cli.output import cell, console, plain_table


@dataclass
class Sheet:
    """A table; the first column names the row, and figures stand to the right."""

    title: str
    columns: Sequence[str]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    # What must be known to read it.
    notes: Sequence[str] = ()
    has_figures: bool = True

    def show(self) -> None:
        """Print it."""
        table = plain_table(self.title)
        for number, column in enumerate(self.columns):
            is_figure = number and self.has_figures
            table.add_column(column, justify="right" if is_figure else "left")
        for row in self.rows:
            table.add_row(*map(cell, row))
        out = console()
        out.print(table)
        for note in self.notes:
            out.print(note, style="dim", soft_wrap=True)
        out.print()

    def as_markdown(self) -> str:
        """Return it as a section of a document."""
        side = " ---: |" if self.has_figures else " --- |"
        lines = [
            f"### {self.title}",
            "",
            _line(self.columns),
            "| --- |" + side * (len(self.columns) - 1),
            *map(_line, self.rows),
            "",
        ]
        for note in self.notes:
            lines += [note, ""]
        return "\n".join(lines)


def publish(sheets: Sequence[Sheet], markdown: Path | None) -> None:
    """Write the tables to a file if there is one, and print them."""
    if markdown is not None:
        text = "\n".join(sheet.as_markdown() for sheet in sheets)
        markdown.write_text(text, encoding="utf-8")
    for sheet in sheets:
        sheet.show()


def share(part: int, whole: int) -> str:
    """Return a share as a figure of three decimals."""
    return f"{part / whole:.3f}" if whole else "-"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(each.replace('|', '&#124;') for each in cells)} |"
