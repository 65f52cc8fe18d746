"""What an engine must be able to do to be measured."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import Ask, Way
from benchmarks.peers.rows import Row

Vectors = NDArray[np.float32]


class System(ABC):
    """An engine over a folder of its own. Opened by `with`; closed, its data is on disk."""

    # Whether it wants the query's vector; if not, it makes it itself.
    wants_vector: ClassVar[bool] = True
    ways: ClassVar[tuple[Way, ...]]
    # What was set, and what was left as it comes.
    settings: ClassVar[str]

    def __init__(self, place: str) -> None:
        self._folder = Path(place)

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """Return the versions of what is measured."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    def clear(self) -> None:
        """Forget all; before it is opened."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    def load(self, rows: Sequence[Row], vectors: Vectors) -> None:
        """Store all products, so that searches find them as fast as they ever will."""
        raise NotImplementedError

    @abstractmethod
    def search(self, ask: Ask, vector: Vectors, /) -> list[str]:
        """Return the ids of the k best, best first, having read all fields of each product.

        `vector` is the query's, or empty where it is not wanted.
        """
