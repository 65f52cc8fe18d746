"""`make faults`: hurt a stack, check every answer, write a report; exit code 1 with violations."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from faults.plot import plotted
from faults.report import as_markdown
from faults.run import run
from faults.verdict import Outcome, Settings


def main() -> int:
    """Parse the arguments, run, report."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="everything follows from it")
    parser.add_argument("--kills", type=int, default=200, help="0: a soak, see --seconds")
    parser.add_argument("--seconds", type=float, help="no new fault after so long")
    parser.add_argument("--report", type=Path, help="folder for report, plot and logs")
    arguments = parser.parse_args()
    settings = Settings(arguments.seed, arguments.kills, arguments.seconds)
    if not settings.kills and not settings.seconds:
        parser.error("--kills 0 needs --seconds")
    with tempfile.TemporaryDirectory(prefix="vitrina-faults-") as scratch:
        folder: Path = arguments.report or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "processes.log"
        log.write_text("", encoding="utf-8")
        outcome = asyncio.run(run(settings, Path(scratch) / "data", log))
        _reported(outcome, arguments.report)
    return 1 if outcome.violations else 0


def _reported(outcome: Outcome, folder: Path | None) -> None:
    text = as_markdown(outcome)
    print(text)
    if folder is not None:
        (folder / "report.md").write_text(text, encoding="utf-8")
        plotted(outcome, folder / "latency.png")


if __name__ == "__main__":
    sys.exit(main())
