"""What a provider of vectors is, and the ways in which it fails."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from services.common.errors import StartRefused
from services.embedder.spaces import Purpose, SkipReason, Space

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Embedded:
    """Vectors of some texts, row by row in their order."""

    # [n, dimensions], each row of length 1.
    vectors: Vectors
    # [n]: whether the model did not read the text to its end.
    is_truncated: NDArray[np.bool_]


@dataclass(frozen=True)
class LaneLimits:
    """How the texts of one purpose are fed to a provider."""

    # Threads that call it at the same time.
    workers: int
    # The most texts of one call.
    batch_texts: int
    # Added to the threads' niceness, so that others go first on the processor.
    niceness: int = 0
    # Threads that take batches while queries come, at least 1; None: all.
    workers_beside_queries: int | None = None


class Provider(AbstractAsyncContextManager[Any], Protocol):
    """A model and all it needs. Its life is an async context; the rest holds inside only."""

    @property
    def space(self) -> Space:
        """What its vectors belong to."""

    @property
    def lanes(self) -> Mapping[Purpose, LaneLimits]:
        """The limits per purpose."""

    @property
    def is_failing(self) -> bool:
        """Whether a call now would end without an attempt, because the last ones failed."""

    def embed_batch(
        self, texts: Sequence[str], purpose: Purpose, timeout_seconds: float
    ) -> Embedded:
        """Embed 1 to `batch_texts` texts, each of 1 to 100,000 characters of any kind.

        Blocks for about `timeout_seconds` at most. Called from several threads.
        Raises ProviderError, whose text never holds a secret.
        """


class ProviderUnusable(StartRefused):
    """A provider cannot be opened: a model is missing or damaged, a library is not there."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, reason="PROVIDER_UNUSABLE")


class ProviderError(Exception):
    """A call of a provider gave no vectors."""

    skip_reason = SkipReason.FAILED
    # Whether the same call may well succeed a moment later.
    is_transient = False


class ProviderFailed(ProviderError):
    """It answered with an error or with something that is not what was asked for."""

    def __init__(self, problem: str, *, is_transient: bool = False) -> None:
        super().__init__(problem)
        self.is_transient = is_transient


class ProviderTimeout(ProviderError):
    """It did not answer in time."""

    skip_reason = SkipReason.TIMEOUT
    is_transient = True


class QuotaExhausted(ProviderError):
    """Its quota is used up; `retry_after_seconds` is 0 where it does not say for how long."""

    skip_reason = SkipReason.QUOTA
    is_transient = True

    def __init__(self, retry_after_seconds: float = 0.0) -> None:
        super().__init__("quota used up")
        self.retry_after_seconds = retry_after_seconds


class CredentialRefused(ProviderError):
    """It does not accept the credential; only another setting helps."""


class TextRefused(ProviderError):
    """It does not accept one of the texts; the others may be fine."""


class CircuitOpen(ProviderError):
    """It failed so often lately that it is left alone for a while."""

    skip_reason = SkipReason.CIRCUIT_OPEN


def unit_rows(vectors: Vectors) -> Vectors:
    """Return the rows at length 1; a row of zeros becomes the first axis.

    Raises ProviderFailed where a value is not finite.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise ProviderFailed("vectors with values that are not finite")
    is_zero = lengths[:, 0] == 0
    if is_zero.any():
        vectors = vectors.copy()
        vectors[is_zero] = 0
        vectors[is_zero, 0] = 1
        lengths[is_zero] = 1
    return np.ascontiguousarray(vectors / lengths, dtype=np.float32)
