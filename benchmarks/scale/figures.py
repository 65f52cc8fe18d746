"""What is measured of one size, as it is kept."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.scale.asking import Asked
from benchmarks.scale.running import Memory


@dataclass
class Recall:
    """Recall@10 of searches with one filter: mean, that of the worst query, and what the index
    measures itself by CheckRecall; None where it cannot.
    """

    passing: int
    strategy: str
    mean: float
    worst: float
    own: float | None
    own_search_ms: float | None
    own_scan_ms: float | None
    # Medians of the true cosines of the nearest and the tenth.
    first_cosine: float
    tenth_cosine: float


@dataclass
class Changes:
    """Changes that were written while searches went on."""

    changes: int
    # Until the catalog had them, and until the index had applied them.
    written_seconds: float
    applied_seconds: float
    searches: Asked

    @property
    def per_second(self) -> float:
        """Applied changes."""
        return self.changes / self.applied_seconds


@dataclass
class IndexFigures:
    """Of the index with so many products."""

    products: int
    catalog: str
    # From the start of an empty index: until READY with everything applied, and until it had
    # nothing more to do.
    ready_seconds: float = 0.0
    settled_seconds: float = 0.0
    build_cpu_seconds: dict[str, float] = field(default_factory=dict)
    built: Memory = field(default_factory=lambda: Memory(0, 0, 0))
    # From the start of a process that has everything: until READY with everything applied.
    restart_seconds: float = 0.0
    restarted: Memory = field(default_factory=lambda: Memory(0, 0, 0))
    memory_bytes: int = 0
    graph_vectors: int = 0
    searches: Asked = field(default_factory=Asked)
    search_cpu_ms: float = 0.0
    recall: dict[str, Recall] = field(default_factory=dict)
    quiet: Asked = field(default_factory=Asked)
    changes: dict[str, Changes] = field(default_factory=dict)
    recall_after_changes: float | None = None
    changed: Memory = field(default_factory=lambda: Memory(0, 0, 0))


@dataclass
class TextFigures:
    """Of the catalog with so many products."""

    products: int
    write_seconds: float = 0.0
    settled_seconds: float = 0.0
    write_cpu_seconds: float = 0.0
    database_bytes: int = 0
    written: Memory = field(default_factory=lambda: Memory(0, 0, 0))
    # From the start of a process that has everything: until it serves, and until it has
    # answered a search.
    restart_seconds: float = 0.0
    first_answer_seconds: float = 0.0
    restarted: Memory = field(default_factory=lambda: Memory(0, 0, 0))
    searches: Asked = field(default_factory=Asked)


@dataclass
class Likeness:
    """A property of real vectors and of as many drawn ones."""

    name: str
    real: Sequence[float]
    drawn: Sequence[float]


@dataclass
class Outcome:
    """All that a run measured."""

    machine: dict[str, str]
    shop: dict[str, Any]
    likeness: list[Likeness] = field(default_factory=list)
    quantiles: Sequence[float] = ()
    index: list[IndexFigures] = field(default_factory=list)
    text: list[TextFigures] = field(default_factory=list)

    def save(self, file: Path) -> None:
        """Write every single measurement."""
        file.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
