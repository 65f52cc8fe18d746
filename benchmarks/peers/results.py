"""What a run found out, and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.figures import Ratio, paired_ratio
from benchmarks.peers.driving import Answers, Case, Task
from benchmarks.peers.protocol import Answer, Greeting

VITRINA = "vitrina"


@dataclass(frozen=True)
class Costs:
    """What an engine needs, beside time."""

    greeting: Greeting
    load_seconds: float
    memory_mib: float
    disk_mib: float


@dataclass(frozen=True)
class Spread:
    """Quartiles and the 99th percentile, in milliseconds."""

    q1: float
    median: float
    q3: float
    p99: float
    count: int

    @classmethod
    def of(cls, answers: Mapping[int, Answer]) -> "Spread":
        """Return the spread of these answers' times."""
        milliseconds = [1000 * answer.seconds for answer in answers.values()]
        q1, median, q3, p99 = np.percentile(milliseconds, [25, 50, 75, 99]).tolist()
        return cls(q1, median, q3, p99, len(milliseconds))


@dataclass(frozen=True)
class Outcome:
    """A whole run."""

    task: Task
    products: int
    # The share of the products that passes, by the name of the filter.
    passing: Mapping[str, float]
    costs: Mapping[str, Costs]
    answers: Answers
    # Mean share of the truly nearest that was found, of the cases by vector alone.
    recalls: Mapping[Case, float]
    machine: Mapping[str, str]
    command: str

    def ratio(self, above: Case, below: Case) -> Ratio:
        """Compare the medians of two cases over the queries that both were asked."""
        ours, theirs = self.answers[above], self.answers[below]
        both = sorted(ours.keys() & theirs.keys())
        return paired_ratio(
            [ours[number].seconds for number in both], [theirs[number].seconds for number in both]
        )

    def overlap(self, one: Case, other: Case) -> float:
        """Return the mean share of the k products that two cases have in common."""
        ours, theirs = self.answers[one], self.answers[other]
        shares = [
            len({*ours[number].ids} & {*theirs[number].ids}) / self.task.k
            for number in ours.keys() & theirs.keys()
        ]
        return float(np.mean(shares))

    def embedding_ms(self) -> float:
        """Return the median time of a query's vector where an engine's client made it."""
        seconds: Sequence[float] = [
            answer.embedding_seconds
            for answers in self.answers.values()
            for answer in answers.values()
            if answer.embedding_seconds
        ]
        return 1000 * float(np.median(seconds)) if seconds else 0.0
