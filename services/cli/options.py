"""Options that several commands share."""

from enum import StrEnum
from typing import Annotated

import typer

from services.cli.connection import Target
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
Facets = Annotated[
    list[str] | None,
    typer.Option(
        "--facet",
        metavar="FIELD",
        help="Count the result by brand, category, 'price(0,50,100)', attributes.<name>; "
        "several times for several.",
    ),
]
OrderBy = Annotated[
    str,
    typer.Option(
        "--order-by",
        metavar="FIELDS",
        help="Instead of relevance: 'price desc, name'. Fields: price, name, brand, stock, "
        "create_time, update_time, attributes.<name>.",
    ),
]
Diversity = Annotated[
    float,
    typer.Option(
        "--diversity", min=0, max=1, help="How much a product must differ from those above it."
    ),
]
PageToken = Annotated[
    str, typer.Option("--page-token", metavar="TOKEN", help="Go on behind the page that gave it.")
]
Author = Annotated[
    str,
    typer.Option(
        "--author",
        metavar="NAME",
        envvar="VITRINA_AUTHOR",
        help="Who changes it, for the log.",
    ),
]
Confirmed = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
MinRevision = Annotated[
    int,
    typer.Option(
        "--min-revision",
        min=0,
        help="The answer must reflect at least this revision of the catalog.",
    ),
]


class Mode(StrEnum):
    """What ranks."""

    HYBRID = "hybrid"
    LEXICAL = "lexical"
    SEMANTIC = "semantic"

    @property
    def in_requests(self) -> search_pb2.Mode.ValueType:
        """The same, as requests hold it."""
        return search_pb2.Mode.Value(f"MODE_{self.name}")


def target_of(
    context: typer.Context,
    address: str | None,
    timeout: float | None,
    default_timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
) -> Target:
    """Return where to call: options of the command, else those before it, else the defaults."""
    before = context.obj if isinstance(context.obj, dict) else {}
    return Target(
        address or before.get("address") or DEFAULT_ADDRESS,
        timeout or before.get("timeout") or default_timeout_seconds,
    )
