"""A graph on disk. It is derived: one that is missing or damaged is built again."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.common.telemetry import get_logger
from services.index.engines.protocol import Engine, Graph, GraphParameters

log = get_logger()

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class SavedGraph:
    """A graph, the vector ids of its rows, and when it was saved."""

    graph: Graph
    vector_ids: NDArray[np.int64]
    save_time: datetime


class GraphFiles:
    """The files of one graph of a collection; every method blocks.

    The manifest is written last and holds checksums of the others, so files
    that do not belong together are seen to be that.
    """

    def __init__(
        self, folder: Path, engine: Engine, parameters: GraphParameters, name: str = "graph"
    ) -> None:
        self._folder = folder
        self._engine = engine
        self._parameters = parameters
        self._graph = folder / f"{name}.faiss"
        self._vector_ids = folder / f"{name}.ids"
        self._manifest = folder / f"{name}.json"

    def beside(self, name: str) -> "GraphFiles":
        """Return the files of another graph of the same collection."""
        return GraphFiles(self._folder, self._engine, self._parameters, name)

    def save(self, graph: Graph, vector_ids: NDArray[np.int64], incarnation: str) -> datetime:
        """Write the files, through to the disk. If that fails, what was saved before stays."""
        save_time = datetime.now(UTC)
        ids = vector_ids.astype("<i8").tobytes()
        unfinished = [self._unfinished(path) for path in self._all]
        try:
            self._engine.save(graph, unfinished[0])
            unfinished[1].write_bytes(ids)
            manifest = {
                "format": _FORMAT,
                "incarnation": incarnation,
                "rows": graph.rows,
                "parameters": asdict(self._parameters),
                "graph_sha256": _sha256(unfinished[0]),
                "vector_ids_sha256": _sha256(unfinished[1]),
                "save_time": save_time.isoformat(),
            }
            unfinished[2].write_text(json.dumps(manifest, indent=2), encoding="utf-8")
            for path in unfinished:
                _flush(path)
        except BaseException:
            # what was saved before stays, and gets no less room
            for path in unfinished:
                path.unlink(missing_ok=True)
            raise
        for path in self._all:
            self._unfinished(path).replace(path)
        _flush(self._folder)
        return save_time

    def load(self, incarnation: str, last_vector_id: int) -> SavedGraph | None:
        """Return what was saved for these rows; None, and a log, if that cannot be used."""
        try:
            self._remove_unfinished()
            if not self._manifest.exists() and not self._graph.exists():
                return None
            return self._load(incarnation, last_vector_id)
        except Exception as error:  # whatever a damaged file makes of it
            log.warning("saved graph not used", folder=self._folder.name, problem=str(error))
            return None

    def remove(self) -> None:
        """Delete the files, as far as there are any."""
        for path in (self._manifest, self._graph, self._vector_ids):
            path.unlink(missing_ok=True)

    def _load(self, incarnation: str, last_vector_id: int) -> SavedGraph:
        manifest = json.loads(self._manifest.read_text(encoding="utf-8"))
        expected = {
            "format": _FORMAT,
            "incarnation": incarnation,
            "parameters": asdict(self._parameters),
        }
        for name, value in expected.items():
            if manifest[name] != value:
                raise ValueError(f"{name} is another one")
        for path, name in ((self._graph, "graph_sha256"), (self._vector_ids, "vector_ids_sha256")):
            if _sha256(path) != manifest[name]:
                raise ValueError(f"{name} does not match")
        vector_ids = np.frombuffer(self._vector_ids.read_bytes(), dtype="<i8").astype(np.int64)
        if (np.diff(vector_ids) <= 0).any():  # as graphs of former versions were
            raise ValueError("vector ids do not ascend")
        graph = self._engine.load(self._graph)
        if not graph.rows == len(vector_ids) == manifest["rows"]:
            raise ValueError("numbers of rows differ")
        # the rows were put back to an older state, and will give those ids again
        if len(vector_ids) and int(vector_ids.max()) > last_vector_id:
            raise ValueError("the graph is newer than the rows")
        return SavedGraph(graph, vector_ids, datetime.fromisoformat(manifest["save_time"]))

    @property
    def _all(self) -> tuple[Path, Path, Path]:
        return self._graph, self._vector_ids, self._manifest

    def _unfinished(self, path: Path) -> Path:
        return path.with_name(path.name + ".new")

    def _remove_unfinished(self) -> None:
        for path in map(self._unfinished, self._all):
            if path.exists():
                path.unlink()
                log.info("unfinished file removed", folder=self._folder.name, file=path.name)


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
