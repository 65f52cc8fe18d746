"""Category paths, "Audio > Headphones", as small numbers."""

import numpy as np
from numpy.typing import NDArray

from services.common import categories
from services.index.texts import Texts

# Codes that no category has, and that no search finds.
DEAD = 0
INACTIVE = 1
FIRST = 2


class Categories(Texts):
    """Numbers categories as they come."""

    def __init__(self) -> None:
        super().__init__(FIRST)

    def within(self, path: str) -> NDArray[np.bool_]:
        """Return by code whether it is this category or below it."""
        return self.passing(lambda known: categories.is_within(known, path))
