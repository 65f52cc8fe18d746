"""The rules of the house, read off the imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ROOT / "services"

# Technology that only its adapter may name: import → the places where it may stand.
ADAPTERS = {
    "faiss": {"services/index/engines"},
    "onnxruntime": {"services/embedder/providers"},
    "tokenizers": {"services/embedder/providers"},
    "google.generativeai": {"services/embedder/providers/gemini.py"},
    "redis": {"services/gateway/stores"},
    "sqlalchemy": {"services/catalog/stores", "services/catalog/migrations"},
    "alembic": {"services/catalog/stores", "services/catalog/migrations"},
    "sqlite3": {"services/index/stores", "services/catalog/stores"},
    "lark": {"services/common/filters"},
    "Stemmer": {"services/catalog/text"},
    "rapidfuzz": {"services/catalog/text"},
    "ir_measures": {"services/cli/judgment"},
    "scipy": {"services/cli/judgment"},
    "matplotlib": {"services/cli/judgment"},
    "starlette": {"services/gateway/rest"},
    "uvicorn": {"services/gateway/rest"},
}
# Where protobuf and grpc belong, beside services/common: the edges of a service.
EDGES = ("servicer.py", "__main__.py", "proxy.py", "codec.py")
EDGE_FOLDERS = ("upstreams", "rest", "cli")
MAX_LINES = 320


def python_files() -> list[Path]:
    return [p for p in sorted(SERVICES.rglob("*.py")) if "_pb2" not in p.name]


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_service_imports_itself_and_common_only(path: Path) -> None:
    own = path.relative_to(SERVICES).parts[0]
    foreign = [
        name
        for name in imports_of(path)
        if is_below(name, "services") and name.split(".")[1:2] not in ([own], ["common"], [])
    ]
    assert not foreign


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_technology_is_imported_in_its_adapter_only(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    misplaced = [
        name
        for name in imports_of(path)
        for technology, homes in ADAPTERS.items()
        if is_below(name, technology)
        and not any(place.startswith(home) for home in homes)
        # the script that made the model runs in an environment of its own
        and not place.endswith("models/export_minilm.py")
    ]
    assert not misplaced


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_domain_knows_neither_grpc_nor_protobuf(path: Path) -> None:
    parts = path.relative_to(SERVICES).parts
    if parts[0] == "common" or path.name in EDGES or set(parts) & set(EDGE_FOLDERS):
        return
    transport = [
        name
        for name in imports_of(path)
        if is_below(name, "grpc") or is_below(name, "google.protobuf") or is_below(name, "vitrina")
    ]
    assert not transport


@pytest.mark.parametrize("path", python_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_can_be_held_in_the_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
