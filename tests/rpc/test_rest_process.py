"""rest as a process of its own: start, drain, the second signal, its supervisor."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from services.common.server import serving
from tests.rest_gateway import FakeGateway
from vitrina.search.v1 import search_pb2


async def start(**environment: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.gateway.rest"),
        env=os.environ | {"VITRINA_HTTP_LISTEN": "127.0.0.1:0"} | environment,
        stdin=PIPE,
        stderr=PIPE,
    )


async def logged(process: Process, event: str) -> dict[str, Any]:
    assert process.stderr is not None
    async with asyncio.timeout(20):
        while line := await process.stderr.readline():
            entry: dict[str, Any] = json.loads(line) if line.startswith(b"{") else {}
            if entry.get("event") == event:
                return entry
    raise AssertionError(f"ended without {event}")


@asynccontextmanager
async def running(**environment: str) -> AsyncIterator[tuple[Process, int]]:
    process = await start(**environment)
    try:
        yield process, (await logged(process, "serving"))["port"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def code_of(process: Process) -> int:
    return await asyncio.wait_for(process.wait(), 20)


async def test_a_signal_lets_the_request_in_flight_end_and_a_second_one_does_not() -> None:
    gateway = FakeGateway()
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def wait(request: Any) -> search_pb2.GetStatusResponse:
        has_begun.set()
        await may_end.wait()
        return search_pb2.GetStatusResponse()

    gateway.answers["GetStatus"] = wait
    async with serving(gateway.service()) as upstream, httpx.AsyncClient(timeout=20) as client:
        address = {"VITRINA_GATEWAY_ADDRESS": f"127.0.0.1:{upstream}"}

        async with running(**address) as (process, port):
            asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/v1/status"))
            await asyncio.wait_for(has_begun.wait(), 10)
            process.send_signal(signal.SIGTERM)
            await logged(process, "draining")
            may_end.set()
            answer = await asking
            assert answer.status_code == 200
            assert await code_of(process) == 0

        has_begun.clear()
        may_end.clear()
        async with running(**address) as (process, port):
            asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/v1/status"))
            await asyncio.wait_for(has_begun.wait(), 10)
            process.send_signal(signal.SIGTERM)
            await logged(process, "draining")
            process.send_signal(signal.SIGTERM)
            assert await code_of(process) == 1
            may_end.set()
            await asyncio.gather(asking, return_exceptions=True)


async def test_a_request_that_outlives_the_grace_gets_503() -> None:
    gateway = FakeGateway()
    has_begun = asyncio.Event()

    async def hang(request: Any) -> None:
        has_begun.set()
        await asyncio.Event().wait()

    gateway.answers["GetStatus"] = hang
    async with serving(gateway.service()) as upstream, httpx.AsyncClient(timeout=20) as client:
        environment = {
            "VITRINA_GATEWAY_ADDRESS": f"127.0.0.1:{upstream}",
            "VITRINA_GRACE_SECONDS": "0.1",
        }
        async with running(**environment) as (process, port):
            asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/v1/status"))
            await asyncio.wait_for(has_begun.wait(), 10)
            process.send_signal(signal.SIGTERM)
            answer = await asking
            assert answer.status_code == 503
            assert answer.json()["error"]["details"][0]["reason"] == "NOT_SERVING"
            assert await code_of(process) == 0


async def test_a_supervised_process_ends_with_its_supervisor_and_not_by_ctrl_c() -> None:
    async with running(VITRINA_SUPERVISED="1") as (process, port):
        process.send_signal(signal.SIGINT)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        assert process.stdin is not None
        process.stdin.close()
        assert await code_of(process) == 0


async def test_a_port_that_is_taken_ends_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start(VITRINA_HTTP_LISTEN=f"127.0.0.1:{port}")
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert json.loads(errors.splitlines()[0])["event"] == "stopped by an error"


async def test_a_wrong_setting_ends_the_process_by_its_name() -> None:
    process = await start(VITRINA_CORS_ORIGINS="shop.example")
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert errors.startswith(b"VITRINA_CORS_ORIGINS: ")
