"""Two sides over the same queries: which is better, and whether that is chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from services.cli.judgment.measures import NAMES, Scores

SEED = 20_260_101
RESAMPLES = 9_999
# Sums of floats in another order differ by less.
_EQUAL = 1e-9
# Values in memory at a time, in each of several arrays.
_BATCH_VALUES = 1_000_000


@dataclass(frozen=True)
class Difference:
    """One measure of the first side against the second, over `n` queries.

    Wins are queries that the first does better. `p_value` is of the paired
    randomisation test, two-sided; None where there are no two queries.
    """

    measure: str
    first: float
    second: float
    wins: int
    losses: int
    ties: int
    p_value: float | None

    @property
    def n(self) -> int:
        """Queries that both sides have the measure for."""
        return self.wins + self.losses + self.ties

    @property
    def difference(self) -> float:
        """First minus second."""
        return self.first - self.second


def differences(first: Mapping[str, Scores], second: Mapping[str, Scores]) -> list[Difference]:
    """Compare all measures; one that no query has on both sides is left out."""
    compared = []
    for measure in NAMES:
        queries = [q for q in first if measure in first[q] and measure in second.get(q, {})]
        if not queries:
            continue
        ours = [first[query][measure] for query in queries]
        theirs = [second[query][measure] for query in queries]
        gaps = [_gap(a, b) for a, b in zip(ours, theirs, strict=True)]
        wins, losses = sum(gap > 0 for gap in gaps), sum(gap < 0 for gap in gaps)
        compared.append(
            Difference(
                measure=measure,
                first=fmean(ours),
                second=fmean(theirs),
                wins=wins,
                losses=losses,
                ties=len(gaps) - wins - losses,
                p_value=p_value_of(ours, theirs),
            )
        )
    return compared


def p_value_of(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return how often chance alone parts the means as far, either way; None below two pairs.

    Paired randomisation: within each pair the sides change places at random,
    RESAMPLES times from a fixed seed, or in all ways where these are fewer.
    """
    if len(first) < 2:
        return None
    from scipy.stats import permutation_test

    def difference_of_means(left: Any, right: Any, axis: int) -> Any:
        # What differs by the order of the sums alone is as far apart.
        return (left - right).mean(axis=axis).round(12)

    tested = permutation_test(
        (first, second),
        difference_of_means,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH_VALUES // len(first)),
        rng=SEED,
    )
    return float(tested.pvalue)


def by_difference(
    first: Mapping[str, Scores], second: Mapping[str, Scores], measure: str
) -> list[tuple[str, float]]:
    """Return (query, first minus second), the greatest loss of the first side first; ties are 0."""
    gaps = [
        (query, _gap(own[measure], second[query][measure]))
        for query, own in first.items()
        if measure in own and measure in second.get(query, {})
    ]
    return sorted(gaps, key=lambda gap: gap[1])


def _gap(first: float, second: float) -> float:
    return first - second if abs(first - second) > _EQUAL else 0.0
