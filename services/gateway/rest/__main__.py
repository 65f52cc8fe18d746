"""Composition of rest: `python -m services.gateway.rest`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from services.common.channel import channel_to
from services.common.server import stop_requested
from services.common.settings import load
from services.common.telemetry import TRACEPARENT, configure_logging, get_logger
from services.gateway.rest.access import Access
from services.gateway.rest.bindings import Routes, bindings_of, method_not_allowed
from services.gateway.rest.probes import probes
from services.gateway.rest.server import http_serving
from services.gateway.rest.settings import RestSettings
from services.gateway.rest.transcoder import TIMEOUT_HEADER, Transcoder
from vitrina.catalog.v1 import catalog_pb2, suggestion_pb2, tuning_pb2
from vitrina.search.v1 import search_pb2

NAME = "rest"

# The public services of the gateway. All that there is over HTTP stands in their annotations.
SERVICES = (
    search_pb2.DESCRIPTOR.services_by_name["SearchService"],
    catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"],
    suggestion_pb2.DESCRIPTOR.services_by_name["SuggestionService"],
    tuning_pb2.DESCRIPTOR.services_by_name["TuningService"],
)

log = get_logger()


def compose(channel: grpc.aio.Channel, settings: RestSettings) -> tuple[Starlette, Transcoder]:
    """Wire the application, and the transcoder in it that has to be drained."""
    routes = Routes(bindings_of(SERVICES))
    transcoder = Transcoder(
        channel,
        routes,
        timeout_seconds=settings.timeout_seconds,
        max_body_bytes=settings.max_body_bytes,
    )
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=sorted({binding.http_method for binding in routes.bindings} | {"HEAD"}),
        allow_headers=["content-type", TRACEPARENT, TIMEOUT_HEADER],
    )
    app = Starlette(
        routes=probes(channel, routes.bindings),
        middleware=[*([cross_origin] if settings.cors_origins else []), Middleware(Access)],
        exception_handlers={405: _refuse_method},
    )
    # Not a Mount: that would also take POST /healthz, which is a 405.
    app.router.default = transcoder
    app.router.redirect_slashes = False
    return app, transcoder


async def _refuse_method(_request: Request, _error: Exception) -> Response:
    raise method_not_allowed({"GET"})


@asynccontextmanager
async def serving(settings: RestSettings) -> AsyncIterator[int]:
    """Run rest inside the block; give its port. The end of the block drains it."""
    async with channel_to(settings.gateway_address, settings.gateway_connections) as channel:
        app, transcoder = compose(channel, settings)
        async with http_serving(
            app, settings.listen, grace_seconds=settings.grace_seconds, drain=transcoder.drain
        ) as port:
            log.info("serving", service=NAME, port=port)
            yield port
            log.info("draining", service=NAME)
    log.info("stopped", service=NAME)


def main() -> None:
    """Run the process until it is told to stop."""
    settings = load(RestSettings)
    configure_logging(NAME, level=settings.log_level, environment=settings.environment)

    async def run() -> None:
        stop = asyncio.ensure_future(stop_requested(settings))
        await asyncio.sleep(0)  # the signals are ours before anybody is told that we serve
        async with serving(settings):
            await stop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except Exception:
        log.critical("stopped by an error", exc_info=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
