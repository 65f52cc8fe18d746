"""The processes of the engines, and searches in all of them in turn."""

import random
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psutil

from benchmarks.peers.protocol import Answer, Ask, Greeting, Way

WARM_UP_QUERIES = 20
# A search slower than this is asked for the first SLOW_QUERIES queries alone.
SLOW_SECONDS = 0.2
SLOW_QUERIES = 20


@dataclass(frozen=True)
class Case:
    """What is asked of an engine, whatever the query."""

    system: str
    way: Way
    # The name of the filter; empty: none.
    filter: str = ""


@dataclass(frozen=True)
class Task:
    """What all engines are asked."""

    queries: Sequence[str]
    k: int
    # Upper bounds of the price by the name of the filter: "half" of the products are below.
    bounds: Mapping[str, float]

    def cases(self, system: str, ways: Sequence[Way]) -> list[Case]:
        """Return what an engine with these ways is asked: filters go with vectors and hybrid."""
        filtered = [way for way in ways if way in (Way.VECTOR, Way.HYBRID)]
        return [Case(system, way) for way in ways] + [
            Case(system, way, name) for name in self.bounds for way in filtered
        ]

    def ask(self, case: Case, query: str) -> Ask:
        """Return one search."""
        return Ask(query, case.way, self.k, self.bounds[case.filter] if case.filter else None)


@dataclass(frozen=True)
class Worker:
    """A process that answers for an engine."""

    greeting: Greeting
    process: "subprocess.Popen[str]"

    def answer(self, ask: Ask) -> Answer:
        """Have one search done. RuntimeError if the process has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(ask.line())
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{ask}: the engine has ended; see its log")
        return Answer.of(line)

    def memory_mib(self) -> float:
        """Return the resident memory of the process and of those that it started."""
        process = psutil.Process(self.process.pid)
        processes = [process, *process.children(recursive=True)]
        return sum(each.memory_info().rss for each in processes) / 2**20


@contextmanager
def worker(python: Path, system: str, *arguments: str, log: Path) -> Iterator[Worker]:
    """Start `benchmarks.peers.worker`; ready when it greets. Its log is appended to a file."""
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [str(python), "-m", "benchmarks.peers.worker", system, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{system} did not start; see {log}")
            yield Worker(Greeting.of(line), process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


# By case, and by the number of the query.
Answers: TypeAlias = dict[Case, dict[int, Answer]]


def measure(workers: Mapping[str, Worker], task: Task) -> Answers:
    """Ask every query of every engine in every way, query by query.

    The order of the cases is another one for each query, so that none always follows the
    same other one, and noise meets all alike.
    """
    cases = [c for name, w in workers.items() for c in task.cases(name, w.greeting.ways)]
    answers: Answers = {case: {} for case in cases}
    slow = {case for case in cases if _warm(workers[case.system], task, case) > SLOW_SECONDS}
    chance = random.Random(11)
    for number, query in enumerate(task.queries):
        for case in chance.sample(cases, len(cases)):
            if case in slow and number >= SLOW_QUERIES:
                continue
            engine, ask = workers[case.system], task.ask(case, query)
            if case.way is Way.CACHED:
                engine.answer(ask)  # fills the cache
            answers[case][number] = engine.answer(ask)
    return answers


def _warm(engine: Worker, task: Task, case: Case) -> float:
    """Return the median of some searches, fewer where they take long."""
    spent: list[float] = []
    started = time.monotonic()
    for query in task.queries[:WARM_UP_QUERIES]:
        spent.append(engine.answer(task.ask(case, query)).seconds)
        if len(spent) >= 3 and time.monotonic() - started > WARM_UP_QUERIES * SLOW_SECONDS:
            break
    return sorted(spent)[len(spent) // 2]


def disk_mib(folder: Path) -> float:
    """Return the size of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
