"""Channels to other processes: reconnecting, with deadlines and traces handed on."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import grpc
import grpc.aio

from services.common import deadlines, telemetry
from services.common.telemetry import TRACEPARENT

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


def _in_context(begin: Callable[..., Any]) -> Callable[..., Any]:
    """Return the call with the deadline and the trace of the call at work."""

    def begin_in_context(
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Iterable[tuple[str, str | bytes]] | None = None,
        **options: Any,
    ) -> Any:
        traceparent = telemetry.current_traceparent()
        if traceparent is not None and telemetry.metadata_value(metadata, TRACEPARENT) is None:
            metadata = (*(metadata or ()), (TRACEPARENT, traceparent))
        return begin(request, timeout=deadlines.shortened(timeout), metadata=metadata, **options)

    return begin_in_context


class _Channel(grpc.aio.Channel):
    """Hands deadlines and traces on. Interceptors could, but each of their calls is a task more.

    Its calls take turns over some channels to the same address; the first tells its state.
    """

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self._channels = channels
        self._turns = itertools.cycle(range(len(channels)))

    def unary_unary(self, *method: Any, **options: Any) -> Any:
        return self._begin("unary_unary", method, options)

    def unary_stream(self, *method: Any, **options: Any) -> Any:
        return self._begin("unary_stream", method, options)

    def stream_unary(self, *method: Any, **options: Any) -> Any:
        return self._begin("stream_unary", method, options)

    def stream_stream(self, *method: Any, **options: Any) -> Any:
        return self._begin("stream_stream", method, options)

    def _begin(self, kind: str, method: tuple[Any, ...], options: dict[str, Any]) -> Any:
        begins = [getattr(channel, kind)(*method, **options) for channel in self._channels]

        def begin_in_turn(*request: Any, **call_options: Any) -> Any:
            return begins[next(self._turns)](*request, **call_options)

        return _in_context(begin_in_turn)

    async def close(self, grace: float | None = None) -> None:
        await asyncio.gather(*(channel.close(grace) for channel in self._channels))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channels[0].get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channels[0].wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channels[0].channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def open_channel(address: str, connections: int = 1) -> grpc.aio.Channel:
    """Return a channel to host:port, or to all hosts behind a dns:/// name in turn.

    Calls get the deadline and the trace of the call at work. UNAVAILABLE alone is retried,
    up to two times within the deadline, unless most calls fail lately; removals never are.
    With more connections calls take turns over them: processes that share a port get
    connections, not calls. Close it, or use `channel_to`.
    """
    # channels to one address share a connection, unless told otherwise
    options = [*_OPTIONS, ("grpc.use_local_subchannel_pool", int(connections > 1))]
    return _Channel(
        [grpc.aio.insecure_channel(address, options=options) for _ in range(connections)]
    )


@asynccontextmanager
async def channel_to(address: str, connections: int = 1) -> AsyncIterator[grpc.aio.Channel]:
    """`open_channel`, closed at the end."""
    channel = open_channel(address, connections)
    try:
        yield channel
    finally:
        await channel.close()
