"""What tests of storage share: single services as processes, full disks, noise in files."""

import asyncio
import json
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.catalog_support import Stubs, message, stubs_of
from tests.support import free_port, until
from vitrina.catalog.v1 import catalog_pb2 as pb

PAGE_BYTES = 4096


@dataclass
class Started:
    """A service of its own process, and what it has logged."""

    process: asyncio.subprocess.Process
    address: str
    log: Path

    def events(self, event: str = "") -> list[dict[str, Any]]:
        """Return the records of the log, or those of one event."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [record for record in records if event in ("", record["event"])]

    async def ended(self) -> int:
        """Return the exit code, when it ends."""
        return await asyncio.wait_for(self.process.wait(), 60)

    def limit_files(self, max_bytes: int | None) -> None:
        """Let no file grow beyond a size; None: let them grow again."""
        _, hard = psutil.Process(self.process.pid).rlimit(resource.RLIMIT_FSIZE)
        soft = resource.RLIM_INFINITY if max_bytes is None else max_bytes
        psutil.Process(self.process.pid).rlimit(resource.RLIMIT_FSIZE, (soft, hard))


@asynccontextmanager
async def started(name: str, data_dir: Path, **environment: str) -> AsyncIterator[Started]:
    """Run a service on a free port; kill it at the end."""
    address = f"127.0.0.1:{free_port()}"
    log = data_dir.parent / f"{name}-{address.rpartition(':')[2]}.log"
    variables = {k: v for k, v in os.environ.items() if not k.startswith("VITRINA_")}
    variables.pop("DATABASE_URL", None)
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"services.{name}"),
            env=variables
            | {"VITRINA_DATA_DIR": str(data_dir), f"VITRINA_{name.upper()}_LISTEN": address}
            | environment,
            stderr=file,
        )
    try:
        yield Started(process, address, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def refused(name: str, data_dir: Path, **environment: str) -> dict[str, Any]:
    """Start a service that refuses to start; return its one line of log that says why."""
    async with started(name, data_dir, **environment) as service:
        code = await service.ended()
        text = service.log.read_text(encoding="utf-8")
        assert code == 2, text
        assert "Traceback" not in text
        (record,) = service.events("not started")
    assert record["level"] == "critical"
    return record


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of some MB at a folder, or skip the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    options = ("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("no disk may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all room on a disk; the file that does is returned."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * PAGE_BYTES)
        except OSError:
            return ballast


def root_page(database: Path, table: str) -> int:
    """Return the number of the page that a table begins on."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
    return int(found[0])


def overwrite(file: Path, page: int) -> None:
    """Put noise in the place of a page; they are numbered from 1."""
    with file.open("r+b") as content:
        content.seek((page - 1) * PAGE_BYTES)
        content.write(random.Random(page).randbytes(PAGE_BYTES))


@asynccontextmanager
async def catalog(data_dir: Path, **environment: str) -> AsyncIterator[tuple[Started, Stubs]]:
    """Run a catalog as a process; give it and its stubs."""
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(started("catalog", data_dir, **environment))
        stubs = await stack.enter_async_context(stubs_of(service.address))
        await until(lambda: bool(service.events("serving")), seconds=60, what="the catalog serves")
        yield service, stubs


async def put(stubs: Stubs, *ids: str, description: str = "") -> int:
    """Store products; return the revision that holds them."""
    request = pb.BatchUpsertProductsRequest(
        products=[message(i, description=description) for i in ids]
    )
    return (await stubs.catalog.BatchUpsertProducts(request, timeout=10)).revision


async def stored(stubs: Stubs) -> set[str]:
    """Return the ids of all products."""
    response = await stubs.catalog.ListProducts(pb.ListProductsRequest(page_size=1_000), timeout=10)
    return {each.id for each in response.products}
