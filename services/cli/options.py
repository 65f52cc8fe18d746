"""Options that several commands share."""

from typing import Annotated

import typer

from services.cli.connection import Target

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
MinRevision = Annotated[
    int,
    typer.Option(
        "--min-revision",
        min=0,
        help="The answer must reflect at least this revision of the catalog.",
    ),
]


def target_of(context: typer.Context, address: str | None, timeout: float | None) -> Target:
    """Return where to call: options of the command, else those before it, else the defaults."""
    before = context.obj if isinstance(context.obj, dict) else {}
    return Target(
        address or before.get("address") or DEFAULT_ADDRESS,
        timeout or before.get("timeout") or DEFAULT_TIMEOUT_SECONDS,
    )
