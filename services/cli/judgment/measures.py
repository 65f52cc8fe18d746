"""The measures of the field, per query and as means."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

NDCG = "nDCG@10"
CONDENSED = "condensed nDCG@10"
RECIPROCAL_RANK = "RR@10"
RECALL = "recall@100"
JUDGED = "judged@10"
NAMES = (NDCG, CONDENSED, RECIPROCAL_RANK, RECALL, JUDGED)

# By measure; an answer without results has no judged@10.
Scores = dict[str, float]


def scores_by_query(
    rankings: Mapping[str, Sequence[str]], grades: Mapping[str, Mapping[str, int]]
) -> dict[str, Scores]:
    """Measure the rankings (product ids, best first), each of a query with a relevant product.

    nDCG@10: gain 2^grade - 1, discount log2(rank + 1), against the best order
    of all judged products; what is not judged gains nothing. Condensed: the
    same once results that are not judged are taken out. RR@10: 1 / rank of the
    first product of grade 1 or above. recall@100: share of these that were
    found. judged@10: share of the first 10 results that are judged.
    """
    import ir_measures
    from ir_measures import RR, Judged, R, nDCG

    gains = {g: 2**g - 1 for query in rankings for g in grades[query].values()}
    measures = {
        NDCG: nDCG(gains=gains) @ 10,
        CONDENSED: nDCG(gains=gains, judged_only=True) @ 10,
        RECIPROCAL_RANK: RR(rel=1) @ 10,
        RECALL: R(rel=1) @ 100,
        JUDGED: Judged @ 10,
    }
    names = {str(measure): name for name, measure in measures.items()}
    judgments = [
        ir_measures.Qrel(query, product, grade)
        for query in rankings
        for product, grade in grades[query].items()
    ]
    scores: dict[str, Scores] = {query: dict.fromkeys(NAMES, 0.0) for query in rankings}
    for metric in ir_measures.iter_calc(list(measures.values()), judgments, _run(rankings)):
        scores[metric.query_id][names[str(metric.measure)]] = float(metric.value)
    for query, ranking in rankings.items():
        if not ranking:
            del scores[query][JUDGED]
    return scores


def _run(rankings: Mapping[str, Sequence[str]]) -> list[Any]:
    """Return results whose scores fall strictly: equal ones would be sorted by id."""
    import ir_measures

    return [
        ir_measures.ScoredDoc(query, product, float(len(ranking) - place))
        for query, ranking in rankings.items()
        for place, product in enumerate(ranking)
    ]


def mean(scores: Mapping[str, Scores], measure: str) -> float | None:
    """Return the mean over the queries that have the measure, None without any."""
    values = [own[measure] for own in scores.values() if measure in own]
    return fmean(values) if values else None


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the smallest value that is not exceeded by `percent` of them, None without any."""
    if not values:
        return None
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]
