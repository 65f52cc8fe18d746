"""TCP between two processes, which can be cut, slowed down and left half open."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self

_CHUNK_BYTES = 64 * 1024
# Closed so, a connection is reset: the other side reads an error, not an end.
_RESET = struct.pack("ii", 1, 0)


class Link:
    """Listens on a port of its own and passes everything on to `target` (host:port).

    What one side closes is closed on the other, but for half-open connections.
    """

    def __init__(self, name: str, target: str) -> None:
        self.name = name
        self.delay_seconds = 0.0
        self._target = target
        self._is_refusing = False
        self._connections: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.reset()

    @property
    def address(self) -> str:
        """Where callers connect to."""
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def reset(self) -> None:
        """Reset every connection; new ones are welcome."""
        for connection in list(self._connections):
            connection.reset()

    def cut(self) -> None:
        """Reset every connection, and each new one until `heal`."""
        self._is_refusing = True
        self.reset()

    def freeze(self) -> None:
        """Leave every connection open and pass nothing on in it until `heal`; new ones work."""
        for connection in self._connections:
            connection.flows.clear()

    def heal(self) -> None:
        """End what was done to it. Frozen connections are reset: their bytes are lost."""
        self._is_refusing = False
        self.delay_seconds = 0.0
        for connection in list(self._connections):
            if not connection.flows.is_set():
                connection.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            if self._is_refusing:
                return
            host, _, port = self._target.rpartition(":")
            await connection.run(*await asyncio.open_connection(host, int(port)))
        except OSError:
            pass
        finally:
            connection.reset()
            self._connections.discard(connection)


class _Connection:
    """One caller, and its connection to the target."""

    def __init__(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.flows = asyncio.Event()
        self.flows.set()
        self._link = link
        self._reader = reader
        self._writers = [writer]
        self._pumps: list[asyncio.Task[None]] = []

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on in both directions until one side ends."""
        self._writers.append(writer)
        self._pumps = [
            asyncio.create_task(self._pump(self._reader, writer)),
            asyncio.create_task(self._pump(reader, self._writers[0])),
        ]
        await asyncio.wait(self._pumps, return_when=asyncio.FIRST_COMPLETED)

    def reset(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                with suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._link.delay_seconds:
                    await asyncio.sleep(self._link.delay_seconds)
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        # One side is gone; what is half open does not tell the other.
        await self.flows.wait()
