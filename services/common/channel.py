"""Channels to other processes: reconnecting, with deadlines and traces handed on."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from services.common import deadlines, telemetry

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

_RETRY_UNAVAILABLE = {
    "loadBalancingConfig": [{"round_robin": {}}],
    # A failure takes a token, a success gives a part of one back; below half of them nothing is
    # retried. So an upstream in trouble does not get three calls for each one.
    "retryThrottling": {"maxTokens": 20, "tokenRatio": 0.2},
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        },
        # The second attempt of a removal that went through would find nothing.
        {"name": [{"service": "vitrina.catalog.v1.CatalogService", "method": "DeleteProduct"}]},
    ],
}

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(_RETRY_UNAVAILABLE)),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A process that was killed is back within a second; do not wait longer for it.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name the time that one attempt to connect may take.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Above the 10 s that our servers allow, well below the default of NATs.
    ("grpc.keepalive_time_ms", 12_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]


def _with_context(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    traceparent = telemetry.current_traceparent()
    if traceparent is not None and metadata.get(telemetry.TRACEPARENT) is None:
        metadata.add(telemetry.TRACEPARENT, traceparent)
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=deadlines.shortened(details.timeout),
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _UnaryContext(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        return await continuation(_with_context(client_call_details), request)


class _StreamContext(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        return await continuation(_with_context(client_call_details), request)


def open_channel(address: str) -> grpc.aio.Channel:
    """Return a channel to host:port, or to all hosts behind a dns:/// name in turn.

    Calls get the deadline and the trace of the call at work. UNAVAILABLE alone is retried,
    up to two times within the deadline, unless most calls fail lately; removals never are.
    Close it, or use `channel_to`.
    """
    return grpc.aio.insecure_channel(
        address, options=_OPTIONS, interceptors=[_UnaryContext(), _StreamContext()]
    )


@asynccontextmanager
async def channel_to(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """`open_channel`, closed at the end."""
    channel = open_channel(address)
    try:
        yield channel
    finally:
        await channel.close()
