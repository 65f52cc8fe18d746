"""h2load as a gRPC client: it posts one message again and again."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figures import Latency
from benchmarks.processes import children_cpu_seconds, cpu_seconds_of

_WARM_UP_SECONDS = 1
MISSING = (
    "h2load is missing. It comes with nghttp2: `apt-get install nghttp2-client` on Debian and "
    "Ubuntu, `brew install nghttp2` on macOS."
)

_REQUESTS = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
_RATE = re.compile(r"finished in [\d.]+\w+, ([\d.]+) req/s")
_DATA = re.compile(r"\((\d+)\) data")

_OK = 200
# Before each message: whether it is compressed, and its length.
FRAME_BYTES = 5


@dataclass(frozen=True)
class Level:
    """So many connections, each with so many calls in flight."""

    clients: int
    streams: int

    @classmethod
    def parse(cls, text: str) -> "Level":
        """Read "8x4"; ValueError if it is something else."""
        found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
        if found is None:
            raise ValueError(f"{text}: must be like 8x4, 1x1 at least")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.clients} x {self.streams}"


@dataclass(frozen=True)
class Server:
    """What is loaded: its address and path, its processes, and the bytes of each reply."""

    name: str
    address: str
    path: str
    pids: tuple[int, ...]
    reply_bytes: int


@dataclass(frozen=True)
class Load:
    """What came of one run. Failed is a call without an answer, or with an error for one."""

    requests: int
    requests_per_second: float
    failed: int
    latency: Latency
    # Of the server's processes, and of h2load, for each call.
    cpu_ms: float
    own_cpu_ms: float


def is_installed() -> bool:
    """Whether h2load is there."""
    return shutil.which("h2load") is not None


def framed(message: bytes) -> bytes:
    """Return the body of a gRPC call: not compressed, the length, the message."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def run(server: Server, level: Level, body: Path, log: Path, seconds: int) -> Load:
    """Load a server; every call is timed in the log, a file that is made anew."""
    _loaded(server, level, body, log, _WARM_UP_SECONDS)
    log.unlink()
    cpu_before, own_before = sum(map(cpu_seconds_of, server.pids)), children_cpu_seconds()
    output = _loaded(server, level, body, log, seconds)
    cpu_seconds = sum(map(cpu_seconds_of, server.pids)) - cpu_before
    own_cpu_seconds = children_cpu_seconds() - own_before
    return read(output, log.read_text(), server.reply_bytes, cpu_seconds, own_cpu_seconds)


def _loaded(server: Server, level: Level, body: Path, log: Path, seconds: int) -> str:
    command = [
        *("h2load", "-c", str(level.clients), "-m", str(level.streams), "-D", str(seconds)),
        *("-d", str(body), "--log-file", str(log)),
        *("-H", "content-type: application/grpc", "-H", "te: trailers"),
        f"http://{server.address}{server.path}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"h2load failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def read(
    output: str, log: str, reply_bytes: int, cpu_seconds: float, own_cpu_seconds: float
) -> Load:
    """Return what the output and the log tell.

    A gRPC error is an HTTP 200 without a message, so the bytes of the replies tell how many
    there were. (Calls in flight at the end may have brought some too: so many errors as there
    are of those could go unseen.)
    """
    found = [pattern.search(output) for pattern in (_REQUESTS, _RATE, _DATA)]
    requests, rate, data = found
    if not (requests and rate and data):
        raise RuntimeError(f"h2load says something new: {output}")
    succeeded, *broken = map(int, requests.groups())
    whole = int(data[1]) // (reply_bytes + FRAME_BYTES)
    timed = np.loadtxt(log.splitlines(), dtype=np.int64, ndmin=2)
    answered = timed[timed[:, 1] == _OK]
    return Load(
        succeeded,
        float(rate[1]),
        sum(broken) + max(0, succeeded - min(whole, len(answered))),
        Latency.of((answered[:, 2] / 1e6).tolist()),
        1000 * cpu_seconds / succeeded,
        1000 * own_cpu_seconds / succeeded,
    )
