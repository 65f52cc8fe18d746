"""What was measured, summed up: percentiles, and ratios with how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1_000
_INTERVAL = (2.5, 97.5)
_PERCENTILES = (10, 50, 90, 99)


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds."""

    p10: float
    p50: float
    p90: float
    p99: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        """Return the percentiles of these measurements, one at least."""
        p10, p50, p90, p99 = np.percentile(np.array(seconds) * 1000, _PERCENTILES).tolist()
        return cls(p10, p50, p90, p99, len(seconds))


@dataclass(frozen=True)
class Ratio:
    """A ratio of two percentiles, and the interval that holds 95 % of its resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}-{self.high:.2f})"


def paired_ratio(above: Sequence[float], below: Sequence[float], percentile: float = 50) -> Ratio:
    """Compare what was measured query by query: pairs are drawn anew, not single calls.

    The percentile bootstrap of B. Efron, "Bootstrap methods: another look at the
    jackknife", 1979.
    """
    if len(above) != len(below):
        raise ValueError(f"{len(above)} above, {len(below)} below: not pairs")
    drawn = _draws(len(above))
    return _ratio(np.array(above), np.array(below), drawn, drawn, percentile)


def free_ratio(above: Sequence[float], below: Sequence[float], percentile: float = 50) -> Ratio:
    """Compare measurements that have nothing to do with each other one by one."""
    drawn_above, drawn_below = _draws(len(above)), _draws(len(below), seed=2)
    return _ratio(np.array(above), np.array(below), drawn_above, drawn_below, percentile)


def _draws(count: int, seed: int = 1) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(count, size=(_RESAMPLES, count))


def _ratio(
    above: NDArray[np.float64],
    below: NDArray[np.float64],
    drawn_above: NDArray[np.int64],
    drawn_below: NDArray[np.int64],
    percentile: float,
) -> Ratio:
    resampled = np.percentile(above[drawn_above], percentile, axis=1) / np.percentile(
        below[drawn_below], percentile, axis=1
    )
    low, high = np.percentile(resampled, _INTERVAL)
    value = np.percentile(above, percentile) / np.percentile(below, percentile)
    return Ratio(float(value), float(low), float(high))
