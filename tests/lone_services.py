"""The services and a Redis as processes that nobody restarts, so that an outage lasts."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio

from services.common.channel import channel_to
from tests.support import RedisServer, free_port, until
from vitrina.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

SERVICES = ("catalog", "embedder", "index", "gateway")


class LoneServices:
    """Each can be killed or stopped by its name, "redis" too, and mended."""

    def __init__(self, folder: Path, redis: RedisServer, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._redis = redis
        self._addresses = {name: f"127.0.0.1:{free_port()}" for name in SERVICES}
        self._environment = {
            **os.environ,
            "VITRINA_DATA_DIR": str(folder / "data"),
            "VITRINA_GRACE_SECONDS": "1",
            "REDIS_URL": redis.url,
            **environment,
        }
        for name, address in self._addresses.items():
            self._environment[f"VITRINA_{name.upper()}_LISTEN"] = address
            self._environment[f"VITRINA_{name.upper()}_ADDRESS"] = address
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def address_of(self, name: str) -> str:
        """host:port of a service."""
        return self._addresses[name]

    def log_of(self, name: str) -> str:
        """What a service has written so far."""
        return (self._folder / f"{name}.log").read_text(encoding="utf-8")

    def start(self, name: str) -> None:
        """Start a service; does not wait for it."""
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", f"services.{name}"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def hang(self, name: str) -> None:
        """Keep a process from doing anything; its connections stay."""
        process = self._running(name)
        assert process is not None, f"{name} does not run"
        process.send_signal(signal.SIGSTOP)

    def kill(self, name: str) -> None:
        """End a process at once, whatever its state."""
        if name == "redis":
            self._redis.stop()
        else:
            self._processes[name].kill()
            self._processes[name].wait()

    def mend(self, name: str) -> None:
        """Let a process go on, or start it again."""
        process = self._running(name)
        if process is not None:
            process.send_signal(signal.SIGCONT)
        elif name == "redis":
            self._redis.start()
        else:
            self.start(name)

    def end(self) -> None:
        """Kill what runs."""
        for name in self._processes:
            self.kill(name)

    def _running(self, name: str) -> subprocess.Popen[bytes] | None:
        process = self._redis.process if name == "redis" else self._processes[name]
        return process if process is not None and process.poll() is None else None


@asynccontextmanager
async def lone_services(
    folder: Path, environment: Mapping[str, str], products: Sequence[str], *, spaces: int
) -> AsyncIterator["tuple[LoneServices, search_pb2_grpc.SearchServiceAsyncStub]"]:
    """Run all with products of these names in the catalog, searchable in so many spaces."""
    with RedisServer(folder) as redis:
        services = LoneServices(folder, redis, environment)
        try:
            for name in SERVICES:
                services.start(name)
            async with channel_to(services.address_of("gateway")) as channel:
                await _fill(channel, products)
                stub: search_pb2_grpc.SearchServiceAsyncStub
                stub = search_pb2_grpc.SearchServiceStub(channel)

                async def is_searchable() -> bool:
                    status = await stub.GetStatus(pb.GetStatusRequest(), timeout=5)
                    filled = [each for each in status.collections if each.vectors == len(products)]
                    return len(filled) == spaces and status.cache.redis == pb.REDIS_STATE_UP

                await until(is_searchable, seconds=40, what="all products searchable")
                yield services, stub
        finally:
            services.end()


async def _fill(channel: grpc.aio.Channel, names: Sequence[str]) -> None:
    stub: catalog_pb2_grpc.CatalogServiceAsyncStub = catalog_pb2_grpc.CatalogServiceStub(channel)
    products = [
        catalog_pb2.Product(id=f"p-{number}", name=name) for number, name in enumerate(names)
    ]
    request = catalog_pb2.BatchUpsertProductsRequest(products=products)

    async def is_stored() -> bool:
        try:
            response = await stub.BatchUpsertProducts(request, timeout=5, wait_for_ready=True)
        except grpc.aio.AioRpcError:
            return False
        return not any(result.HasField("error") for result in response.results)

    await until(is_stored, seconds=40, what="the products stored")
