"""uvicorn as a block: it serves inside, and drains at the end."""

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.types import ASGIApp

# Connections that may wait to be accepted.
_BACKLOG = 2048
# Longer than the minute for which proxies keep idle connections, so that they end them.
_KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield


@asynccontextmanager
async def http_serving(
    app: ASGIApp, listen: str, *, grace_seconds: float, drain: Callable[[], None]
) -> AsyncIterator[int]:
    """Serve HTTP/1.1 inside the block; give the port.

    At the end of the block it calls `drain`, takes no new connection, and gives
    the requests in flight up to `grace_seconds`. Raises OSError for a port that is taken.
    """
    with _listening(listen) as listener:
        config = uvicorn.Config(
            app,
            backlog=_BACKLOG,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=math.ceil(grace_seconds),
        )
        server = _Server(config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            try:
                yield listener.getsockname()[1]
            finally:
                drain()
                server.should_exit = True


def _listening(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it an
    # answer, written as head and body, waits 40 ms for the client's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener
