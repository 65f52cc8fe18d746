"""What the driver and the process of an engine say to each other: a line of JSON each."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum


class Way(StrEnum):
    """How products are found."""

    VECTOR = "vector"
    # Vectors and words, fused.
    HYBRID = "hybrid"
    LEXICAL = "lexical"
    # The answer to a hybrid query that was asked before.
    CACHED = "cached"


@dataclass(frozen=True)
class Ask:
    """A search to be timed."""

    query: str
    way: Way
    # How many products.
    k: int
    # Only products cheaper than this.
    below_price: float | None = None

    def line(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of(cls, line: str) -> "Ask":
        """Return what a line asks."""
        fields = json.loads(line)
        return cls(**(fields | {"way": Way(fields["way"])}))


@dataclass(frozen=True)
class Answer:
    """The time that the engine's client took, from the text to the products."""

    seconds: float
    # Of this, making the query's vector; 0 where another process did it.
    embedding_seconds: float
    # Best first.
    ids: list[str]

    def line(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of(cls, line: str) -> "Answer":
        """Return what a line answers."""
        return cls(**json.loads(line))


@dataclass(frozen=True)
class Greeting:
    """The first line of the process: it is ready."""

    version: str
    settings: str
    ways: list[Way]
    # From the first row handed over to the first search answered; of a process that loads.
    load_seconds: float | None = None

    def line(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def of(cls, line: str) -> "Greeting":
        """Return what a line says."""
        fields = json.loads(line)
        return cls(**(fields | {"ways": [Way(way) for way in fields["ways"]]}))
