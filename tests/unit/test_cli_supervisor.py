import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.cli.child import Process, RestartPolicy
from services.cli.failures import Failure
from services.cli.ports import Ports
from services.cli.stack import locked, plan
from services.cli.supervisor import Supervisor

FAST = RestartPolicy(first_pause_seconds=0.01, longest_pause_seconds=0.05, proof_seconds=60)

# Serves until SIGTERM or the end of its input, as our processes do.
SERVE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: (print("drained", flush=True), os._exit(0)))
print('{"event": "serving", "pid": %d}' % os.getpid(), flush=True)
sys.stdin.buffer.read()
print("input ended", flush=True)
"""
STUBBORN = SERVE.replace('lambda *_: (print("drained", flush=True), os._exit(0))', "signal.SIG_IGN")


class Said:
    """Keeps what was logged, and waits for it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self._changed = asyncio.Event()

    def line(self, process: str, line: str) -> None:
        self.lines.append((process, line))
        self._changed.set()

    def event(self, level: str, event: str, **fields: Any) -> None:
        self.events.append((event, fields))
        self._changed.set()

    def pids(self, process: str) -> list[int]:
        texts = (line for name, line in self.lines if name == process and line.startswith("{"))
        return [json.loads(text)["pid"] for text in texts]

    def has_started(self, process: str, times: int) -> bool:
        return len(self.pids(process)) == times

    async def until(self, is_true: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not is_true():
                self._changed.clear()
                await self._changed.wait()


def process(name: str, script: str, said: Said, after: tuple[str, ...] = ()) -> Process:
    async def is_serving() -> bool:
        return bool(said.pids(name))

    command = (sys.executable, "-S", "-E", "-c", script)
    return Process(name, command, dict(os.environ), "127.0.0.1:1", is_serving, after)


@asynccontextmanager
async def supervised(
    said: Said, *processes: Process, grace_seconds: float = 5, policy: RestartPolicy = FAST
) -> AsyncIterator[tuple[Supervisor, asyncio.Future[None], asyncio.Event]]:
    ready = asyncio.Event()
    supervisor = Supervisor(processes, said, grace_seconds=grace_seconds, policy=policy)
    running = asyncio.ensure_future(supervisor.run(lambda _seconds: ready.set()))
    try:
        yield supervisor, running, ready
    finally:
        supervisor.kill()
        await asyncio.gather(running, return_exceptions=True)


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_processes_start_after_those_they_need_and_drain_in_reverse() -> None:
    said = Said()
    names = ("catalog", "gateway", "rest")
    processes = [process(name, SERVE, said, names[:i]) for i, name in enumerate(names)]
    async with supervised(said, *processes) as (supervisor, running, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        assert [name for name, line in said.lines if "serving" in line] == list(names)
        supervisor.drain()
        async with asyncio.timeout(10):
            await running
    assert [name for name, line in said.lines if line == "drained"] == list(reversed(names))
    assert all(is_gone(said.pids(name)[0]) for name in names)


async def test_a_killed_process_is_started_again() -> None:
    said = Said()
    async with supervised(said, process("index", SERVE, said)) as (_supervisor, _running, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        for kills in range(1, 7):
            os.kill(said.pids("index")[-1], signal.SIGKILL)
            await said.until(partial(said.has_started, "index", kills + 1))
    assert len(set(said.pids("index"))) == 7
    restarts = [fields for event, fields in said.events if event == "restarting"]
    assert [fields["ended_by"] for fields in restarts] == ["SIGKILL"] * 6


async def test_pauses_grow_up_to_a_limit() -> None:
    said = Said()
    policy = RestartPolicy(first_pause_seconds=0.1, longest_pause_seconds=0.2, most_early_deaths=5)
    async with supervised(said, process("index", "", said), policy=policy) as (_, running, _ready):
        with pytest.raises(Failure):
            async with asyncio.timeout(10):
                await running
    pauses = [fields["pause_seconds"] for event, fields in said.events if event == "restarting"]
    assert pauses == [0.1, 0.2, 0.2, 0.2]


async def test_a_process_that_never_comes_up_ends_all_with_its_last_words() -> None:
    said = Said()
    broken = process("embedder", "print('no model'); raise SystemExit(1)", said)
    healthy = process("catalog", SERVE, said)
    async with supervised(said, healthy, broken) as (_supervisor, running, ready):
        with pytest.raises(Failure, match=r"(?s)embedder: died 4 times.*exit code 1.*no model"):
            async with asyncio.timeout(10):
                await running
        assert not ready.is_set()
    assert ("catalog", "drained") in said.lines


async def test_wrong_settings_end_all_at_the_first_death() -> None:
    said = Said()
    script = "import sys; print('VITRINA_X: must be positive', file=sys.stderr); sys.exit(2)"
    async with supervised(said, process("gateway", script, said)) as (_, running, _ready):
        with pytest.raises(Failure, match=r"(?s)cannot start.*VITRINA_X: must be positive"):
            async with asyncio.timeout(10):
                await running
    assert not any(event == "restarting" for event, _fields in said.events)


async def test_a_process_that_does_not_drain_is_killed_after_its_grace() -> None:
    said = Said()
    stubborn = process("index", STUBBORN, said)
    async with supervised(said, stubborn, grace_seconds=0.2) as (supervisor, running, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        supervisor.drain()
        async with asyncio.timeout(10):
            await running
    assert ("killing", {"name": "index", "grace_seconds": 0.2}) in said.events
    assert is_gone(said.pids("index")[0])


async def test_kill_does_not_wait_for_any_grace() -> None:
    said = Said()
    processes = [process(name, STUBBORN, said) for name in ("a", "b")]
    async with supervised(said, *processes, grace_seconds=600) as (supervisor, running, ready):
        async with asyncio.timeout(10):
            await ready.wait()
        supervisor.drain()
        await said.until(lambda: ("stopping", {"name": "b"}) in said.events)
        supervisor.kill()
        async with asyncio.timeout(10):
            await running
    assert all(is_gone(said.pids(name)[0]) for name in ("a", "b"))


async def test_drain_before_anything_is_ready_leaves_nothing_behind() -> None:
    said = Said()
    processes = [process("a", SERVE, said), process("b", SERVE, said, after=("never",))]
    async with supervised(said, *processes) as (supervisor, running, _ready):
        supervisor.drain()
        async with asyncio.timeout(10):
            await running
    assert said.pids("b") == []
    assert all(is_gone(pid) for pid in said.pids("a"))


async def test_long_and_binary_and_endless_lines_are_logged() -> None:
    said = Said()
    script = (
        "import sys; w = sys.stdout.buffer.write; w(b'\\xff\\n' + b'x' * 300_000 + b'\\n\\nlast');"
        "sys.stdout.flush(); sys.exit(2)"
    )
    async with supervised(said, process("a", script, said)) as (_supervisor, running, _ready):
        with pytest.raises(Failure):
            async with asyncio.timeout(10):
                await running
    texts = [line for _name, line in said.lines]
    assert texts[0] == "\ufffd"
    assert texts[-1] == "last"
    assert sum(map(len, texts[1:-1])) == 300_000


def test_a_second_up_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "data"),
        pytest.raises(Failure, match=rf"in use by another .*process {os.getpid()}"),
        locked(tmp_path / "data"),
    ):
        pass
    with locked(tmp_path / "data"):
        pass


def test_a_data_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="not a directory"), locked(tmp_path / "file" / "data"):
        pass


@pytest.fixture
def ports() -> Any:
    made = Ports()
    yield made
    made.close()


def test_a_taken_port_is_refused_where_it_was_asked_for(ports: Ports) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=f"port {port} of 127.0.0.1 is taken") as caught:
            ports.wanted("127.0.0.1", port, option="--http-port")
        assert "--http-port" in caught.value.hint
        assert ports.preferred("127.0.0.1", port) != port


def test_two_stacks_never_choose_the_same_port(ports: Ports) -> None:
    other = Ports()
    try:
        port = ports.wanted("127.0.0.1", 0, option="--http-port")
        with pytest.raises(Failure, match="taken by another vitrina"):
            other.wanted("127.0.0.1", port, option="--http-port")
    finally:
        other.close()
    ports.close()
    assert ports.wanted("127.0.0.1", port, option="--http-port") == port


def test_a_host_of_another_machine_is_refused(ports: Ports) -> None:
    for host in ("203.0.113.1", "no.such.host.invalid"):
        with pytest.raises(Failure, match="cannot be taken"):
            ports.wanted(host, 32_123, option="--http-port")


def test_processes_are_told_where_to_listen_and_whom_to_call(ports: Ports, tmp_path: Path) -> None:
    stack = plan(ports, data_dir=tmp_path, host="0.0.0.0", grpc_port=0, http_port=0)
    processes = {process.name: process for process in stack.processes({"REDIS_URL": "redis://r"})}
    assert list(processes) == ["catalog", "embedder", "index", "gateway", "rest"]
    environment = processes["gateway"].environment
    assert environment["REDIS_URL"] == "redis://r"
    assert environment["VITRINA_SUPERVISED"] == "1"
    assert environment["VITRINA_DATA_DIR"] == str(tmp_path)
    assert environment["VITRINA_GATEWAY_LISTEN"].startswith("0.0.0.0:")
    assert environment["VITRINA_GATEWAY_ADDRESS"] == stack.grpc
    assert stack.grpc.startswith("127.0.0.1:")
    assert stack.http == f"http://{processes['rest'].address}"
    assert environment["VITRINA_INDEX_LISTEN"] == environment["VITRINA_INDEX_ADDRESS"]
    assert processes["rest"].command[-1] == "services.gateway.rest"
    addresses = [process.address for process in processes.values()]
    assert len(set(addresses)) == 5


def test_several_gateways_share_one_port(ports: Ports, tmp_path: Path) -> None:
    stack = plan(
        ports, data_dir=tmp_path, host="127.0.0.1", grpc_port=0, http_port=0, gateway_workers=3
    )
    processes = stack.processes({})
    gateways = [each for each in processes if each.command[-1] == "services.gateway"]
    assert [each.name for each in gateways] == ["gateway", "gateway-2", "gateway-3"]
    assert {each.address for each in gateways} == {stack.grpc}
    assert {each.environment["VITRINA_GATEWAY_SHARES_PORT"] for each in gateways} == {"1"}
    (rest,) = [each for each in processes if each.name == "rest"]
    assert rest.environment["VITRINA_GATEWAY_CONNECTIONS"] == "12"
