"""What a run measured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.importing import Imported, Mixed
from benchmarks.memory import ProcessMemory
from benchmarks.searching import Measured

_SMALL_BYTES = 4_096


@dataclass(frozen=True)
class Start:
    """Seconds from the start until ready, and until a search is answered with nothing left out."""

    ready_seconds: float
    # Nothing to find: None.
    answer_seconds: float | None = None


@dataclass
class Outcome:
    """What a run measured; what is None was not asked for."""

    products: int
    queries: int
    filter_text: str
    searches: Measured
    cpu_ms: Mapping[str, Mapping[str, float]]
    memory: Sequence[ProcessMemory]
    starts: Mapping[str, Sequence[Start]]
    # Bytes of each kind of file in the data folder.
    disk_bytes: Mapping[str, int]
    imported: Imported | None = None
    mixed: Mixed | None = None
    machine: Mapping[str, str] = field(default_factory=dict)


def disk_bytes(data_dir: Path) -> dict[str, int]:
    """Return the bytes of each kind of file below a folder that no process uses now."""
    found: dict[str, int] = {}
    for file in sorted(data_dir.rglob("*")):
        if file.is_file():
            kind = f"{file.relative_to(data_dir).parts[0]}/{file.name.partition('.')[0]}"
            found[kind] = found.get(kind, 0) + file.stat().st_size
    return {kind: size for kind, size in found.items() if size >= _SMALL_BYTES}


def as_json(outcome: Outcome) -> str:
    """Return every single measurement."""

    def plain(value: object) -> Any:
        return value.item() if isinstance(value, np.generic) else str(value)

    return json.dumps(asdict(outcome), default=plain)
