"""`make bench-load`: cached answers under h2load, beside a bare grpc.aio server of the same bytes.

With `--workers 1,2` gateways of one and of two workers take turns, and bare servers of as
many processes. The exit code is 1 if a call failed.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import grpc.aio

from benchmarks.echo import GET
from benchmarks.load import h2load
from benchmarks.load.h2load import Level, Server
from benchmarks.load.report import Loads, drawn, sheet_of
from benchmarks.processes import Stack, echo_server, running_stack, vitrina
from benchmarks.queries import cached, queries_from, read_products
from benchmarks.report import machine, told
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

_DEFAULT_REPORT = Path("benchmarks/results/load")
_SEARCH = f"/{pb.DESCRIPTOR.services_by_name['SearchService'].full_name}/Search"


def main() -> int:
    """Load, report; return the exit code."""
    options = _parser().parse_args()
    if not h2load.is_installed():
        sys.stderr.write(f"{h2load.MISSING}\n")
        return 2
    on_machine = told(machine())
    with tempfile.TemporaryDirectory(prefix="vitrina-load-") as name:
        loads = measured(Path(name), options)
    sheet = sheet_of(loads)
    options.report.mkdir(parents=True, exist_ok=True)
    drawn(loads, options.report / "load.png")
    text = f"# Vitrina under load\n\n{on_machine}\n\n{sheet.as_markdown()}\n![load.png](load.png)\n"
    (options.report / "report.md").write_text(text, encoding="utf-8")
    sheet.show()
    print(f"report: {options.report}/report.md")
    return 1 if loads.failed else 0


def measured(folder: Path, options: argparse.Namespace) -> Loads:
    """Start all servers, and load them in turn."""
    products = read_products(options.catalog, 10**9)
    request = cached(queries_from([product["name"] for product in products], 1)[0])
    body, empty, reply = folder / "request", folder / "empty", folder / "reply"
    body.write_bytes(h2load.framed(request.SerializeToString()))
    empty.write_bytes(h2load.framed(b""))
    with ExitStack() as running:
        stacks = {}
        for workers in options.workers:
            data_dir = folder / f"data-{workers}"
            several = ("--gateway-workers", str(workers)) if workers > 1 else ()
            stacks[workers] = running.enter_context(running_stack(data_dir, *several))
            vitrina("import", str(options.catalog), "--wait", address=stacks[workers].grpc)
        replies = {workers: asyncio.run(_shortest(it, request)) for workers, it in stacks.items()}
        reply_bytes = reply.write_bytes(replies[options.workers[0]])
        servers: list[tuple[Server, Path]] = []
        beside: dict[str, str] = {}
        for workers, stack in stacks.items():
            echo = _started_echo(running, workers, reply)
            name, pids = _name("gateway", workers), _gateways(stack)
            gateway = Server(name, stack.grpc, _SEARCH, pids, len(replies[workers]))
            servers += [(echo, empty), (gateway, body)]
            beside[gateway.name] = echo.name
            if workers > 1 and 1 in stacks:
                beside[gateway.name], beside[echo.name] = _name("gateway", 1), _name("echo", 1)
        loads = Loads(beside, reply_bytes, options.seconds)
        for level in options.levels:
            for number in range(options.pairs):
                # Now the one goes first, now the other.
                for server, asked in servers if number % 2 == 0 else servers[::-1]:
                    load = h2load.run(server, level, asked, folder / "log", options.seconds)
                    loads.add(level, server.name, load)
    return loads


def _name(kind: str, workers: int) -> str:
    return kind if workers == 1 else f"{kind}, {workers} processes"


def _started_echo(running: ExitStack, processes: int, reply: Path) -> Server:
    address, pid = running.enter_context(echo_server(0, reply))
    port = int(address.rpartition(":")[2])
    others = [running.enter_context(echo_server(port, reply))[1] for _ in range(processes - 1)]
    return Server(_name("echo", processes), address, GET, (pid, *others), reply.stat().st_size)


def _gateways(stack: Stack) -> tuple[int, ...]:
    return tuple(pid for name, pid in stack.pids.items() if name.startswith("gateway"))


async def _shortest(stack: Stack, request: pb.SearchRequest) -> bytes:
    """Return the shortest of the workers' cached replies: times in them differ, so lengths do."""
    replies = [await _cached_reply(stack, request) for _ in range(8 * len(_gateways(stack)))]
    return min(replies, key=len)


async def _cached_reply(stack: Stack, request: pb.SearchRequest) -> bytes:
    # A pool of its own makes a connection of its own, and so maybe another worker's.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(stack.grpc, options) as channel:
        stub: search_pb2_grpc.SearchServiceAsyncStub = search_pb2_grpc.SearchServiceStub(channel)
        response = await stub.Search(request)
        while response.info.provenance != pb.PROVENANCE_MEMORY:
            response = await stub.Search(request)
        return response.SerializeToString()


def _numbers(text: str) -> Sequence[int]:
    return [int(number) for number in text.split(",")]


def _levels(text: str) -> Sequence[Level]:
    return [Level.parse(level) for level in text.split(",")]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument(
        "catalog", type=Path, nargs="?", default=Path("examples/catalog.jsonl"), help="JSONL"
    )
    parser.add_argument("--workers", type=_numbers, default=[1, 2], metavar="N,N")
    parser.add_argument(
        "--levels",
        type=_levels,
        default=_levels("1x1,8x2,16x8"),
        metavar="CxM,CxM",
        help="connections, each with so many calls in flight",
    )
    parser.add_argument("--pairs", type=int, default=5, help="rounds in which all take turns")
    parser.add_argument("--seconds", type=int, default=5, help="of each run")
    parser.add_argument("--report", type=Path, default=_DEFAULT_REPORT, metavar="FOLDER")
    return parser


if __name__ == "__main__":
    sys.exit(main())
