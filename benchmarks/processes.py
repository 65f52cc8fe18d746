"""The stack under measurement, as a user starts it, and the bare echo server beside it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Stack:
    """A running `vitrina up`."""

    grpc: str
    pids: dict[str, int]
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
            yield Stack(ready["grpc"], pids | {"up": up.pid}, time.perf_counter() - started)
        finally:
            up.send_signal(signal.SIGTERM)
            up.wait(30)


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
