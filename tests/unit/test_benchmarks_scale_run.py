"""A run of the measurements by size, with few products and all of its processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "catalog.jsonl"
pytest.importorskip("matplotlib")
pytest.importorskip("scipy")


@pytest.mark.slow
def test_a_run_with_few_products_ends_in_a_report(tmp_path: Path) -> None:
    few = [
        "--sizes",
        "200",
        "--real",
        "100",
        "--queries",
        "20",
        "--recall-queries",
        "20",
        "--seconds",
        "0.5",
        "--changes",
        "50",
    ]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.scale", str(SAMPLE), *few),
            *("--catalog", "stand-in", "--report", str(tmp_path)),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=SAMPLE.parents[1],
        env={**os.environ, "VITRINA_INDEX_GRAPH_MIN_ROWS": "64"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    (index,) = figures["index"]
    assert index["products"] == 200
    assert min(recall["mean"] for recall in index["recall"].values()) > 0.9
    assert index["recall_after_changes"] > 0.9
    assert [changes["changes"] for changes in index["changes"].values()] == [200, 200, 50, 50]
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "## Against the bounds, 200 products" in report
    assert "### Catalog: search by words" in report
    for picture in ("latency.png", "recall.png", "changes.png", "memory.png"):
        assert f"![{picture}]" in report
        assert (tmp_path / picture).stat().st_size > 1000
