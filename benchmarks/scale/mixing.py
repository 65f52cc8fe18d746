"""Numbers that look random and depend on their seeds alone."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15


def mixed(numbers: NDArray[np.integer], stream: int = 0) -> Numbers:
    """Return 64 bits for each number, others in each stream.

    The finalizer of SplitMix64, of G. L. Steele et al., "Fast splittable
    pseudorandom number generators", 2014.
    """
    bits = numbers.astype(np.uint64) + np.uint64(_GOLDEN * (stream + 1) % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def uniform(numbers: NDArray[np.integer], stream: int = 0) -> NDArray[np.float64]:
    """Return a number above 0 and below 1 for each."""
    return ((mixed(numbers, stream) >> np.uint64(12)).astype(np.float64) + 0.5) / 2.0**52
