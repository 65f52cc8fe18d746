"""Whether queries come, for those who give way to them."""

import math
import time

# Queries that are further apart leave documents all threads in between.
_CALM_SECONDS = 0.25


class QueryTraffic:
    """Whether queries come, to whichever provider: documents leave them room."""

    def __init__(self) -> None:
        self._last_at = -math.inf

    def is_calm(self) -> bool:
        """Tell whether none came lately."""
        return time.monotonic() - self._last_at > _CALM_SECONDS

    def note(self) -> None:
        """Tell of a query."""
        self._last_at = time.monotonic()
