"""Options that several commands share."""

import re
from enum import StrEnum
from typing import Annotated

import typer
from rich.cells import cell_len

from services.cli.connection import Target
from services.cli.failures import WRONG_USE, Failure
from services.cli.output import inert
from vitrina.search.v1 import search_pb2

DEFAULT_ADDRESS = "127.0.0.1:50050"
DEFAULT_TIMEOUT_SECONDS = 10.0

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help=f"The gateway: VITRINA_ADDRESS by default, else {DEFAULT_ADDRESS}.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.001,
        max=60,
        help=f"How long one answer may take; {DEFAULT_TIMEOUT_SECONDS:g} by default.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON, for programs.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many at most.")]
Category = Annotated[
    str,
    typer.Option(
        "--category", "-c", help='Only this one and those below it: "Audio > Headphones".'
    ),
]
Filter = Annotated[
    str,
    typer.Option(
        "--filter",
        "-f",
        metavar="TEXT",
        help="Only products that pass: 'price < 500 AND brand = \"Dell\"'. Fields: category, "
        "brand, price, stock, active, attributes.<name>.",
    ),
]
MinRevision = Annotated[
    int,
    typer.Option(
        "--min-revision",
        min=0,
        help="The answer must reflect at least this revision of the catalog.",
    ),
]

# What is shown of a filter around the place where it is wrong.
_SHOWN_BEFORE, _SHOWN_AFTER = 48, 24
_FILTER_PROBLEM = re.compile(r"filter: (?:at position (\d+): )?")


class Mode(StrEnum):
    """What ranks."""

    HYBRID = "hybrid"
    LEXICAL = "lexical"
    SEMANTIC = "semantic"

    @property
    def in_requests(self) -> search_pb2.Mode.ValueType:
        """The same, as requests hold it."""
        return search_pb2.Mode.Value(f"MODE_{self.name}")


def target_of(context: typer.Context, address: str | None, timeout: float | None) -> Target:
    """Return where to call: options of the command, else those before it, else the defaults."""
    before = context.obj if isinstance(context.obj, dict) else {}
    return Target(
        address or before.get("address") or DEFAULT_ADDRESS,
        timeout or before.get("timeout") or DEFAULT_TIMEOUT_SECONDS,
    )


def filter_failure(failure: Failure, filter_text: str) -> Failure:
    """Return a failure as wrong use, with the wrong place marked, if the filter is to blame."""
    problem = _FILTER_PROBLEM.match(failure.message)
    if problem is None:
        return failure
    message = failure.message
    if problem[1]:
        message += "\n" + _marked(filter_text, int(problem[1]) - 1)
    return Failure(message, hint=failure.hint, exit_code=WRONG_USE)


def _marked(text: str, place: int) -> str:
    """Return the text around a place, counted from 0, and a line with a caret below it."""
    start, end = max(0, place - _SHOWN_BEFORE), place + _SHOWN_AFTER
    before = ("…" if start else "") + inert(text[start:place])
    after = inert(text[place:end]) + ("…" if end < len(text) else "")
    return f"  {before}{after}\n  {' ' * cell_len(before)}^"
