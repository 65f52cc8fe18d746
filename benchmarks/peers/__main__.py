"""`make bench-peers`: Vitrina beside Chroma, LanceDB, Milvus Lite and Qdrant's local mode.

All of them at once, each in processes of its own, over the same products and vectors.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers.plot import drawn
from benchmarks.peers.report import as_json, as_markdown, sheets_of
from benchmarks.peers.results import VITRINA
from benchmarks.peers.running import Plan, run
from benchmarks.peers.worker import SYSTEMS
from benchmarks.queries import queries_from, read_products

_REPORT = Path("benchmarks/results/peers")
_K = 10


def main() -> None:
    """Load what is not loaded yet, measure, and write the report."""
    options = _parser().parse_args()
    if not options.peers_python.exists():
        sys.exit(f"{options.peers_python} is not there: `make bench-peers` makes it")
    products = [p for p in read_products(options.catalog, options.limit) if p.get("price")]
    queries = queries_from([product["name"] for product in products], options.queries)
    peers = options.only or [name for name in SYSTEMS if name != VITRINA]
    with _work_folder(options.work) as work:
        plan = Plan(products, queries, _K, peers, options.peers_python, work)
        outcome = run(plan, shlex.join(["python", "-m", "benchmarks.peers", *sys.argv[1:]]))
    options.report.mkdir(parents=True, exist_ok=True)
    drawn(outcome, options.report / "peers.png")
    report = options.report / "peers.md"
    report.write_text(as_markdown(outcome, "peers.png"), encoding="utf-8")
    (options.report / "peers.json").write_text(as_json(outcome), encoding="utf-8")
    for sheet in sheets_of(outcome):
        sheet.show()
    print(f"report: {report}")


@contextmanager
def _work_folder(kept: Path | None) -> Iterator[Path]:
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="vitrina-peers-") as folder:
            yield Path(folder)
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("catalog", type=Path, help="JSONL, .gz or not")
    parser.add_argument("--limit", type=int, default=10**9, help="products at most")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument(
        "--peers-python", type=Path, default=Path(".venv-peers/bin/python"), metavar="FILE"
    )
    names = [name for name in SYSTEMS if name != VITRINA]
    parser.add_argument("--only", action="append", choices=names, help="of the peers; repeatable")
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER", help="kept; what is loaded there is not loaded again"
    )
    parser.add_argument("--report", type=Path, default=_REPORT, metavar="FOLDER")
    return parser


if __name__ == "__main__":
    main()
