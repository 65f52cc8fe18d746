"""`vitrina eval`: its options, and how it ends."""

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from services.cli import options
from services.cli.connection import run
from services.cli.failures import FAILED, Failure
from services.cli.output import print_json
from services.cli.progress import stage

EPILOG = """Examples

  vitrina eval --queries queries.tsv --qrels qrels.tsv

  vitrina eval --queries queries.tsv --qrels qrels.tsv --against mode=lexical --plot gain.png

  vitrina eval --queries queries.tsv --qrels qrels.tsv --config semantic_weight=0.3 \
--against old.toml

Queries are lines of id, tab, text; judgments those of TREC: query 0 product grade, where 0 is \
irrelevant. A config is a TOML file or key=value,key=value with mode, semantic_weight, literal, \
filter, category, order_by, diversity, without_rules, space, address. Needs \
the extra libraries of vitrina\\[eval]."""


def evaluate_answers(
    context: typer.Context,
    *,
    queries: Annotated[
        Path, typer.Option(metavar="FILE", help="Lines of id, tab, text; plain or gzip.")
    ],
    qrels: Annotated[
        Path, typer.Option(metavar="FILE", help="Lines of query 0 product grade; plain or gzip.")
    ],
    config: Annotated[
        str, typer.Option(metavar="CONFIG", help="How to ask; the gateway's defaults otherwise.")
    ] = "",
    against: Annotated[
        str, typer.Option(metavar="CONFIG", help="Another way to ask, to compare with.")
    ] = "",
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw it into this file.")
    ] = None,
    per_query: Annotated[
        bool, typer.Option("--per-query", help="Show the measures of each query.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="Queries in flight; latencies depend on it.")
    ] = 4,
    encoding: Annotated[str, typer.Option(help="Of both files' text.")] = "utf-8",
    as_json: options.AsJson = False,
    address: options.Address = None,
    timeout: options.Timeout = None,
) -> None:
    """Measure how good the answers are, by queries with judged products."""
    require_libraries(with_test=bool(against), with_plot=plot is not None)
    from services.cli.judgment.asking import ask, side_of
    from services.cli.judgment.configs import Config, parse_config
    from services.cli.judgment.evaluation import as_json as json_of
    from services.cli.judgment.evaluation import evaluate
    from services.cli.judgment.files import read_judged_queries
    from services.cli.judgment.plotting import check_plot_path, draw
    from services.cli.judgment.report import show

    if plot is not None:
        check_plot_path(plot)
    target = options.target_of(context, address, timeout)
    first = parse_config(config, option="--config") if config else Config()
    sides = [side_of("A", first, target)]
    if against:
        sides.append(side_of("B", parse_config(against, option="--against"), target))
    judged = read_judged_queries(queries, qrels, encoding=encoding)
    with stage("asking", is_silent=as_json) as bar:
        run(ask(sides, judged.texts, concurrency=concurrency, bar=bar))
    evaluation = evaluate(judged, sides)
    if as_json:
        print_json(json_of(evaluation, per_query=per_query))
    else:
        show(evaluation, per_query=per_query)
    if plot is not None:
        draw(evaluation, plot)
    if evaluation.has_errors:
        raise typer.Exit(FAILED)


def require_libraries(*, with_test: bool, with_plot: bool) -> None:
    """Fail before anything is asked if a library is not there."""
    if with_plot:
        from services.cli.judgment.plotting import settle_matplotlib

        settle_matplotlib()
    needed = ["ir_measures", *["scipy"] * with_test, *["matplotlib"] * with_plot]
    for library in needed:
        try:
            import_module(library)
        except ImportError:
            raise Failure(
                f"vitrina eval needs {library}, which is not installed",
                hint="pip install 'vitrina[eval]'",
            ) from None
