"""A run: what must be loaded, the searches, and what they found beside the truth."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.bare_onnx import BareModel
from benchmarks.peers.driving import Answers, Case, Task, Worker, disk_mib, measure, worker
from benchmarks.peers.exact import ExactSearch, price_bounds
from benchmarks.peers.protocol import Way
from benchmarks.peers.results import VITRINA, Costs, Outcome
from benchmarks.peers.rows import Row, read_catalog, write_catalog
from benchmarks.peers.shop import vectors_of
from benchmarks.processes import Stack, running_stack, vitrina
from benchmarks.queries import Product, write_products
from benchmarks.report import machine

_SHARES = {"half": 0.5, "5 %": 0.05}


@dataclass(frozen=True)
class Plan:
    """What to measure, and where."""

    # Each with a price.
    products: Sequence[Product]
    queries: Sequence[str]
    k: int
    peers: Sequence[str]
    # Of the environment that has them.
    peers_python: Path
    # What is loaded here already is not loaded again.
    work: Path

    @property
    def data_dir(self) -> Path:
        """Vitrina's own."""
        return self.work / VITRINA / "data"

    def folder(self, system: str) -> Path:
        """Return where an engine has its data."""
        return self.data_dir if system == VITRINA else self.work / system

    def log(self, system: str) -> Path:
        """Return where the process of an engine complains."""
        return self.work / f"{system}.log"


def run(plan: Plan, command: str) -> Outcome:
    """Load what is not loaded yet, and measure all engines at once."""
    told = machine()
    rows = [Row.of(product) for product in plan.products]
    loads = {VITRINA: _once(plan, VITRINA, lambda: _import(plan, rows))}
    for name in plan.peers:
        loads[name] = _once(plan, name, lambda name=name: _load(plan, name))  # type: ignore[misc]
    exact = ExactSearch(*read_catalog(plan.work))
    task = Task(plan.queries, plan.k, price_bounds(rows, _SHARES))
    with running_stack(plan.data_dir) as stack, ExitStack() as opened:
        workers: dict[str, Worker] = {}
        for name in (VITRINA, *plan.peers):
            python = Path(sys.executable) if name == VITRINA else plan.peers_python
            place = stack.grpc if name == VITRINA else str(plan.folder(name))
            serving = worker(python, name, "serve", place, log=plan.log(name))
            workers[name] = opened.enter_context(serving)
        answers = measure(workers, task)
        costs = {
            name: Costs(
                each.greeting,
                loads[name],
                _memory_mib(name, each, stack),
                disk_mib(plan.folder(name)),
            )
            for name, each in workers.items()
        }
    return Outcome(
        task=task,
        products=len(rows),
        passing={name: exact.passing(bound) for name, bound in task.bounds.items()},
        costs=costs,
        answers=answers,
        recalls=_recalls(exact, task, answers),
        machine=told,
        command=command,
    )


def _once(plan: Plan, name: str, load: Callable[[], float]) -> float:
    """Load an engine if it is not loaded yet; return the seconds that it took then."""
    told = plan.work / f"{name}.json"
    if not told.exists():
        told.write_text(json.dumps({"load_seconds": load()}), encoding="utf-8")
    return float(json.loads(told.read_text(encoding="utf-8"))["load_seconds"])


def _import(plan: Plan, rows: Sequence[Row]) -> float:
    """Import the catalog into Vitrina, and hand on the vectors that it made."""
    file = write_products(plan.work / "products.jsonl", plan.products)
    plan.data_dir.parent.mkdir(exist_ok=True)
    with running_stack(plan.data_dir) as stack:
        summary = vitrina("import", str(file), "--wait", address=stack.grpc)
        write_catalog(plan.work, rows, vectors_of(stack, [row.id for row in rows]))
    return sum(float(str(summary[part])) for part in ("seconds", "searchable_seconds"))


def _load(plan: Plan, name: str) -> float:
    place, catalog = str(plan.folder(name)), str(plan.work)
    with worker(plan.peers_python, name, "load", place, catalog, log=plan.log(name)) as loading:
        seconds = loading.greeting.load_seconds
    assert seconds is not None
    return seconds


def _memory_mib(name: str, engine: Worker, stack: Stack) -> float:
    if name != VITRINA:
        return engine.memory_mib()
    # Its client is any process; of a peer the client's has the model, and often the engine.
    return sum(resident for resident, _ in stack.memory_mib().values())


def _recalls(exact: ExactSearch, task: Task, answers: Answers) -> dict[Case, float]:
    """Return the mean recall of each case that finds by vector alone."""
    model = BareModel()
    vectors = [model.embed(query) for query in task.queries]
    recalls: dict[Case, float] = {}
    for case, found in answers.items():
        if case.way is Way.VECTOR:
            bound = task.bounds.get(case.filter)
            each = (exact.recall(a.ids, vectors[n], task.k, bound) for n, a in found.items())
            recalls[case] = float(np.mean(list(each)))
    return recalls
