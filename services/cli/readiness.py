"""Whether a process serves, asked as its callers would."""

import asyncio
import http.client
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.channel import channel_to

_PATIENCE_SECONDS = 2.0

Probe = Callable[[], Awaitable[bool]]


def grpc_probe(address: str) -> Probe:
    """Ask for SERVING by grpc.health.v1."""
    host, _, port = address.rpartition(":")

    async def is_serving() -> bool:
        # Channels remember a failure, and wait before they try again; sockets do not.
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except OSError:
            return False
        writer.close()
        async with channel_to(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest()
            try:
                answer = await stub.Check(request, timeout=_PATIENCE_SECONDS)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return is_serving


def http_probe(address: str, path: str = "/readyz") -> Probe:
    """Ask for 200 over HTTP."""
    host, _, port = address.rpartition(":")

    def get() -> bool:
        # No proxy of the environment stands before a process of this machine.
        connection = http.client.HTTPConnection(
            host.strip("[]"), int(port), timeout=_PATIENCE_SECONDS
        )
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    async def is_ready() -> bool:
        return await asyncio.to_thread(get)

    return is_ready
