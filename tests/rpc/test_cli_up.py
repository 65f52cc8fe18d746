"""`vitrina up` as a process, with small processes in place of the services."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

# Both ends of a stack: children that obey as the services do, and `up` with these as its list.
CHILD = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, {on_term})
print("up", flush=True)
sys.stdin.buffer.read()
"""
DRAINS = "lambda *_: os._exit(0)"
STUBBORN = "signal.SIG_IGN"
UP = """
import dataclasses, os, sys
from services.cli import __main__, stack, up

async def is_ready():
    return True

def processes(self, inherited):
    command = (sys.executable, "-S", "-E", "-c", os.environ["CHILD"])
    return [dataclasses.replace(p, command=command, probe=is_ready) for p in real(self, inherited)]

real = stack.Stack.processes
stack.Stack.processes = processes
sys.exit(__main__.main(["up", "--json", "--http-port", "0", "--grpc-port", "0", *sys.argv[1:]]))
"""


class Stack:
    def __init__(self, process: asyncio.subprocess.Process, ready: dict[str, Any]) -> None:
        self.process = process
        self.ready = ready
        self.pids = [child["pid"] for child in ready["processes"].values()]

    async def ended(self) -> int:
        async with asyncio.timeout(15):
            return await self.process.wait()

    async def until(self, is_true: Callable[[], object]) -> None:
        async with asyncio.timeout(15):
            while not is_true():  # noqa: ASYNC110 - other processes set no event of ours
                await asyncio.sleep(0.01)


@asynccontextmanager
async def up(data_dir: Path, on_term: str = DRAINS) -> AsyncIterator[Stack]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UP, "--data-dir", str(data_dir),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        env={**os.environ, "CHILD": CHILD.format(on_term=on_term)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(15):
            line = await process.stdout.readline()
            assert line, (await process.communicate())[1].decode()
        yield Stack(process, json.loads(line))
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_ready_says_all_that_a_program_needs(tmp_path: Path) -> None:
    async with up(tmp_path / "data") as stack:
        assert stack.ready["event"] == "ready"
        assert stack.ready["http"].startswith("http://127.0.0.1:")
        assert stack.ready["data_dir"] == str(tmp_path / "data")
        assert list(stack.ready["processes"]) == [
            "catalog", "embedder", "index", "gateway", "rest",
        ]  # fmt: skip
        assert stack.ready["processes"]["gateway"]["address"] == stack.ready["grpc"]
        group = {os.getpgid(pid) for pid in stack.pids}
        assert group == {stack.process.pid}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_the_first_signal_drains_and_ends_with_0(tmp_path: Path, number: int) -> None:
    async with up(tmp_path) as stack:
        stack.process.send_signal(number)
        assert await stack.ended() == 0
        assert all(map(is_gone, stack.pids))


async def test_a_second_ctrl_c_ends_all_at_once(tmp_path: Path) -> None:
    async with up(tmp_path, STUBBORN) as stack:
        os.killpg(stack.process.pid, signal.SIGINT)
        assert stack.process.stderr is not None
        async with asyncio.timeout(10):
            while b"draining" not in await stack.process.stderr.readline():
                pass
        os.killpg(stack.process.pid, signal.SIGINT)
        assert await stack.ended() == 1
        assert all(map(is_gone, stack.pids))


async def test_no_process_survives_the_death_of_up(tmp_path: Path) -> None:
    async with up(tmp_path, STUBBORN) as stack:
        stack.process.kill()
        await stack.ended()
        await stack.until(lambda: all(map(is_gone, stack.pids)))


async def test_data_in_use_are_refused_even_while_what_is_left_drains(tmp_path: Path) -> None:
    async with up(tmp_path) as first:
        os.kill(first.pids[0], signal.SIGSTOP)
        first.process.kill()
        await first.ended()
        with pytest.raises(AssertionError, match="in use by another `vitrina up`"):
            async with up(tmp_path):
                pass
        os.kill(first.pids[0], signal.SIGCONT)
        await first.until(lambda: all(map(is_gone, first.pids)))
    async with up(tmp_path) as second:
        assert second.pids


async def test_two_stacks_stand_side_by_side(tmp_path: Path) -> None:
    async with up(tmp_path / "a") as first, up(tmp_path / "b") as second:
        addresses = [
            child["address"]
            for stack in (first, second)
            for child in stack.ready["processes"].values()
        ]
        assert len(set(addresses)) == 10
