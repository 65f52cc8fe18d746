"""A run becomes tables, pictures and figures."""

import json
from pathlib import Path

import pytest

from benchmarks.figures import Latency
from benchmarks.importing import Imported, Mixed, Rate, fresh
from benchmarks.memory import ProcessMemory
from benchmarks.outcome import Outcome, Start, as_json, disk_bytes
from benchmarks.plots import drawn
from benchmarks.report import as_markdown, machine, told
from benchmarks.searching import (
    CACHED,
    CLIENT,
    ECHO,
    FLOOR_OF,
    HYBRID,
    KINDS,
    ONE_PROCESS,
    Measured,
    stages_of,
)
from vitrina.search.v1 import search_pb2 as pb


@pytest.fixture
def outcome() -> Outcome:
    searches = Measured.blank(queries=2)
    searches.reply_bytes = [4_000, 4_000]
    for kind, seconds in searches.seconds.items():
        milliseconds = {ECHO: 1.0, CACHED: 1.5, ONE_PROCESS: 8.0, HYBRID: 12.0}.get(kind, 5.0)
        seconds[:] = [milliseconds / 1000] * 2
    for kind, stages in searches.stages.items():
        timings = pb.Timings(total_ms=4.0, embed_ms=2.0, index_ms=1.0, text_ms=1.5)
        stages[:] = [stages_of(timings, searches.seconds[kind][0])] * 2
    one = {"text": 1.5, "embed": 2.0, "index": 1.0, "fuse": 0.5, "total": 4.0, "processor": 3.0}
    searches.stages_of_one = [one] * 2
    spent = {"catalog": 2.0, "gateway": 1.0, CLIENT: 0.5}
    rate = Rate(documents=100, seconds=1.0, cpu_seconds=1.5)
    return Outcome(
        products=100,
        queries=2,
        filter_text="price < 5.00",
        searches=searches,
        cpu_ms=dict.fromkeys(KINDS, spent),
        memory=[ProcessMemory("index", 100.0, 60.0, 70.0, "vectors", 20.0)],
        starts={"full": [Start(3.0, 3.5), Start(5.0, 5.5)], "empty": [Start(2.0)]},
        disk_bytes={"catalog/catalog": 100_000},
        imported=Imported([rate, rate], [Rate(100, 2.0, 2.0)], [500.0]),
        mixed=Mixed(
            [0.01, 0.02], [0.02, 0.04], [120.0], [(Latency.of([0.01]), Latency.of([0.02]))]
        ),
        machine=machine(),
    )


@pytest.mark.parametrize(
    "line",
    [
        "| cached | 1.50 | 1.50 | 1.50 | 1.50 | 1.50 (1.50-1.50) | 1.50 (1.50-1.50) |",
        "| hybrid | 12.00 | 12.00 | 12.00 | 12.00 | 12.00 (12.00-12.00) | 1.50 (1.50-1.50) |",
        "| one process | 1.50 | 2.00 | 1.00 | 0.50 | 4.00 | 3.00 |",
        "| four processes, at the gateway | 1.50 | 2.00 | 1.00 |  | 4.00 | 3.00 |",
        "| import | 50 | 0.50 | 20.00 | 0.75 |",
        "| index | 100 | 60 | 70 | 20 (vectors) | 10 |",
        "| catalog/catalog | 0.1 | 1,000 |",
        "| full | 2 | 4.00 | 3.00 | 5.00 | 4.50 |",
        "| empty | 1 | 2.00 | 2.00 | 2.00 |  |",
        "![mixed.png](mixed.png)",
    ],
)
def test_the_report_has(line: str, outcome: Outcome) -> None:
    assert line in as_markdown(outcome, ["mixed.png"]).splitlines()


def test_the_report_tells_the_machine(outcome: Outcome) -> None:
    assert told(outcome.machine) in as_markdown(outcome, [])
    assert "grpcio" in told(outcome.machine)


def test_every_search_has_a_row_and_floors_are_kinds(outcome: Outcome) -> None:
    rows = [line.split(" | ")[0] for line in as_markdown(outcome, []).splitlines()]
    assert all(f"| {kind}" in rows for kind in outcome.searches.seconds)
    assert FLOOR_OF.keys() <= set(KINDS)


def test_every_picture_is_drawn(outcome: Outcome, tmp_path: Path) -> None:
    names = drawn(outcome, tmp_path)
    assert len(names) == 4
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names)


def test_what_was_not_measured_is_left_out(outcome: Outcome, tmp_path: Path) -> None:
    outcome.imported = outcome.mixed = None
    assert "mixed.png" not in drawn(outcome, tmp_path)
    assert "Import" not in as_markdown(outcome, [])


def test_all_single_figures_are_kept(outcome: Outcome) -> None:
    kept = json.loads(as_json(outcome))
    assert kept["searches"]["seconds"][HYBRID] == [0.012, 0.012]
    assert kept["imported"]["imports"][0]["documents"] == 100


def test_files_of_a_kind_are_counted_together(tmp_path: Path) -> None:
    for name, size in (("catalog.db", 5_000), ("catalog.db-wal", 3_000), ("lock", 1)):
        (tmp_path / "catalog").mkdir(exist_ok=True)
        (tmp_path / "catalog" / name).write_bytes(b"x" * size)
    assert disk_bytes(tmp_path) == {"catalog/catalog": 8_000}


def test_fresh_products_are_unlike_all_others() -> None:
    products = [{"id": str(n), "name": f"kettle {n}"} for n in range(3)]
    made = [*products, *fresh(products, 0, 5), *fresh(products, 1, 5)]
    assert len({product["id"] for product in made}) == len(made)
    assert len({product["name"] for product in made}) == len(made)
