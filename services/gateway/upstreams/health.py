"""The standard health check of an upstream."""

from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.rpc_status import calling


class HealthCheck:
    """Asks one process how it is."""

    def __init__(self, channel: grpc.aio.Channel, name: str) -> None:
        self._health: Any = health_pb2_grpc.HealthStub(channel)
        self._name = name

    async def is_serving(self, timeout_seconds: float) -> bool:
        """Tell whether the process says that it serves."""
        with calling(self._name):
            response = await self._health.Check(
                health_pb2.HealthCheckRequest(), timeout=timeout_seconds
            )
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)
