"""The life of a gRPC process: bind, open the adapters, serve, drain, close in reverse."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from services.common.channel import MAX_MESSAGE_BYTES
from services.common.errors import StartRefused
from services.common.interceptors import AtOnce, ServiceInterceptor
from services.common.reflection import add_reflection
from services.common.settings import (
    CANNOT_START,
    DEFAULT_MAX_CALLS_IN_FLIGHT,
    ServiceSettings,
)
from services.common.telemetry import configure_logging, get_logger

log = get_logger()

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Default clients ping at most every 5 minutes, ours every 30 s, also while idle.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]

_SHARED_CONNECTION_AGE_MS = 60_000


@dataclass(frozen=True)
class Service:
    """One process, wired: what to register, and what to open before it serves.

    `adapters` are opened in order once the port answers (health: NOT_SERVING)
    and closed in reverse after the last call has ended. `on_drain` is called
    before that wait, to end the calls that would go on for ever.
    """

    name: str
    listen: str
    service_names: Sequence[str]
    registrations: Sequence[Callable[[grpc.aio.Server], None]]
    adapters: Sequence[AbstractAsyncContextManager[Any]]
    grace_seconds: float = 10.0
    on_drain: Sequence[Callable[[], None]] = ()
    # Whether others may listen on the same port and take their part of the connections. If
    # not, a port that is taken is an error.
    shares_port: bool = False
    # See ServiceInterceptor.
    at_once: Mapping[str, AtOnce] = field(default_factory=dict)


@asynccontextmanager
async def serving(
    service: Service, *, max_calls_in_flight: int = DEFAULT_MAX_CALLS_IN_FLIGHT
) -> AsyncIterator[int]:
    """Run a service inside the block; give its port. The end of the block drains it."""
    interceptor = ServiceInterceptor(max_calls_in_flight, service.at_once)
    options = [*_OPTIONS, ("grpc.so_reuseport", int(service.shares_port))]
    if service.shares_port:
        # a process that came later gets its part of them
        options.append(("grpc.max_connection_age_ms", _SHARED_CONNECTION_AGE_MS))
    server = grpc.aio.server(interceptors=[interceptor], options=options)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    for register in service.registrations:
        register(server)
    names = [*service.service_names, health.SERVICE_NAME]
    add_reflection(names, server)

    async def set_health(*, is_serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if is_serving else states.NOT_SERVING
        for name in ("", *service.service_names):
            await checks.set(name, status)

    await set_health(is_serving=False)
    port = server.add_insecure_port(service.listen)
    await server.start()
    try:
        async with AsyncExitStack() as stack:
            for adapter in service.adapters:
                await stack.enter_async_context(adapter)
            interceptor.is_serving = True
            await set_health(is_serving=True)
            log.info("serving", service=service.name, port=port)
            try:
                yield port
            finally:
                log.info("draining", service=service.name)
                # Also ends the watchers of health, which would hold the drain up.
                await checks.enter_graceful_shutdown()
                for end_streams in service.on_drain:
                    end_streams()
                await server.stop(service.grace_seconds)
    finally:
        await server.stop(None)
    log.info("stopped", service=service.name)


async def stop_requested(settings: ServiceSettings) -> None:
    """Return at the first SIGTERM or SIGINT; a second one ends the process at once.

    A supervised process leaves SIGINT to its supervisor, and stops when that is gone.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, on_signal)
    if settings.is_supervised:
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_input, loop, stop)
    else:
        loop.add_signal_handler(signal.SIGINT, on_signal)
    await stop.wait()


def _stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


def run(service: Callable[[], Service], settings: ServiceSettings, name: str) -> None:
    """Run a process until it is told to stop; the body of every `__main__`.

    `service` is called inside the event loop, so that what it wires may belong to it.
    """
    configure_logging(name, level=settings.log_level, environment=settings.environment)

    async def main() -> None:
        stop = asyncio.ensure_future(stop_requested(settings))
        async with serving(service(), max_calls_in_flight=settings.max_calls_in_flight):
            await stop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except StartRefused as refusal:
        log.critical("not started", reason=refusal.reason, problem=str(refusal))
        sys.exit(CANNOT_START)
    except Exception:
        log.critical("stopped by an error", exc_info=True)
        sys.exit(1)
