"""What the benchmark of the peers rests on: its truth, its protocol, and what it tells."""

import io
import stat
import sys
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.driving import SLOW_QUERIES, Case, Task, measure, worker
from benchmarks.peers.exact import ExactSearch, price_bounds
from benchmarks.peers.plot import drawn
from benchmarks.peers.protocol import Answer, Ask, Greeting, Way
from benchmarks.peers.report import as_markdown
from benchmarks.peers.results import Costs, Outcome
from benchmarks.peers.rows import Row, read_catalog, write_catalog
from benchmarks.peers.systems.base import System, Vectors
from benchmarks.peers.worker import serve

ROWS = [Row.of({"id": str(n), "name": f"product {n}", "price": 10 + n}) for n in range(50)]

# A process that speaks as an engine does: hybrid searches are slow, and answers are "ID-<k>".
FAKE = """#!{python}
import sys
from benchmarks.peers.protocol import Answer, Ask, Greeting, Way
sys.stdout.write(Greeting("fake 1", "none", [Way.VECTOR, Way.HYBRID]).line())
sys.stdout.flush()
for line in sys.stdin:
    ask = Ask.of(line)
    seconds = 0.5 if ask.way is Way.HYBRID else 0.001
    sys.stdout.write(Answer(seconds, 0.0005, [f"{{ask.query}}-{{ask.k}}"]).line())
    sys.stdout.flush()
"""


def unit_vectors(seed: int, count: int) -> Vectors:
    drawn_vectors = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    unit: Vectors = drawn_vectors / np.linalg.norm(drawn_vectors, axis=1, keepdims=True)
    return unit


@given(seed=st.integers(0, 1_000), missed=st.integers(0, 10), bound=st.sampled_from([None, 35.0]))
def test_recall_is_the_share_of_the_nearest_that_was_found(
    seed: int, missed: int, bound: float | None
) -> None:
    vectors, query = unit_vectors(seed, len(ROWS)), unit_vectors(seed + 1, 1)[0]
    allowed = [n for n, row in enumerate(ROWS) if bound is None or row.price < bound]
    nearest = sorted(allowed, key=lambda n: -float(vectors[n] @ query))
    found = [ROWS[n].id for n in nearest[missed : missed + 10]]
    recall = ExactSearch(ROWS, vectors).recall(found, query, 10, bound)
    assert recall == pytest.approx((10 - missed) / 10)


def test_any_of_the_products_that_share_the_last_place_is_as_good() -> None:
    vectors = np.tile(unit_vectors(1, 1), (len(ROWS), 1))
    exact = ExactSearch(ROWS, vectors)
    assert exact.recall(["41", "42", "43"], vectors[0], 3, None) == 1.0
    assert exact.recall(["41", "41", "41"], vectors[0], 3, None) == pytest.approx(1 / 3)
    # what does not pass is no hit, and what is not there is not missed
    assert exact.recall(["0", "41"], vectors[0], 3, 12.0) == 0.5


def test_bounds_of_the_price_are_as_near_as_prices_allow() -> None:
    rows = [Row.of({"id": f"c{n}", "name": "c", "price": 1}) for n in range(45)] + ROWS
    exact = ExactSearch(rows, unit_vectors(1, len(rows)))
    bounds = price_bounds(rows, {"half": 0.5, "few": 0.05})
    assert exact.passing(bounds["half"]) == pytest.approx(0.5, abs=1 / len(rows))
    assert exact.passing(bounds["few"]) == 0.0  # 45 of them share the lowest price


def test_rows_and_vectors_come_back_as_they_were_written(tmp_path: Path) -> None:
    vectors = unit_vectors(3, len(ROWS))
    write_catalog(tmp_path, ROWS, vectors)
    rows, read = read_catalog(tmp_path)
    assert rows == ROWS
    assert np.array_equal(read, vectors)


class Echo(System):
    """Finds the query itself."""

    wants_vector = False
    ways = (Way.VECTOR,)
    settings = "none"
    asked: ClassVar[list[Ask]] = []

    @classmethod
    def version(cls) -> str:
        return "echo 1"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.append(Ask("closed", Way.VECTOR, 1))

    def search(self, ask: Ask, vector: Vectors, /) -> list[str]:
        assert not len(vector)
        self.asked.append(ask)
        return [ask.query]


def test_a_worker_greets_and_answers_each_line_until_there_is_none() -> None:
    asks = [Ask("a b", Way.VECTOR, 10), Ask("c", Way.HYBRID, 3, below_price=9.5)]
    answers = io.StringIO()
    serve(Echo, "unused", io.StringIO("".join(ask.line() for ask in asks)), answers)
    greeting, *lines = answers.getvalue().splitlines()
    assert Greeting.of(greeting) == Greeting("echo 1", "none", [Way.VECTOR])
    assert [Answer.of(line).ids for line in lines] == [["a b"], ["c"]]
    assert Echo.asked[:2] == asks
    assert Echo.asked[-1].query == "closed"


def fake_python(folder: Path, code: str) -> Path:
    script = folder / "python"
    script.write_text(code, encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


@pytest.fixture
def outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """Two fake engines, one of which goes by Vitrina's name, were asked 30 queries."""
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    python = fake_python(tmp_path, FAKE.format(python=sys.executable))
    task = Task([f"q{n}" for n in range(30)], 10, {"half": 35.0})
    log = tmp_path / "log"
    with worker(python, "vitrina", log=log) as ours, worker(python, "other", log=log) as theirs:
        workers = {"vitrina": ours, "other": theirs}
        answers = measure(workers, task)
        costs = {name: Costs(w.greeting, 1.5, w.memory_mib(), 2) for name, w in workers.items()}
    recalls = {case: 0.75 for case in answers if case.way is Way.VECTOR}
    return Outcome(task, 50, {"half": 0.5}, costs, answers, recalls, {"cores": "2"}, "the command")


def test_every_engine_is_asked_every_query_and_slow_ones_only_some(outcome: Outcome) -> None:
    assert len(outcome.answers) == 2 * 2 * 2  # engines, ways, with and without the filter
    for case, found in outcome.answers.items():
        assert len(found) == (SLOW_QUERIES if case.way is Way.HYBRID else 30)
        assert all(answer.ids == [f"q{number}-10"] for number, answer in found.items())
    vector, hybrid = Case("other", Way.VECTOR), Case("vitrina", Way.HYBRID)
    assert outcome.ratio(hybrid, vector).value == pytest.approx(500)
    assert outcome.overlap(hybrid, vector) == pytest.approx(0.1)
    assert outcome.embedding_ms() == pytest.approx(0.5)


def test_the_report_tells_what_was_measured_and_how(outcome: Outcome, tmp_path: Path) -> None:
    report = as_markdown(outcome, "peers.png")
    for told in ("the command", "cores 2", "500.0* (500.0-500.0), 500.0", "0.750", "fake 1"):
        assert told in report
    drawn(outcome, tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


def test_an_engine_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    python = fake_python(tmp_path, f"#!{sys.executable}\nimport sys\nsys.exit('broken')\n")
    log = tmp_path / "log"
    with pytest.raises(RuntimeError, match="x did not start"), worker(python, "x", log=log):
        pass
    assert "broken" in log.read_text(encoding="utf-8")
