"""`vitrina index check`: how many of the truly nearest products searches find."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli import options
from services.cli.connection import ask
from services.cli.failures import FAILED, WRONG_USE, Failure
from services.cli.judgment.files import read_texts
from services.cli.output import cell, console, count, error_console, plain_table, print_json
from services.cli.wrong_text import with_text_shown
from vitrina.search.v1 import search_pb2

EPILOG = """Examples

  vitrina index check

  vitrina index check --queries queries.tsv -k 100 --filter 'price < 100' --min-recall 0.97"""

CHECK_EPILOG = f"""{EPILOG}

Each query is searched as always, and compared with every vector besides: at a million \
products that takes a good part of a second each. Queries are a file as in `vitrina eval`; \
without one, stored vectors are moved a little and taken. Ends with 1 below --min-recall."""

DEFAULT_TIMEOUT_SECONDS = 300.0
_PLANS = {
    search_pb2.STRATEGY_EXACT: "exact: every vector that passes was compared",
    search_pb2.STRATEGY_GRAPH: "graph",
    search_pb2.STRATEGY_SIFT: "sift: the signs of every vector that passes, then the best of them",
}

app = typer.Typer(
    help="How good the index of vectors is.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def index() -> None:
    """Hold the subcommands."""


@app.command("check", epilog=CHECK_EPILOG)
def check(
    context: typer.Context,
    *,
    queries: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Lines of id, tab, text; plain or gzip."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="So many stored vectors are the queries; else 100."),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", min=1, max=100, help="How many nearest products to find.")
    ] = 10,
    filter_text: options.Filter = "",
    space: Annotated[
        str, typer.Option(metavar="ID", help="As `vitrina spaces` shows it; else the one in use.")
    ] = "",
    min_recall: Annotated[
        float | None, typer.Option(min=0, max=1, help="What is below it ends with 1.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of the file's text.")] = "utf-8",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.001,
            max=3600,
            help=f"How long all may take; {DEFAULT_TIMEOUT_SECONDS:g} by default.",
        ),
    ] = None,
) -> None:
    """Measure recall: what searches find, beside an exact scan of all that passes."""
    if queries is not None and sample is not None:
        raise Failure("either --queries or --sample", exit_code=WRONG_USE)
    target = options.target_of(context, address, timeout, DEFAULT_TIMEOUT_SECONDS)
    request = search_pb2.CheckIndexRequest(
        space=space,
        queries=read_texts(queries, encoding).values() if queries is not None else (),
        sample=sample or 0,
        k=k,
        filter=filter_text,
    )
    response: search_pb2.CheckIndexResponse
    try:
        response = ask(target, lambda gateway: gateway.search.CheckIndex, request)
    except Failure as failure:
        raise with_text_shown(failure, {"filter": filter_text}) from None
    if as_json:
        print_json(response)
    else:
        _show(response)
    if min_recall is not None and response.recall.recall < min_recall:
        problem = f"recall {response.recall.recall:.4f}, below {min_recall:g}"
        error_console().print(problem, style="red", soft_wrap=True)
        raise typer.Exit(FAILED)


def _show(response: search_pb2.CheckIndexResponse) -> None:
    recall, plan = response.recall, response.plan
    table = plain_table()
    table.show_header = False
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    table.add_row(cell("space"), cell(response.space))
    table.add_row(cell(f"recall@{recall.k}"), cell(f"{recall.recall:.4f}", "bold"))
    table.add_row(cell("worst query"), cell(f"{recall.worst:.4f}"))
    table.add_row(cell("queries"), cell(f"{recall.queries:,}"))
    table.add_row(cell("plan"), cell(_PLANS.get(plan.strategy, "unknown")))
    passing = f"{count(plan.vectors, 'vector')}, {plan.passing:,} passed"
    table.add_row(cell("products"), cell(passing))
    table.add_row(cell("search"), cell(f"{response.search_ms:.2f} ms"))
    table.add_row(cell("exact scan"), cell(f"{response.scan_ms:.2f} ms"))
    console().print(table)
