"""The process of one engine: `load` stores the catalog, `serve` answers from what is stored.

python -m benchmarks.peers.worker SYSTEM load|serve PLACE [CATALOG]

PLACE is the engine's folder; of Vitrina the gateway's address. A line of JSON is read
from stdin and answered on stdout until stdin ends.
"""

import importlib
import os
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np

from benchmarks.peers.protocol import Answer, Ask, Greeting
from benchmarks.peers.rows import read_catalog
from benchmarks.peers.systems.base import System

_NO_VECTOR = np.empty(0, dtype=np.float32)

# Modules are imported where they are run: each environment has but some of the engines.
SYSTEMS = {
    "chroma": "benchmarks.peers.systems.chroma:Chroma",
    "lancedb": "benchmarks.peers.systems.lance:LanceDB",
    "lancedb-ivf-pq": "benchmarks.peers.systems.lance:IndexedLanceDB",
    "lancedb-refined": "benchmarks.peers.systems.lance:RefinedLanceDB",
    "milvus-lite": "benchmarks.peers.systems.milvus:MilvusLite",
    "qdrant-local": "benchmarks.peers.systems.qdrant:QdrantLocal",
    "vitrina": "benchmarks.peers.systems.vitrina:Vitrina",
}


def system_of(name: str) -> type[System]:
    """Return the class of an engine."""
    module, _, made = SYSTEMS[name].partition(":")
    found: type[System] = getattr(importlib.import_module(module), made)
    return found


def load(system: type[System], place: str, catalog: Path) -> float:
    """Store the catalog anew; return the seconds until a search has been answered."""
    rows, vectors = read_catalog(catalog)
    opened = system(place)
    opened.clear()
    with opened:
        started = time.perf_counter()
        opened.load(rows, vectors)
        opened.search(Ask(rows[0].name, system.ways[0], k=10), vectors[0])
        return time.perf_counter() - started


def serve(system: type[System], place: str, asks: TextIO, answers: TextIO) -> None:
    """Greet, and answer until nothing more is asked."""
    with system(place) as opened:
        model = None
        if system.wants_vector:
            from benchmarks.bare_onnx import BareModel

            model = BareModel()
        answers.write(Greeting(system.version(), system.settings, list(system.ways)).line())
        answers.flush()
        for line in asks:
            ask = Ask.of(line)
            started = time.perf_counter()
            vector = model.embed(ask.query) if model else _NO_VECTOR
            embedded = time.perf_counter()
            ids = opened.search(ask, vector)
            ended = time.perf_counter()
            embedding_seconds = embedded - started if model else 0.0
            answers.write(Answer(ended - started, embedding_seconds, ids).line())
            answers.flush()


def main() -> None:
    """Run one engine."""
    name, action, place, *catalog = sys.argv[1:]
    system = system_of(name)
    # Engines print as they like; only answers may reach the driver.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if action == "load":
        seconds = load(system, place, Path(catalog[0]))
        ways = list(system.ways)
        answers.write(Greeting(system.version(), system.settings, ways, seconds).line())
        answers.flush()
    else:
        serve(system, place, sys.stdin, answers)


if __name__ == "__main__":
    main()
