"""What every request gets: a trace, a line in the log, and errors turned into answers once."""

import asyncio
import time

import grpc.aio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common import deadlines, telemetry
from services.common.errors import Unavailable, VitrinaError
from services.gateway.rest.errors import ClientGone, HttpError, http_answer

log = telemetry.get_logger()

# Where in the scope the transcoder leaves the template of the route, for the log.
ROUTE = "vitrina.route"
JSON = "application/json"

_GOING_DOWN = Unavailable("not serving any more", reason="NOT_SERVING")


class Access:
    """ASGI middleware around the whole of rest. No exception text leaves it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # The event loop may hand the context of an earlier request on to this one.
        deadlines.start(None)
        telemetry.start_trace(Headers(scope=scope).get(telemetry.TRACEPARENT))
        started = time.perf_counter()
        http_status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal http_status
            if message["type"] == "http.response.start":
                http_status = message["status"]
                MutableHeaders(scope=message)["x-content-type-options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ClientGone:
            http_status = 499  # nobody is there to read it; for the log
        except asyncio.CancelledError:
            # The grace of the process is over; the server's own answer would be a text.
            if not http_status:
                await _send_error(_GOING_DOWN, scope, receive, send_and_note)
        except Exception as error:
            if not isinstance(error, HttpError | VitrinaError | grpc.aio.AioRpcError):
                log.error("request failed", exc_info=error)
            if http_status:
                return  # the server cuts the connection, so that nobody takes it for whole
            await _send_error(error, scope, receive, send_and_note)
        finally:
            event = log.info if http_status >= 400 else log.debug
            event(
                "request",
                method=scope["method"],
                route=scope.get(ROUTE) or getattr(scope.get("route"), "path", ""),
                status=http_status,
                ms=round((time.perf_counter() - started) * 1000, 2),
            )


async def _send_error(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    status, body, headers = http_answer(error)
    await Response(body, status, headers, media_type=JSON)(scope, receive, send)
