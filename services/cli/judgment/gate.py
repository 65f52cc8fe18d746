"""Whether one space may take over from another: what is measured, and what is demanded."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from services.cli.failures import Failure
from services.cli.judgment.asking import Side
from services.cli.judgment.comparison import Difference, differences
from services.cli.judgment.files import JudgedQueries
from services.cli.judgment.measures import NDCG, scores_by_query
from services.cli.options import Mode

MODES = (Mode.SEMANTIC, Mode.HYBRID)
_FIRST = 10
# Means of floats in another order differ by less.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Gate:
    """What both modes must reach; None demands nothing."""

    min_overlap: float | None
    min_ndcg_gain: float | None


@dataclass(frozen=True)
class ComparedMode:
    """Two spaces in one mode. Of nDCG@10 the first is the new space; None without judgments."""

    mode: Mode
    # Mean over the queries that both answered.
    overlap: float
    queries: int
    ndcg: Difference | None

    def cells(self) -> Sequence[str]:
        """Return the row of a table: old, new, their difference, and the chance of it."""
        measured = ("", "", "", "")
        if self.ndcg is not None:
            p = "" if self.ndcg.p_value is None else f"{self.ndcg.p_value:.3f}"
            gain = f"{self.ndcg.difference:+.3f}"
            measured = (f"{self.ndcg.second:.3f}", f"{self.ndcg.first:.3f}", gain, p)
        return (self.mode.value, f"{self.overlap:.3f}", *measured, f"{self.queries:,}")

    def short_of(self, gate: Gate) -> Iterator[str]:
        """Give what the gate demands and this is not."""
        if gate.min_overlap is not None and self.overlap < gate.min_overlap - _EQUAL:
            yield f"{self.mode.value}: overlap@10 {self.overlap:.3f}, below {gate.min_overlap:g}"
        if gate.min_ndcg_gain is not None and (
            self.ndcg is None or self.ndcg.difference < gate.min_ndcg_gain - _EQUAL
        ):
            gain = "unknown" if self.ndcg is None else f"{self.ndcg.difference:+.3f}"
            yield f"{self.mode.value}: nDCG@10 gain {gain}, below {gate.min_ndcg_gain:+g}"


@dataclass(frozen=True)
class Comparison:
    """Both modes, and why the gate is not passed; no problems: it is."""

    modes: Sequence[ComparedMode]
    problems: Sequence[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {
            "passed": not self.problems,
            "problems": list(self.problems),
            "modes": [
                {
                    "mode": each.mode.value,
                    "overlap": each.overlap,
                    "queries": each.queries,
                    "ndcg": asdict(each.ndcg) if each.ndcg is not None else None,
                }
                for each in self.modes
            ],
        }


def compared(judged: JudgedQueries, sides: Sequence[Side], gate: Gate) -> Comparison:
    """Compare (old, new) in each of MODES. Raises Failure if a side answered nothing.

    A query that was not answered fails the gate too: what it would show is not known.
    """
    modes: list[ComparedMode] = []
    problems: list[str] = []
    for place, mode in enumerate(MODES):
        old, new = sides[2 * place : 2 * place + 2]
        for side in (old, new):
            if not side.answers:
                reason = next(iter(side.errors.values()))
                raise Failure(f"{side.name}: no query was answered: {reason}")
            if side.errors:
                query, error = next(iter(side.errors.items()))
                problems.append(f"{side.name}: {len(side.errors)} not answered: {query}: {error}")
        modes.append(_compared_mode(mode, judged, old, new))
        problems += modes[-1].short_of(gate)
    return Comparison(modes, problems)


def _compared_mode(mode: Mode, judged: JudgedQueries, old: Side, new: Side) -> ComparedMode:
    both = [query for query in old.answers if query in new.answers]
    if not both:
        raise Failure(f"{old.name}, {new.name}: no query was answered by both")
    overlaps = [
        overlap(old.answers[query].product_ids, new.answers[query].product_ids) for query in both
    ]
    measured = [query for query in judged.measurable if query in both]
    ndcg = None
    if measured:
        scores = [
            scores_by_query({q: side.answers[q].product_ids for q in measured}, judged.grades)
            for side in (new, old)
        ]
        ndcg = next(d for d in differences(*scores) if d.measure == NDCG)
    return ComparedMode(mode, fmean(overlaps), len(both), ndcg)


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Return which share of the first 10 results both have; 1 where neither has any."""
    ours, theirs = set(first[:_FIRST]), set(second[:_FIRST])
    longest = max(len(ours), len(theirs))
    return len(ours & theirs) / longest if longest else 1.0
