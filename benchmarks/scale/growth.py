"""How a figure grows with the number of products: two laws, each by least squares."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaw:
    """factor * n ^ exponent, fitted to the logarithms of both."""

    exponent: float
    factor: float
    r_squared: float

    def at(self, products: Floats) -> Floats:
        """Return the figure at so many products."""
        return self.factor * products**self.exponent


@dataclass(frozen=True)
class Logarithmic:
    """at_one + per_tenfold * log10(n), fitted to the figures."""

    at_one: float
    per_tenfold: float
    r_squared: float


def power_law(products: Sequence[float], figures: Sequence[float]) -> PowerLaw:
    """Fit figures above 0, two at least."""
    x, y = np.log(np.array(products)), np.log(np.array(figures))
    slope, start, r_squared = _line(x, y)
    return PowerLaw(slope, float(np.exp(start)), r_squared)


def logarithmic(products: Sequence[float], figures: Sequence[float]) -> Logarithmic:
    """Fit figures, two at least."""
    slope, start, r_squared = _line(np.log10(np.array(products)), np.array(figures, dtype=float))
    return Logarithmic(start, slope, r_squared)


def between(products: Sequence[float], figures: Sequence[float], at: float) -> float | None:
    """Return a figure between two sizes, on a line over the logarithms; None beyond them."""
    if not min(products) <= at <= max(products):
        return None
    return float(np.exp(np.interp(np.log(at), np.log(products), np.log(figures))))


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    (slope, start), *_ = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)
    spread = float(np.sum((y - y.mean()) ** 2))
    missed = float(np.sum((y - slope * x - start) ** 2))
    return float(slope), float(start), 1 - missed / spread if spread else 1.0
