"""A graph on disk is used only if it is certainly the right one."""

import json
from pathlib import Path

import numpy as np
import pytest

from services.index.engines.faiss import FaissEngine
from services.index.engines.protocol import GraphParameters
from services.index.graph_files import GraphFiles

PARAMETERS = GraphParameters(links=8)
IDS = np.arange(10, 60)
ENGINE = FaissEngine()


@pytest.fixture
def files(tmp_path: Path) -> GraphFiles:
    rows = np.random.default_rng(1).standard_normal((len(IDS), 16)).astype(np.float32)
    graph = ENGINE.build([rows], 16, PARAMETERS, lambda: False)
    made = GraphFiles(tmp_path, ENGINE, PARAMETERS)
    made.save(graph, IDS, "one")
    return made


def test_what_was_saved_is_loaded(files: GraphFiles, tmp_path: Path) -> None:
    saved = files.load("one", 59)
    assert saved is not None
    assert saved.vector_ids.tolist() == IDS.tolist()
    assert saved.graph.rows == len(IDS)
    assert {path.name for path in tmp_path.iterdir()} == {"graph.faiss", "graph.ids", "graph.json"}


def test_nothing_is_loaded_where_nothing_is(files: GraphFiles) -> None:
    files.remove()
    files.remove()
    assert files.load("one", 59) is None


def test_a_graph_of_other_rows_is_not_used(files: GraphFiles) -> None:
    assert files.load("two", 59) is None


def test_a_graph_that_is_newer_than_the_rows_is_not_used(files: GraphFiles) -> None:
    assert files.load("one", 58) is None


def test_a_graph_of_other_parameters_is_not_used(files: GraphFiles, tmp_path: Path) -> None:
    assert GraphFiles(tmp_path, ENGINE, GraphParameters(links=9)).load("one", 59) is None


@pytest.mark.parametrize("name", ["graph.faiss", "graph.ids", "graph.json"])
def test_every_flipped_bit_is_seen(files: GraphFiles, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    content = file.read_bytes()
    # the time of saving is the one thing that nothing depends on
    end = content.index(b"save_time") if name == "graph.json" else len(content)
    for place in np.linspace(0, end - 1, 40).astype(int).tolist():
        flipped = bytearray(content)
        flipped[place] ^= 0x04
        file.write_bytes(bytes(flipped))
        try:
            is_same = json.loads(flipped) == json.loads(content)
        except ValueError:
            is_same = False
        assert is_same or files.load("one", 59) is None, place
    file.write_bytes(content)
    assert files.load("one", 59) is not None


@pytest.mark.parametrize("name", ["graph.faiss", "graph.ids", "graph.json"])
def test_a_file_that_is_cut_or_missing_is_seen(
    files: GraphFiles, tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    content = file.read_bytes()
    for end in (0, 1, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:end])
        assert files.load("one", 59) is None
    file.unlink()
    assert files.load("one", 59) is None


def test_files_of_two_savings_are_not_mixed(files: GraphFiles, tmp_path: Path) -> None:
    old = (tmp_path / "graph.ids").read_bytes()
    rows = np.random.default_rng(2).standard_normal((len(IDS), 16)).astype(np.float32)
    graph = ENGINE.build([rows], 16, PARAMETERS, lambda: False)
    files.save(graph, IDS + 1, "one")
    (tmp_path / "graph.ids").write_bytes(old)
    assert files.load("one", 100) is None
