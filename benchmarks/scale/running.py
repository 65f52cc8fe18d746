"""Single services and their stand-ins as processes on free ports, with one folder for all."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.processes import cpu_seconds_of, free_address
from services.cli.readiness import grpc_probe

_START_SECONDS = 300.0
_STOP_SECONDS = 120.0
_PROBE_INTERVAL_SECONDS = 0.01
# A process that uses less of a core, for so long, has nothing more to do.
_QUIET_SHARE = 0.1
_QUIET_SECONDS = 1.0


@dataclass(frozen=True)
class Folder:
    """Where processes keep data and logs."""

    path: Path

    @property
    def data(self) -> Path:
        """The data of all services."""
        return self.path / "data"

    def log_of(self, name: str) -> Path:
        """Where a process writes."""
        return self.path / f"{name}.log"


@dataclass(frozen=True)
class Memory:
    """Bytes of a process: resident, its alone, and the most that ever was resident."""

    resident: int
    unique: int
    peak: int


@dataclass(frozen=True)
class Running:
    """A process that serves."""

    address: str
    pid: int
    # time.perf_counter() at its start, and seconds from then until it served.
    started: float
    serving_seconds: float

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor that it has used so far."""
        return cpu_seconds_of(self.pid)

    @property
    def memory(self) -> Memory:
        """Its memory now."""
        info = psutil.Process(self.pid).memory_full_info()
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        peak_kib = next(line.split()[1] for line in status.splitlines() if "VmHWM" in line)
        return Memory(info.rss, info.uss, int(peak_kib) * 1024)

    async def settled(self, within_seconds: float) -> float:
        """Wait until it has nothing more to do; return the time.perf_counter() of that."""
        deadline = time.perf_counter() + within_seconds
        quiet_since, before = time.perf_counter(), self.cpu_seconds
        while (now := time.perf_counter()) - quiet_since < _QUIET_SECONDS:
            if now > deadline:
                raise TimeoutError(f"process still busy after {within_seconds:.0f} s")
            await asyncio.sleep(_QUIET_SECONDS / 8)
            used = self.cpu_seconds
            if used - before > _QUIET_SHARE * _QUIET_SECONDS / 8:
                quiet_since = time.perf_counter()
            before = used
        return quiet_since


@asynccontextmanager
async def running(
    name: str, folder: Folder, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """Start a service; drain it at the end. It ends with this process in any case."""
    address = free_address()
    variables = {
        "VITRINA_DATA_DIR": str(folder.data),
        f"VITRINA_{name.upper()}_LISTEN": address,
        "VITRINA_SUPERVISED": "1",
        **(environment or {}),
    }
    started = time.perf_counter()
    async with _process(f"services.{name}", folder, name, variables=variables) as process:
        is_serving = grpc_probe(address)
        while not await is_serving():
            seconds = time.perf_counter() - started
            if process.returncode is not None or seconds > _START_SECONDS:
                raise RuntimeError(f"{name} did not start; see {folder.log_of(name)}")
            await asyncio.sleep(_PROBE_INTERVAL_SECONDS)
        yield Running(address, process.pid, started, time.perf_counter() - started)


@asynccontextmanager
async def stand_in(module: str, folder: Folder, *arguments: str) -> AsyncIterator[Running]:
    """Start one of the stand-ins, which print their port when they serve."""
    started = time.perf_counter()
    name = module.rpartition(".")[2]
    async with _process(module, folder, name, *arguments) as process:
        assert process.stdout is not None
        port = (await process.stdout.readline()).decode().strip()
        if not port:
            raise RuntimeError(f"{name} did not start; see {folder.log_of(name)}")
        seconds = time.perf_counter() - started
        yield Running(f"127.0.0.1:{port}", process.pid, started, seconds)


@asynccontextmanager
async def _process(
    module: str,
    folder: Folder,
    name: str,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.log_of(name).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            env={**os.environ, **(variables or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
