"""The links of the fault suite hurt connections as they say."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from faults.links import Link


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1024):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    async with Link("client>echo", f"{host}:{port}") as opened:
        yield opened
    server.close()


class Caller:
    """A connection through a link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, link: Link) -> "Caller":
        host, _, port = link.address.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def echo(self) -> bytes:
        self.writer.write(b"a")
        return await self.reader.readexactly(1)


async def test_a_link_passes_on_what_it_gets(link: Link) -> None:
    caller = await Caller.of(link)
    assert await caller.echo() == b"a"
    caller.writer.close()


async def test_a_reset_ends_connections_and_new_ones_work(link: Link) -> None:
    caller = await Caller.of(link)
    await caller.echo()
    link.reset()
    with pytest.raises(ConnectionResetError):
        await caller.echo()
    again = await Caller.of(link)
    assert await again.echo() == b"a"
    again.writer.close()


async def test_a_cut_link_takes_no_connection_until_it_heals(link: Link) -> None:
    link.cut()
    refused = await Caller.of(link)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await refused.echo()
    link.heal()
    welcome = await Caller.of(link)
    assert await welcome.echo() == b"a"
    welcome.writer.close()


async def test_a_half_open_connection_stays_open_and_passes_nothing_on(link: Link) -> None:
    caller = await Caller.of(link)
    await caller.echo()
    link.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await caller.echo()
    other = await Caller.of(link)
    assert await other.echo() == b"a"
    link.heal()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await caller.reader.readexactly(1)
    other.writer.close()
