"""The processes under measurement, as a user starts them, and those of their floors."""

import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from services.cli.readiness import grpc_probe

START_SECONDS = 60.0


@dataclass(frozen=True)
class Stack:
    """A running `vitrina up`."""

    grpc: str
    pids: dict[str, int]
    # host:port of each process.
    addresses: dict[str, str]
    seconds_to_ready: float

    def memory_mib(self) -> dict[str, tuple[float, float]]:
        """Resident and proportional set size of each process, in MiB."""
        sizes: dict[str, tuple[float, float]] = {}
        for name, pid in self.pids.items():
            info = psutil.Process(pid).memory_full_info()
            sizes[name] = (info.rss / 2**20, info.pss / 2**20)
        return sizes

    def cpu_seconds(self) -> dict[str, float]:
        """Seconds of processor that each process has used so far."""
        return {name: cpu_seconds_of(pid) for name, pid in self.pids.items()}


def cpu_seconds_of(pid: int) -> float:
    """Seconds of processor that a process has used so far."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def children_cpu_seconds() -> float:
    """Seconds of processor that children of this process had used when they ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def running_stack(data_dir: Path, *options: str) -> Iterator[Stack]:
    """Start everything on free ports with its data in a folder; drain it at the end."""
    command = [sys.executable, "-m", "services.cli", "up", "--json", "--data-dir", str(data_dir)]
    started = time.perf_counter()
    with (
        (data_dir.parent / "up.log").open("a") as log,
        subprocess.Popen(
            [*command, "--http-port", "0", "--grpc-port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=log,
        ) as up,
    ):
        try:
            assert up.stdout is not None
            line = up.stdout.readline()
            if not line:
                said = Path(log.name).read_text(encoding="utf-8").splitlines()[-5:]
                raise RuntimeError("\n".join(["the stack did not start:", *said]))
            ready = json.loads(line)
            pids = {name: process["pid"] for name, process in ready["processes"].items()}
            addresses = {name: p["address"] for name, p in ready["processes"].items()}
            seconds = time.perf_counter() - started
            yield Stack(ready["grpc"], pids | {"up": up.pid}, addresses, seconds)
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(30)


@contextmanager
def running_gateway(stack: Stack, module: str = "services.gateway") -> Iterator[Stack]:
    """Start another gateway in front of the same services; give the stack with it for its own."""
    upstreams = {
        f"VITRINA_{name.upper()}_ADDRESS": stack.addresses[name]
        for name in ("catalog", "embedder", "index")
    }
    with running_service("gateway", upstreams, module) as (address, pid):
        yield replace(stack, grpc=address, pids=stack.pids | {"gateway": pid})


@contextmanager
def running_service(
    name: str, settings: Mapping[str, str], module: str = ""
) -> Iterator[tuple[str, int]]:
    """Start one service on a free port; give its address and its process."""
    address = free_address()
    with subprocess.Popen(
        [sys.executable, "-m", module or f"services.{name}"],
        env={**os.environ, **settings, f"VITRINA_{name.upper()}_LISTEN": address},
        stderr=subprocess.DEVNULL,
    ) as service:
        try:
            started = time.perf_counter()
            while not asyncio.run(_serves(address)):
                if service.poll() is not None or time.perf_counter() - started > START_SECONDS:
                    raise RuntimeError(f"the {name} did not start")
                time.sleep(0.05)
            yield address, service.pid
        finally:
            service.terminate()


def free_address() -> str:
    """Return host:port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def _serves(address: str) -> bool:
    return await grpc_probe(address)()


@contextmanager
def running_echo() -> Iterator[str]:
    """Start a bare grpc.aio server in a process of its own; give its address."""
    with echo_server() as (address, _):
        yield address


@contextmanager
def echo_server(port: int = 0, reply: Path | None = None) -> Iterator[tuple[str, int]]:
    """Start a bare grpc.aio server; give its address and its process.

    Several on one port share its connections. `reply` is a file with what it answers.
    """
    arguments = [str(port), *([str(reply)] if reply else [])]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.echo", *arguments], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield f"127.0.0.1:{server.stdout.readline().strip()}", server.pid
        finally:
            server.terminate()


class OneProcess:
    """A running `benchmarks.one_process`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._asked, self._answers = process.stdin, process.stdout
        self._line()  # that it is ready

    def seconds_by_stage(self, query: str, filter_text: str = "") -> Mapping[str, float]:
        """Have it answer a query; return the seconds of each stage and their "total"."""
        self._asked.write(json.dumps({"query": query, "filter": filter_text}) + "\n")
        self._asked.flush()
        spent: dict[str, float] = self._line()["seconds"]
        return spent

    def _line(self) -> dict[str, dict[str, float]]:
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the one process ended")
        read: dict[str, dict[str, float]] = json.loads(line)
        return read


@contextmanager
def running_one_process(data_dir: Path) -> Iterator[OneProcess]:
    """Start the same steps in one process, over a data folder that no stack uses."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.one_process", str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield OneProcess(process)
        finally:
            process.terminate()


def vitrina(*arguments: str, address: str) -> dict[str, object]:
    """Run a command of the CLI with --json; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments, "--json"],
        env=os.environ | {"VITRINA_ADDRESS": address},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 3):
        raise RuntimeError(f"vitrina {arguments[0]} failed: {done.stderr.strip()}")
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer
