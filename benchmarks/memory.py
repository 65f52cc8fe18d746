"""Where the memory of each process goes: its libraries, what it holds, and the rest."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import grpc.aio

from benchmarks.processes import Stack
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

_MIB = 2**20
# What each process imports once it serves; adapters come late, and by name.
_MODULES = {
    "catalog": ("services.catalog.__main__",),
    "embedder": ("services.embedder.__main__", "services.embedder.providers.minilm"),
    "index": ("services.index.__main__",),
    "gateway": ("services.gateway.__main__",),
    "rest": ("services.gateway.rest.__main__",),
    "up": ("services.cli.__main__", "services.cli.up"),
}


@dataclass(frozen=True)
class ProcessMemory:
    """MiB of one process; `held` is what `holding` names."""

    name: str
    resident: float
    proportional: float
    libraries: float
    holding: str
    held: float

    @property
    def rest(self) -> float:
        """Caches of SQLite and the allocator, buffers, threads, what Python made of the data."""
        return max(0.0, self.resident - self.libraries - self.held)


async def memory_by_part(stack: Stack) -> list[ProcessMemory]:
    """Explain each process of a stack by what alike processes hold, and by what it says itself."""
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub: search_pb2_grpc.SearchServiceAsyncStub = search_pb2_grpc.SearchServiceStub(channel)
        status = await stub.GetStatus(pb.GetStatusRequest())
    bare = {name: resident_after(_importing(modules)) for name, modules in _MODULES.items()}
    model = resident_after(
        f"{_importing(_MODULES['embedder'])}; import benchmarks.bare_onnx as bare; "
        "model = bare.BareModel(); model.embed('a query of some words')"
    )
    held = {
        "embedder": ("the model", model - bare["embedder"]),
        "index": (
            "vectors, graph, columns",
            sum(collection.memory_bytes for collection in status.collections) / _MIB,
        ),
        "gateway": ("cached answers", status.cache.memory_bytes / _MIB),
    }
    parts: list[ProcessMemory] = []
    for name, (resident, proportional) in stack.memory_mib().items():
        kind = next((kind for kind in _MODULES if name.startswith(kind)), "")
        holding, held_mib = held.get(kind, ("", 0.0))
        parts.append(
            ProcessMemory(name, resident, proportional, bare.get(kind, 0.0), holding, held_mib)
        )
    return parts


def _importing(modules: Sequence[str]) -> str:
    return f"import {', '.join(modules)}"


def resident_after(statement: str) -> float:
    """Return the resident MiB of a process of its own once it has run a statement."""
    measuring = "import psutil; print(psutil.Process().memory_info().rss)"
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}; {measuring}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout) / _MIB
