"""What was measured: the sides, their scores by query, and their comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.cli.failures import Failure
from services.cli.judgment.asking import Side
from services.cli.judgment.comparison import (
    RESAMPLES,
    SEED,
    Difference,
    by_difference,
    differences,
)
from services.cli.judgment.files import JudgedQueries
from services.cli.judgment.measures import NAMES, NDCG, Scores, mean, percentile, scores_by_query

# Queries that stand out, at each end.
SHOWN = 10


@dataclass(frozen=True)
class Measured:
    """One side with its scores, over the queries that all sides answered."""

    side: Side
    scores: dict[str, Scores]

    def latency_ms(self, percent: int) -> float | None:
        """Return a percentile over all answers."""
        return percentile([answer.latency_ms for answer in self.side.answers.values()], percent)


@dataclass(frozen=True)
class Evaluation:
    """One side, or two and their differences; `measured` are the queries of the means."""

    judged: JudgedQueries
    sides: list[Measured]
    measured: list[str]
    differences: list[Difference]

    @property
    def has_errors(self) -> bool:
        """Tell whether some query was not answered."""
        return any(own.side.errors for own in self.sides)

    def means(self, place: int) -> dict[str, float | None]:
        """Return the means of one side; of two over the queries that both have the measure for."""
        own = {name: mean(self.sides[place].scores, name) for name in NAMES}
        return own | {d.measure: (d.first, d.second)[place] for d in self.differences}

    def worst(self) -> list[tuple[str, float]]:
        """Return (query, nDCG@10) of the first side, worst first."""
        scores = self.sides[0].scores
        return sorted(((q, own[NDCG]) for q, own in scores.items()), key=lambda pair: pair[1])

    def gaps(self) -> list[tuple[str, float]]:
        """Return (query, difference of nDCG@10), where the first side lost most first."""
        return by_difference(self.sides[0].scores, self.sides[1].scores, NDCG)

    def lost(self) -> list[tuple[str, float]]:
        """Return the queries that the first side lost most on."""
        return [gap for gap in self.gaps()[:SHOWN] if gap[1] < 0]

    def won(self) -> list[tuple[str, float]]:
        """Return the queries that the first side won most on."""
        return [gap for gap in self.gaps()[::-1][:SHOWN] if gap[1] > 0]


def evaluate(judged: JudgedQueries, sides: Sequence[Side]) -> Evaluation:
    """Measure what the sides answered. Raises Failure if they have no measurable query in common.

    A query that failed on one side is left out of the means of both.
    """
    for side in sides:
        if not side.answers:
            reason = next(iter(side.errors.values()))
            raise Failure(f"{side.name} ({side.config}): no query was answered: {reason}")
    measured = [q for q in judged.measurable if all(q in side.answers for side in sides)]
    if not measured:
        raise Failure("no query with a relevant product was answered")
    own = [
        Measured(
            side,
            scores_by_query({q: side.answers[q].product_ids for q in measured}, judged.grades),
        )
        for side in sides
    ]
    compared = differences(own[0].scores, own[1].scores) if len(own) == 2 else []
    return Evaluation(judged, own, measured, compared)


def as_json(evaluation: Evaluation, *, per_query: bool) -> dict[str, Any]:
    """Return all of it for programs; latencies in milliseconds."""
    judged = evaluation.judged
    summary: dict[str, Any] = {
        "queries": {
            "asked": len(judged.texts),
            "measured": len(evaluation.measured),
            "without_judgments": judged.without_judgments,
            "without_relevant": judged.without_relevant,
            "judged_but_not_asked": judged.not_asked,
        },
        "sides": [
            {**_side_json(own), "means": evaluation.means(place)}
            for place, own in enumerate(evaluation.sides)
        ],
    }
    if evaluation.differences:
        summary["comparison"] = {
            "test": "paired randomisation, two-sided",
            "resamples": RESAMPLES,
            "seed": SEED,
            "measures": {d.measure: _difference_json(d) for d in evaluation.differences},
            "won": _gaps_json(evaluation, evaluation.won()),
            "lost": _gaps_json(evaluation, evaluation.lost()),
        }
    if per_query:
        summary["per_query"] = [
            {
                "id": query,
                "text": text,
                "sides": {own.side.name: _query_json(own, query) for own in evaluation.sides},
            }
            for query, text in judged.texts.items()
        ]
    return summary


def _side_json(own: Measured) -> dict[str, Any]:
    side = own.side
    revisions = [answer.revision for answer in side.answers.values()]
    return {
        "name": side.name,
        "config": side.config.as_json(),
        "address": side.target.address,
        "answered": len(side.answers),
        "without_results": side.without_results,
        "errors": side.errors,
        "degraded": dict(side.degraded),
        "spaces": sorted({answer.space for answer in side.answers.values() if answer.space}),
        "revisions": {"first": min(revisions), "last": max(revisions)},
        "latency_ms": {"p50": own.latency_ms(50), "p95": own.latency_ms(95)},
    }


def _difference_json(difference: Difference) -> dict[str, Any]:
    return {
        "n": difference.n,
        "difference": difference.difference,
        "won": difference.wins,
        "lost": difference.losses,
        "tied": difference.ties,
        "p_value": difference.p_value,
    }


def _gaps_json(evaluation: Evaluation, gaps: list[tuple[str, float]]) -> list[dict[str, Any]]:
    texts = evaluation.judged.texts
    return [{"id": query, "text": texts[query], "difference": gap} for query, gap in gaps]


def _query_json(own: Measured, query: str) -> dict[str, Any]:
    if query in own.side.errors:
        return {"error": own.side.errors[query]}
    answer = own.side.answers[query]
    return {
        "results": len(answer.product_ids),
        "latency_ms": answer.latency_ms,
        "degraded": list(answer.degraded),
        "corrected_query": answer.corrected_query,
        "scores": own.scores.get(query),
    }
