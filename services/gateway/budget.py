"""The time of a query: what is left of it, where it went, and what it did not suffice for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.common.errors import VitrinaError
from services.gateway.answers import LeftOut, Timings

# Shares of what is left of the budget, so that the stage after it still has its time.
EMBED_SHARE = 0.5
INDEX_SHARE = 0.7
TEXT_SHARE = 0.8
ARRANGE_SHARE = 0.8
# The index answers in milliseconds or is in trouble; only a min_revision is waited for longer.
INDEX_SECONDS = 1.0
# The same of words, where vectors answer too.
TEXT_SECONDS_BESIDE_VECTORS = 1.0


class Budget:
    """The time of one query, and the stages that failed or were late in it."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._reasons: dict[str, str] = {}

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Every stage that failed so far, with the reason of its first failure."""
        return tuple(LeftOut(*each) for each in self._reasons.items())

    @contextmanager
    def noting(self, stage: str) -> Iterator[None]:
        """Note an error of the block as the stage's, and let it pass."""
        try:
            yield
        except VitrinaError as error:
            self._reasons.setdefault(stage, error.reason)
            raise

    def share(self, fraction: float) -> float:
        """Return this fraction of the seconds that are left; never below a millisecond."""
        return max(0.001, (self._ends_at - time.monotonic()) * fraction)

    def for_index(self, min_revision: int) -> float:
        """Return the seconds that the index gets."""
        share = self.share(INDEX_SHARE)
        return share if min_revision else min(INDEX_SECONDS, share)

    def for_text(self, *, is_alone: bool) -> float:
        """Return the seconds that the search by words gets."""
        share = self.share(TEXT_SHARE)
        return share if is_alone else min(TEXT_SECONDS_BESIDE_VECTORS, share)


@contextmanager
def timed(timings: Timings, stage: str) -> Iterator[None]:
    """Add the milliseconds of the block to `<stage>_ms`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        spent = (time.perf_counter() - started) * 1000
        name = f"{stage}_ms"
        setattr(timings, name, getattr(timings, name) + spent)
