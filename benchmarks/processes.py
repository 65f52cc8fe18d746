"""The stack under measurement, as a user starts it, and the bare echo server beside it."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@contextmanager
def running_stack(data_dir: Path) -> Iterator[Stack]:
    """Start everything on free ports with its data in a folder; drain it at the end."""
    command = [sys.executable, "-m", "services.cli", "up", "--json", "--data-dir", str(data_dir)]
    started = time.perf_counter()
    with (
        (data_dir.parent / "up.log").open("a") as log,
        subprocess.Popen(
            [*command, "--http-port", "0", "--grpc-port", "0"], stdout=subprocess.PIPE, stderr=log
        ) as up,
    ):
        try:
            assert up.stdout is not None
            line = up.stdout.readline()
            if not line:
                raise RuntimeError(f"the stack did not start; see {log.name}")
            ready = json.loads(line)
            pids = {name: process["pid"] for name, process in ready["processes"].items()}
            addresses = {name: p["address"] for name, p in ready["processes"].items()}
            seconds = time.perf_counter() - started
            yield Stack(ready["grpc"], pids | {"up": up.pid}, addresses, seconds)
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(30)


@contextmanager
def running_gateway(stack: Stack) -> Iterator[str]:
    """Start another gateway in front of the same services; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    upstreams = {
        f"VITRINA_{name.upper()}_ADDRESS": stack.addresses[name]
        for name in ("catalog", "embedder", "index")
    }
    with subprocess.Popen(
        [sys.executable, "-m", "services.gateway"],
        env=os.environ | upstreams | {"VITRINA_GATEWAY_LISTEN": address},
        stderr=subprocess.DEVNULL,
    ) as gateway:
        try:
            started = time.perf_counter()
            while not asyncio.run(_serves(address)):
                if gateway.poll() is not None or time.perf_counter() - started > START_SECONDS:
                    raise RuntimeError("the second gateway did not start")
                time.sleep(0.05)
            yield address
        finally:
            gateway.terminate()


async def _serves(address: str) -> bool:
    return await grpc_probe(address)()


@contextmanager
def running_echo() -> Iterator[str]:
    """Start a bare grpc.aio server in a process of its own; give its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.echo"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield f"127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.terminate()


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
