"""`vitrina spaces compare`: whether one space may take over from another."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli import options
from services.cli.connection import run
from services.cli.failures import FAILED, WRONG_USE, Failure
from services.cli.output import cell, console, error_console, inert, plain_table, print_json
from services.cli.progress import stage

COMPARE_EPILOG = """Examples

  vitrina spaces compare OLD NEW --queries queries.tsv && vitrina spaces use NEW

  vitrina spaces compare OLD NEW --queries queries.tsv --qrels qrels.tsv --min-ndcg-gain 0.01

Queries and judgments are files as in `vitrina eval`. Ends with 1 unless NEW passes, by meaning \
alone and beside words: with judgments if its nDCG@10 is better by the gain, without if their \
first 10 results have so much in common. With both options both count."""

MIN_OVERLAP = 0.6


def compare(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The space that answers now.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The one that may take over.")],
    *,
    queries: Annotated[
        Path, typer.Option(metavar="FILE", help="Lines of id, tab, text; plain or gzip.")
    ],
    qrels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Lines of query 0 product grade; plain or gzip."),
    ] = None,
    min_overlap: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help=f"Of the first 10 results; {MIN_OVERLAP:g} without judgments.",
        ),
    ] = None,
    min_ndcg_gain: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="Of nDCG@10, with judgments; 0 by default."),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Queries in flight.")] = 4,
    encoding: Annotated[str, typer.Option(help="Of both files' text.")] = "utf-8",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Ask two spaces the same queries, and tell whether the second one passes the gate."""
    if qrels is None and min_ndcg_gain is not None:
        raise Failure("--min-ndcg-gain needs judgments: --qrels", exit_code=WRONG_USE)
    from services.cli.judgment.asking import ask, side_of
    from services.cli.judgment.command import require_libraries
    from services.cli.judgment.configs import Config
    from services.cli.judgment.files import JudgedQueries, read_judged_queries, read_texts
    from services.cli.judgment.gate import MODES, Gate, compared

    if qrels is not None:
        require_libraries(with_test=True, with_plot=False)
        judged = read_judged_queries(queries, qrels, encoding=encoding)
    else:
        judged = JudgedQueries(read_texts(queries, encoding))
    gate = Gate(
        min_overlap=min_overlap if qrels or min_overlap is not None else MIN_OVERLAP,
        min_ndcg_gain=(min_ndcg_gain or 0.0) if qrels else None,
    )
    target = options.target_of(context, address, timeout)
    sides = [
        side_of(f"{mode.value} {space}", Config(mode=mode.value, space=space), target)
        for mode in MODES
        for space in (old, new)
    ]
    with stage("asking", is_silent=as_json) as bar:
        run(ask(sides, judged.texts, concurrency=concurrency, bar=bar))
    comparison = compared(judged, sides, gate)
    if as_json:
        print_json(comparison.as_json())
    else:
        table = plain_table()
        for title in ("mode", "overlap@10", "nDCG@10 old", "new", "new - old", "p", "queries"):
            table.add_column(title, justify="left" if title == "mode" else "right", no_wrap=True)
        for each in comparison.modes:
            table.add_row(*(cell(text) for text in each.cells()))
        console().print(table)
    for problem in comparison.problems:
        error_console().print(inert(problem), style="red", soft_wrap=True)
    if comparison.problems:
        raise typer.Exit(FAILED)
    if not as_json:
        console().print("passed", style="green")
