"""What rest says about itself and about those behind it."""

import asyncio
import time
from typing import Any, NoReturn

from services.common.server import serving
from tests.rest_gateway import FakeGateway, rest_before, shop
from tests.support import free_port
from vitrina.search.v1 import search_pb2

STATES = {
    "SERVING": search_pb2.PROCESS_STATE_SERVING,
    "NOT_SERVING": search_pb2.PROCESS_STATE_NOT_SERVING,
    "UNREACHABLE": search_pb2.PROCESS_STATE_UNREACHABLE,
}


def gateway_that_tells(**states: str) -> FakeGateway:
    gateway = FakeGateway()

    async def status(request: Any) -> search_pb2.GetStatusResponse:
        return search_pb2.GetStatusResponse(
            processes=[
                search_pb2.ProcessStatus(name=name, state=STATES[state])
                for name, state in states.items()
            ]
        )

    gateway.answers["GetStatus"] = status
    return gateway


async def test_ready_when_every_process_serves() -> None:
    async with shop(gateway_that_tells(gateway="SERVING", index="SERVING")) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "processes": {"gateway": "SERVING", "index": "SERVING"},
    }


async def test_not_ready_while_a_process_is_down_and_says_which() -> None:
    async with shop(gateway_that_tells(index="UNREACHABLE", catalog="NOT_SERVING")) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "processes": {"gateway": "SERVING", "index": "UNREACHABLE", "catalog": "NOT_SERVING"},
    }


async def test_not_ready_when_the_gateway_cannot_tell() -> None:
    gateway = FakeGateway()

    async def broken(request: Any) -> NoReturn:
        raise RuntimeError("broken")

    gateway.answers["GetStatus"] = broken
    async with shop(gateway) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["processes"] == {"gateway": "NOT_SERVING"}


async def test_not_ready_within_a_second_when_the_gateway_hangs() -> None:
    gateway = FakeGateway()

    async def hang(request: Any) -> None:
        await asyncio.Event().wait()

    gateway.answers["GetStatus"] = hang
    async with shop(gateway) as client:
        started = time.monotonic()
        answer = await client.get("/readyz")
        assert time.monotonic() - started < 2
    assert answer.status_code == 503


async def test_alive_but_not_ready_without_the_gateway_and_ready_when_it_comes_back() -> None:
    port = free_port()
    async with rest_before(f"127.0.0.1:{port}") as client:
        alive, not_ready = await client.get("/healthz"), await client.get("/readyz")
        down = await client.get("/v1/status")
        gateway = gateway_that_tells(catalog="SERVING")
        async with serving(gateway.service(f"127.0.0.1:{port}")):
            deadline = time.monotonic() + 10
            while (ready := await client.get("/readyz")).status_code != 200:
                assert time.monotonic() < deadline
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert not_ready.status_code == 503
    assert not_ready.json()["processes"] == {"gateway": "UNREACHABLE"}
    assert down.status_code == 503
    assert down.json()["error"]["message"] == "the gateway cannot be reached"
    assert ready.json()["processes"] == {"gateway": "SERVING", "catalog": "SERVING"}


async def test_the_root_lists_the_routes() -> None:
    async with rest_before("127.0.0.1:1") as client:
        listing = (await client.get("/")).json()
    assert listing["name"] == "vitrina"
    assert "GET /v1/products:search" in listing["routes"]
    assert "PUT /v1/products/{product.id}" in listing["routes"]
