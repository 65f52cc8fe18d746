"""One process kept running: started, read, restarted when it dies, stopped when asked."""

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.cli.failures import Failure
from services.cli.logs import Log, parsed
from services.cli.readiness import Probe

_MAX_LINE_BYTES = 64 * 1024
_TAIL_LINES = 15
# The exit code of a process whose settings are wrong, or that cannot use what it finds in its
# data folder: another start is of no use.
CANNOT_START = 2


@dataclass(frozen=True)
class Process:
    """What to run, where it answers, and how to ask whether it is ready."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    address: str
    probe: Probe
    # Started for the first time once these are ready, so that it finds them.
    after: Sequence[str] = ()


@dataclass(frozen=True)
class RestartPolicy:
    """How soon a dead process is started again, and when that is given up."""

    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 5.0
    # A process that ran so long has proved itself: its next death counts as the first.
    proof_seconds: float = 10.0
    # So many early deaths in a row, before it was ever ready, end `up`.
    most_early_deaths: int = 4


class Child:
    """Keeps one process running, as a child in our process group.

    `stdin` is the end of a pipe that nobody writes to: when we die, however
    that happens, the child reads the end of it and drains.
    """

    def __init__(
        self,
        process: Process,
        log: Log,
        policy: RestartPolicy,
        *,
        stdin: int,
        inherited: Sequence[int] = (),
    ) -> None:
        self.process = process
        # Once it was ready, a death is worth another start.
        self.is_proven = False
        self._may_start = asyncio.Event()
        self._log = log
        self._policy = policy
        self._stdin = stdin
        self._inherited = inherited
        self._running: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        return self._running.pid if self._running else None

    def let_start(self) -> None:
        """Let `keep_running` begin."""
        self._may_start.set()

    async def keep_running(self) -> None:
        """Run from `let_start` on until asked to stop.

        Raises Failure where another start is of no use.
        """
        await self._may_start.wait()
        early_deaths = 0
        pause = self._policy.first_pause_seconds
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            if time.monotonic() - started >= self._policy.proof_seconds:
                early_deaths, pause = 0, self._policy.first_pause_seconds
            early_deaths += 1
            if not self.is_proven:
                self._give_up_if_useless(code, early_deaths)
            self._log.event(
                "warning",
                "restarting",
                name=self.process.name,
                ended_by=_cause(code),
                pause_seconds=round(pause, 1),
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, self._policy.longest_pause_seconds)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and do not start again."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, and do not start again."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        self._stopping.set()
        self._may_start.set()
        self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        if self._running is not None and self._running.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._running.send_signal(number)

    async def _run_once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            *self.process.command,
            env=dict(self.process.environment),
            stdin=self._stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=self._inherited,
        )
        self._running = process
        if self._stopping.is_set():  # asked while it was being started
            self._signal(signal.SIGTERM)
        reading = asyncio.ensure_future(self._read(process.stdout))
        try:
            code = await process.wait()
            # A child of the child may hold the pipe open for ever.
            await asyncio.wait((reading,), timeout=0.5)
        finally:
            reading.cancel()
            self._signal(signal.SIGKILL)
            self._running = None
        return code

    async def _read(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None  # noqa: S101 - asked for with PIPE
        rest = b""
        while chunk := await stream.read(_MAX_LINE_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > _MAX_LINE_BYTES:
                self._take(rest)
                rest = b""
        if rest:
            self._take(rest)

    def _take(self, raw: bytes) -> None:
        line = raw.decode(errors="replace").rstrip("\r")
        if line:
            self._tail.append(line)
            self._log.line(self.process.name, line)

    def _give_up_if_useless(self, code: int, early_deaths: int) -> None:
        if code == CANNOT_START:
            problem = "cannot start"
        elif early_deaths >= self._policy.most_early_deaths:
            problem = f"died {early_deaths} times before it was ready, {_cause(code)}"
        else:
            return
        last = "\n".join(f"  {_readable(line)}" for line in self._tail)
        raise Failure(f"{self.process.name}: {problem}\n{last}".rstrip())


def _readable(line: str) -> str:
    record = parsed(line)
    if record is None:
        return line
    said = ": ".join(str(record[name]) for name in ("event", "problem") if name in record)
    return "\n".join((said, *str(record.get("exception", "")).splitlines()))


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
