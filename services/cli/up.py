"""`vitrina up`: all processes of one machine, from one terminal."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from services.cli.child import Process
from services.cli.connection import run
from services.cli.failures import FAILED, WRONG_USE, Failure
from services.cli.logs import JsonLog, Log, ReadableLog
from services.cli.output import console, print_json
from services.cli.ports import Ports
from services.cli.sample import SAMPLE_QUERY, import_sample, show_sample
from services.cli.stack import LOOPBACK, Stack, locked, plan
from services.cli.supervisor import Supervisor

# A process uses VITRINA_GRACE_SECONDS for its calls, and then closes what it has open.
DEFAULT_GRACE_SECONDS = 10.0
_CLOSING_SECONDS = 5.0

EPILOG = """Examples

  vitrina up

  vitrina up --sample examples/catalog.jsonl

  vitrina up --data-dir /srv/shop --host 0.0.0.0 --http-port 80

Ctrl-C drains: calls that are under way are answered, then the processes stop, those first \\
that call the others. A second Ctrl-C ends them at once. A process that dies is started again."""


def up(
    *,
    data_dir: Annotated[
        Path,
        typer.Option("--data-dir", envvar="VITRINA_DATA_DIR", help="Where all data are kept."),
    ] = Path("vitrina-data"),
    http_port: Annotated[
        int, typer.Option("--http-port", min=0, max=65535, help="HTTP; 0 for any free port.")
    ] = 8080,
    grpc_port: Annotated[
        int, typer.Option("--grpc-port", min=0, max=65535, help="gRPC; 0 for any free port.")
    ] = 50050,
    host: Annotated[
        str, typer.Option(help="Where HTTP and gRPC listen; 0.0.0.0 for other machines too.")
    ] = LOOPBACK,
    gateway_workers: Annotated[
        int,
        typer.Option(
            envvar="VITRINA_GATEWAY_WORKERS",
            min=1,
            max=64,
            help="Gateways on the gRPC port; each has a cache of its own.",
        ),
    ] = 1,
    sample: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Once ready, import this catalog and search it."),
    ] = None,
    sample_query: Annotated[
        str, typer.Option(metavar="WORDS", help="What to look for in the sample.")
    ] = SAMPLE_QUERY,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one line of JSON when ready; logs are JSON lines."),
    ] = False,
) -> None:
    """Start all processes on this machine, and keep them running."""
    if sample is not None and not sample.is_file():
        raise Failure(f"{sample}: no such file", exit_code=WRONG_USE)
    ports = Ports()
    try:
        with locked(data_dir.resolve()) as lock:
            stack = plan(
                ports,
                data_dir=data_dir.resolve(),
                host=host,
                grpc_port=grpc_port,
                http_port=http_port,
                gateway_workers=gateway_workers,
            )
            processes = stack.processes(os.environ)
            log: Log = JsonLog() if as_json else ReadableLog([p.name for p in processes])
            running = Running(stack, processes, log, as_json=as_json, lock=lock)
            raise typer.Exit(run(running.until_stopped(sample, sample_query)))
    finally:
        ports.close()


class Running:
    """A stack from its start to its end."""

    def __init__(
        self, stack: Stack, processes: list[Process], log: Log, *, as_json: bool, lock: int
    ) -> None:
        self._stack = stack
        self._log = log
        self._as_json = as_json
        self._supervisor = Supervisor(
            processes, log, grace_seconds=_grace_seconds() + _CLOSING_SECONDS, inherited=(lock,)
        )
        self._was_asked = False
        self._was_killed = False

    async def until_stopped(self, sample: Path | None, query: str) -> int:
        """Run until a signal; return the exit code. Raise Failure if it cannot come up."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        showing: list[asyncio.Future[None]] = []

        def on_ready(seconds: float) -> None:
            self._announce(seconds)
            if sample is not None:
                showing.append(asyncio.ensure_future(self._show(sample, query)))

        try:
            await self._supervisor.run(on_ready)
        finally:
            for task in showing:
                task.cancel()
            await asyncio.gather(*showing, return_exceptions=True)
        return FAILED if self._was_killed else 0

    def _on_signal(self) -> None:
        if self._was_asked:
            self._was_killed = True
            self._log.event("warning", "killing all processes")
            self._supervisor.kill()
            return
        self._was_asked = True
        self._log.event("info", "draining; once more ends all at once")
        self._supervisor.drain()

    def _announce(self, seconds: float) -> None:
        self._log.event("info", "ready", seconds=round(seconds, 2))
        # Whoever read our output may be gone; the processes serve on.
        with contextlib.suppress(OSError):
            self._print_ready(seconds)

    def _print_ready(self, seconds: float) -> None:
        stack = self._stack
        if self._as_json:
            print_json(
                {
                    "event": "ready",
                    "http": stack.http,
                    "grpc": stack.grpc,
                    "data_dir": str(stack.data_dir),
                    "processes": {
                        child.process.name: {"pid": child.pid, "address": child.process.address}
                        for child in self._supervisor.children
                    },
                }
            )
            return
        out = console()
        out.print(f"\nVitrina is ready after {seconds:.1f} s", style="bold green")
        out.print(f"  HTTP  {stack.http}\n  gRPC  {stack.grpc}\n  data  {stack.data_dir}")
        out.print("  Ctrl-C stops it\n", style="dim")

    async def _show(self, sample: Path, query: str) -> None:
        try:
            if self._as_json:
                report = await import_sample(self._stack, sample)
                self._log.event("info", "sample imported", **report.as_json())
            else:
                await show_sample(self._stack, sample, query)
        except Failure as failure:
            self._log.event("error", failure.message, hint=failure.hint)
        except Exception as defect:
            self._log.event("error", "the sample cannot be shown", problem=repr(defect))


def _grace_seconds() -> float:
    try:
        return float(os.environ.get("VITRINA_GRACE_SECONDS") or DEFAULT_GRACE_SECONDS)
    except ValueError:  # the processes will say so
        return DEFAULT_GRACE_SECONDS
