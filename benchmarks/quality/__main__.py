"""`python -m benchmarks.quality typos|spanish|ablation|int8`: each prints its tables."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TypeAlias

from benchmarks.quality import ablation, int8, spanish, typos
from benchmarks.quality.clean import products_of
from benchmarks.quality.sheets import publish
from services.cli.connection import Target
from services.cli.failures import Failure
from services.cli.judgment.files import read_judged_queries
from services.cli.mapping import parse_mapping

_TIMEOUT_SECONDS = 10.0

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _run_typos(options: argparse.Namespace) -> None:
    target = Target(options.address, _TIMEOUT_SECONDS)
    products = products_of(options.catalog, parse_mapping(options.map))
    clean = typos.clean_run(target, products, options.queries, options.seed)
    if not clean.queries:
        raise Failure("no clean query finds its product: is this the catalog that is searched?")
    cases = typos.cases_of(clean.queries, products, options.seed)
    outcomes = typos.outcomes_of(target, cases)
    if options.lost is not None:
        typos.write_lost(options.lost, clean, outcomes)
    publish(typos.sheets_of(clean, outcomes, options.catalog, options.seed), options.markdown)


def _run_spanish(options: argparse.Namespace) -> None:
    pages = spanish.pages_of(Target(options.address, _TIMEOUT_SECONDS))
    publish([spanish.sheet_of(pages)], options.markdown)


def _run_ablation(options: argparse.Namespace) -> None:
    judged = read_judged_queries(options.queries, options.qrels)
    with tempfile.TemporaryDirectory(prefix="vitrina-ablation-") as folder:
        data_dir = options.data_dir or Path(folder) / "data"
        answers = ablation.answers_of(judged, data_dir, options.catalog)
    publish([ablation.sheet_of(judged, answers)], options.markdown)


def _run_int8(options: argparse.Namespace) -> None:
    judged = read_judged_queries(options.queries, options.qrels)
    with tempfile.TemporaryDirectory(prefix="vitrina-int8-") as folder:
        data_dir = options.data_dir or Path(folder) / "data"
        answers = int8.answers_of(judged, data_dir, options.catalog, options.float_folder)
    publish([int8.sheet_of(judged, answers)], options.markdown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure how good the answers are.")
    commands = parser.add_subparsers(required=True)
    for add in (_add_typos, _add_spanish, _add_ablation, _add_int8):
        command = add(commands)
        command.add_argument("--markdown", type=Path, metavar="FILE", help="the tables as well")
    return parser


def _add_typos(commands: _Commands) -> argparse.ArgumentParser:
    command = commands.add_parser("typos", help="misspelt queries of a catalog's own words")
    command.add_argument("--address", required=True, metavar="HOST:PORT")
    command.add_argument("catalog", type=Path, help="the file that was imported, JSONL or CSV")
    command.add_argument("--map", action="append", default=[], metavar="FIELD=COLUMN")
    command.add_argument("--queries", type=int, default=500, help="clean queries")
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--lost", type=Path, metavar="FILE.tsv", help="what is not kept")
    command.set_defaults(run=_run_typos)
    return command


def _add_spanish(commands: _Commands) -> argparse.ArgumentParser:
    command = commands.add_parser("spanish", help="queries to a supermarket, and what comes first")
    command.add_argument("--address", required=True, metavar="HOST:PORT")
    command.set_defaults(run=_run_spanish)
    return command


def _add_ablation(commands: _Commands) -> argparse.ArgumentParser:
    command = commands.add_parser("ablation", help="judged queries, with parts changed or left out")
    _add_judged_catalog(command)
    command.set_defaults(run=_run_ablation)
    return command


def _add_int8(commands: _Commands) -> argparse.ArgumentParser:
    command = commands.add_parser("int8", help="judged queries, with the int8 and the float model")
    _add_judged_catalog(command)
    command.add_argument(
        "--float", dest="float_folder", type=Path, required=True, metavar="FOLDER",
        help="the float model, laid out as the bundled one",
    )  # fmt: skip
    command.set_defaults(run=_run_int8)
    return command


def _add_judged_catalog(command: argparse.ArgumentParser) -> None:
    command.add_argument("--queries", type=Path, required=True, metavar="FILE.tsv")
    command.add_argument("--qrels", type=Path, required=True, metavar="FILE.tsv")
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--catalog", type=Path, help="imported into a folder of its own")
    source.add_argument("--data-dir", type=Path, help="of a stack that is down, imported already")


def main() -> int:
    """Run one measure; return the exit code."""
    options = _parser().parse_args()
    try:
        options.run(options)
    except Failure as failure:
        sys.stderr.write(f"{failure.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
