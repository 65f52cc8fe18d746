"""`vitrina up` as a user starts it, on free ports, for tests of whole processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import psutil

from services.common.channel import channel_to
from tests.support import until
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from vitrina.index.v1 import index_pb2, index_pb2_grpc
from vitrina.search.v1 import search_pb2, search_pb2_grpc

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "catalog.jsonl"
SERVICES = ("catalog", "embedder", "index", "gateway", "rest")


@dataclass
class Stack:
    """A running stack, seen from outside."""

    process: asyncio.subprocess.Process
    ready: Mapping[str, Any]
    log: Path
    channel: grpc.aio.Channel

    @property
    def grpc(self) -> str:
        """host:port of the gateway."""
        return str(self.ready["grpc"])

    @property
    def http(self) -> str:
        """The base URL of rest."""
        return str(self.ready["http"])

    def address_of(self, name: str) -> str:
        """host:port of a process."""
        return str(self.ready["processes"][name]["address"])

    @property
    def search(self) -> "search_pb2_grpc.SearchServiceAsyncStub":
        """The search service on the gateway."""
        return search_pb2_grpc.SearchServiceStub(self.channel)

    @property
    def catalog(self) -> "catalog_pb2_grpc.CatalogServiceAsyncStub":
        """The catalog service on the gateway."""
        return catalog_pb2_grpc.CatalogServiceStub(self.channel)

    def pid_of(self, name: str) -> int | None:
        """The process id of a service as it runs now."""
        module = "services.gateway.rest" if name == "rest" else f"services.{name}"
        for child in psutil.Process(self.process.pid).children():
            try:
                if module in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    return child.pid
            except psutil.NoSuchProcess:
                continue
        return None

    async def kill(self, name: str) -> None:
        """Kill -9 a service, and return when it is gone."""
        pid = self.pid_of(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        await until(lambda: self.pid_of(name) != pid, what=f"{name} gone")

    async def all_serve(self) -> bool:
        """Tell whether every process behind the gateway serves."""
        try:
            status = await self.search.GetStatus(search_pb2.GetStatusRequest(), timeout=2)
        except grpc.aio.AioRpcError:
            return False
        serving = search_pb2.PROCESS_STATE_SERVING
        return len(status.processes) == 4 and all(p.state == serving for p in status.processes)

    async def searchable(self, revision: int, *, seconds: float = 60.0, spaces: int = 1) -> None:
        """Return when that many collections are ready and have applied the revision."""

        async def is_applied() -> bool:
            try:
                status = await self.search.GetStatus(search_pb2.GetStatusRequest(), timeout=2)
            except grpc.aio.AioRpcError:
                return False
            ready = [c for c in status.collections if c.is_ready and c.applied_revision >= revision]
            return len(ready) >= spaces

        await until(is_applied, seconds=seconds, what=f"revision {revision} searchable")

    async def upsert(self, products: Iterable[catalog_pb2.Product]) -> int:
        """Store products; return the revision that holds them."""
        response = await self.catalog.BatchUpsertProducts(
            catalog_pb2.BatchUpsertProductsRequest(products=products), timeout=20
        )
        assert not [result.error for result in response.results if result.HasField("error")]
        return response.revision

    async def all_products(self) -> dict[str, catalog_pb2.Product]:
        """Return the whole catalog by id."""
        found: dict[str, catalog_pb2.Product] = {}
        token = ""
        while True:
            page = await self.catalog.ListProducts(
                catalog_pb2.ListProductsRequest(page_size=500, page_token=token), timeout=20
            )
            found |= {product.id: product for product in page.products}
            token = page.next_page_token
            if not token:
                return found

    async def collections(self) -> list[index_pb2.Collection]:
        """Return the index's own list of collections."""
        async with channel_to(self.address_of("index")) as channel:
            stub: index_pb2_grpc.IndexServiceAsyncStub = index_pb2_grpc.IndexServiceStub(channel)
            response = await stub.ListCollections(index_pb2.ListCollectionsRequest(), timeout=5)
        return list(response.collections)

    async def cli(self, *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
        """Run the `vitrina` command against this stack; return exit code, stdout and stderr."""
        command = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.cli",
            *arguments,
            env=os.environ | {"VITRINA_ADDRESS": self.grpc, "COLUMNS": "160", "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
        )
        out, err = await command.communicate()
        assert command.returncode is not None
        return command.returncode, out.decode(), err.decode()


@asynccontextmanager
async def running_stack(
    data_dir: Path | None = None, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Stack]:
    """Start everything; drain it at the end, and see that nothing survives."""
    with tempfile.TemporaryDirectory(prefix="vitrina-test-") as scratch:
        data_dir = data_dir or Path(scratch) / "data"
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        log = data_dir.parent / "up.log"
        with log.open("ab") as log_file:
            up = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.cli", "up", "--json"),
                *("--data-dir", str(data_dir), "--http-port", "0", "--grpc-port", "0"),
                env=os.environ | {"VITRINA_GRACE_SECONDS": "3"} | dict(environment or {}),
                stdout=subprocess.PIPE,
                stderr=log_file,
            )
        assert up.stdout is not None
        line = await asyncio.wait_for(up.stdout.readline(), 60)
        assert line, log.read_text(encoding="utf-8")[-4000:]
        ready = json.loads(line)
        try:
            async with channel_to(ready["grpc"]) as channel:
                yield Stack(up, ready, log, channel)
        finally:
            children = psutil.Process(up.pid).children(recursive=True)
            up.send_signal(signal.SIGTERM)
            await asyncio.wait_for(up.wait(), 30)
            alive = [child for child in children if child.is_running()]
            assert not alive, f"outlived up: {alive}"
