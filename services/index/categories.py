"""Category paths, "Audio > Headphones", as small numbers."""

import numpy as np
from numpy.typing import NDArray

from services.common import categories

# Codes that no category has, and that no search finds.
DEAD = 0
INACTIVE = 1
_FIRST = 2


class Categories:
    """Numbers categories as they come. Only ever grows, so any thread may read it."""

    def __init__(self) -> None:
        self._paths: list[str] = []
        self._codes: dict[str, int] = {}

    def code_of(self, path: str) -> int:
        """Return the category's code, a new one for a new category."""
        code = self._codes.get(path)
        if code is None:
            code = self._codes[path] = len(self._paths) + _FIRST
            self._paths.append(path)
        return code

    def passing(self, path: str) -> NDArray[np.bool_] | None:
        """Return by code whether it is this category or below it; None if nothing is.

        With an empty path every category passes, and so do rows without one.
        """
        if not path:
            passes = np.ones(len(self._paths) + _FIRST, dtype=np.bool_)
            passes[[DEAD, INACTIVE]] = False
            return passes
        codes = [
            code
            for code, known in enumerate(self._paths.copy(), start=_FIRST)
            if categories.is_within(known, path)
        ]
        if not codes:
            return None
        passes = np.zeros(len(self._paths) + _FIRST, dtype=np.bool_)
        passes[codes] = True
        return passes
