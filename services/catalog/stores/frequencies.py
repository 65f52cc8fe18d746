"""How many products hold a word: what tells rare words from common ones."""

from collections.abc import Sequence
from typing import Any

# Beyond this a word is common, whatever it is.
MAX_COUNTED = 200_000
# A count is counted again after so many changes of the catalog.
_FRESH_REVISIONS = 1_000
_MAX_KEPT = 20_000

_COUNT = "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)"


class Frequencies:
    """Counts of the products that match expressions of FTS5, kept for the searches to come."""

    def __init__(self) -> None:
        # By expression, with the revision at which it was counted.
        self._counts: dict[str, tuple[int, int]] = {}

    def of(self, driver: Any, expressions: Sequence[str], revision: int) -> list[int]:
        """Return about how many products match each expression, at most MAX_COUNTED."""
        return [self._of(driver, expression, revision) for expression in expressions]

    def _of(self, driver: Any, expression: str, revision: int) -> int:
        count, counted_at = self._counts.get(expression, (0, -_FRESH_REVISIONS - 1))
        if abs(revision - counted_at) > _FRESH_REVISIONS:
            count = counted(driver, expression, MAX_COUNTED)
            if len(self._counts) >= _MAX_KEPT:
                self._counts.clear()
            self._counts[expression] = count, revision
        return count


def counted(driver: Any, expression: str, at_most: int) -> int:
    """Count the products that match an expression, and no further than this."""
    (count,) = driver.execute(_COUNT, (expression, at_most)).fetchone()
    return int(count)
