"""The stack that is hurt: real processes under the supervisor, with links between them."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from faults.links import Link
from faults.schedule import LINKS
from services.cli.child import Process
from services.cli.logs import parsed
from services.cli.output import json_line
from services.cli.ports import Ports
from services.cli.readiness import grpc_probe
from services.cli.stack import LOOPBACK, plan
from services.cli.supervisor import Supervisor

_READY_SECONDS = 90.0
_REDIS_PATIENCE_SECONDS = 1.0
_ENVIRONMENT = {
    "VITRINA_GRACE_SECONDS": "3",
    # The machine may be busy; a Redis that is taken for slow would hardly be used.
    "VITRINA_REDIS_TIMEOUT_MS": "50",
    # Small, so that it fills up and entries are put out.
    "VITRINA_CACHE_MEMORY_MB": "8",
    # No key, so no other provider than the local one.
    "GOOGLE_API_KEY": "",
}


class _QuietPorts(Ports):
    """Only ports that no outgoing connection is given.

    One that is given the port of a dead process blocks its restart for the 60 s
    of TIME_WAIT, and would be taken for a fault of the stack.
    """

    def preferred(self, host: str, port: int) -> int:  # noqa: ARG002
        """Return any free one."""
        return self.wanted(host, 0, option="")


class ClusterLog:
    """All lines of all processes in a file, and those that tell of a defect."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.defects: list[list[str]] = []
        # Tracebacks that are not JSON come line by line.
        self._traceback: dict[str, list[str]] = {}

    def line(self, process: str, line: str) -> None:
        """Take a line that a process wrote."""
        self._file.write(f"{process}: {line}\n")
        record = parsed(line)
        if record is not None:
            self._traceback.pop(process, None)
            if record.get("exception"):
                self.defects.append([f"{process}: {line}"])
        elif "Traceback" in line:
            self._traceback[process] = [f"{process}: {line}"]
            self.defects.append(self._traceback[process])
        elif process in self._traceback:
            self._traceback[process].append(line)

    def event(self, level: str, event: str, **fields: Any) -> None:
        """Take an event of the supervisor."""
        self._file.write(f"up: {json_line({'level': level, 'event': event, **fields})}\n")
        self._file.flush()


@dataclass
class Cluster:
    """A running stack with two gateways, and Redis where the machine has it."""

    processes: Mapping[str, Process]
    links: Mapping[str, Link]
    log: ClusterLog
    data_dir: Path
    supervisor: Supervisor
    has_redis: bool
    # Processes that do not run on, by our doing.
    stopped: set[str] = field(default_factory=set)

    @property
    def gateways(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(name for name in self.processes if name.startswith("gateway"))

    def pid_of(self, name: str) -> int | None:
        """The process id now; None while it does not run."""
        children = self.supervisor.children
        return next(child.pid for child in children if child.process.name == name)

    def signal(self, name: str, number: signal.Signals) -> bool:
        """Send a signal; tell whether there was a process to get it."""
        pid = self.pid_of(name)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False

    async def serves(self, name: str) -> bool:
        """Ask a process itself, past all links, whether it serves."""
        return self.pid_of(name) is not None and await self.processes[name].probe()

    async def flush_redis(self) -> None:
        """Have Redis forget everything, if it listens."""
        await _redis(self.processes["redis"].address, b"FLUSHALL\r\n")


@asynccontextmanager
async def running_cluster(
    data_dir: Path, log_path: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Cluster]:
    """Start everything on free ports; stop it at the end."""
    ports = _QuietPorts()
    async with AsyncExitStack() as stack:
        stack.callback(ports.close)
        log = ClusterLog(stack.enter_context(log_path.open("a", encoding="utf-8")))
        planned = plan(ports, data_dir=data_dir, host=LOOPBACK, grpc_port=0, http_port=0)
        inherited = {**os.environ, **_ENVIRONMENT, **(environment or {})}
        inherited.pop("REDIS_URL", None)
        listen = {p.name: p.address for p in planned.processes(inherited)}
        listen["gateway-1"] = listen.pop("gateway")
        listen["gateway-2"] = _any_port(ports)
        redis = shutil.which("redis-server")
        if redis:
            listen["redis"] = _any_port(ports)
        links = {
            name: await stack.enter_async_context(Link(name, listen[name.split(">")[1]]))
            for name in LINKS
            if name.split(">")[1] in listen
        }
        processes = [
            _linked(process, links, listen)
            for process in _all_of(planned.processes(inherited), listen, redis)
        ]
        supervisor = Supervisor(processes, log, grace_seconds=8.0)
        ready = asyncio.Event()
        running = asyncio.create_task(supervisor.run(lambda _: ready.set()))
        try:
            is_ready = asyncio.create_task(ready.wait())
            async with asyncio.timeout(_READY_SECONDS):
                await asyncio.wait((running, is_ready), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
            yield Cluster(
                {process.name: process for process in processes},
                links,
                log,
                data_dir,
                supervisor,
                has_redis=redis is not None,
            )
        finally:
            for child in supervisor.children:
                if child.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(child.pid, signal.SIGCONT)
            supervisor.drain()
            await running


def _all_of(planned: list[Process], listen: Mapping[str, str], redis: str | None) -> list[Process]:
    """Return the processes of `vitrina up`, with a second gateway, and Redis before them."""
    processes = []
    for process in planned:
        if process.name == "gateway":
            for name in ("gateway-1", "gateway-2"):
                environment = {**process.environment, "VITRINA_GATEWAY_LISTEN": listen[name]}
                processes.append(
                    replace(
                        process,
                        name=name,
                        environment=environment,
                        address=listen[name],
                        probe=grpc_probe(listen[name]),
                    )
                )
        else:
            processes.append(process)
    if redis:
        address = listen["redis"]
        command = (redis, "--port", address.rpartition(":")[2], "--bind", LOOPBACK, "--save", "")
        environment = {"PATH": os.environ.get("PATH", "")}

        async def probe() -> bool:
            return await _redis(address, b"PING\r\n")

        processes.insert(0, Process("redis", command, environment, address, probe))
    return processes


def _linked(process: Process, links: Mapping[str, Link], listen: Mapping[str, str]) -> Process:
    """Return the process calling others through its links where it has some."""
    environment = dict(process.environment)
    for name, link in links.items():
        caller, called = name.split(">")
        if caller == process.name and called == "redis":
            environment["REDIS_URL"] = f"redis://{link.address}/0"
        elif caller == process.name:
            environment[f"VITRINA_{called.upper()}_ADDRESS"] = link.address
    if process.name == "rest":
        environment["VITRINA_GATEWAY_ADDRESS"] = listen["gateway-1"]
    return replace(process, environment=environment)


def _any_port(ports: Ports) -> str:
    return f"{LOOPBACK}:{ports.wanted(LOOPBACK, 0, option='')}"


async def _redis(address: str, command: bytes) -> bool:
    """Send one command; tell whether Redis took it."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_REDIS_PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(command)
                return (await reader.readline()).startswith(b"+")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
