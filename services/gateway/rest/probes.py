"""What this process says about itself and about those behind it."""

import asyncio
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.gateway.rest.bindings import Binding
from vitrina.search.v1 import search_pb2, search_pb2_grpc

PROBE_SECONDS = 1.0

_SERVING = "SERVING"
_STATE_PREFIX = "PROCESS_STATE_"


def probes(channel: grpc.aio.Channel, bindings: Iterable[Binding]) -> list[Route]:
    """Return the routes `/`, `/healthz` and `/readyz`."""
    listing = {
        "name": "vitrina",
        "version": _version(),
        "routes": [f"{b.http_method} {b.template.text}" for b in bindings],
    }

    async def index(_request: Request) -> Response:
        return JSONResponse(listing)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        states = await _process_states(channel)
        is_ready = all(state == _SERVING for state in states.values())
        return JSONResponse(
            {"status": "ready" if is_ready else "not ready", "processes": states},
            status_code=200 if is_ready else 503,
        )

    return [Route("/", index), Route("/healthz", healthz), Route("/readyz", readyz)]


async def _process_states(channel: grpc.aio.Channel) -> dict[str, str]:
    """Return the state by process; the gateway's alone where it cannot tell of the others."""
    health: Any
    status: Any
    health, status = await asyncio.gather(
        health_pb2_grpc.HealthStub(channel).Check(  # type: ignore[attr-defined]
            health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS
        ),
        search_pb2_grpc.SearchServiceStub(channel).GetStatus(
            search_pb2.GetStatusRequest(), timeout=PROBE_SECONDS
        ),
        return_exceptions=True,
    )
    if isinstance(health, BaseException):
        return {"gateway": "UNREACHABLE"}
    is_serving = health.status == health_pb2.HealthCheckResponse.SERVING
    if not is_serving or isinstance(status, BaseException):
        return {"gateway": "NOT_SERVING"}
    others = {
        process.name: search_pb2.ProcessState.Name(process.state).removeprefix(_STATE_PREFIX)
        for process in status.processes
    }
    return {"gateway": _SERVING} | others


def _version() -> str:
    try:
        return version("vitrina")
    except PackageNotFoundError:
        return "unknown"
