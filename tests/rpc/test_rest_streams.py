"""Server streams through rest: lines of JSON, errors in between, disconnects, backpressure."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.common.errors import FailedPrecondition, Unavailable
from tests.rest_gateway import FakeGateway, shop
from tests.support import until
from vitrina.catalog.v1 import catalog_pb2

Change = catalog_pb2.WatchChangesResponse
REQUEST = b"GET /v1/changes HTTP/1.1\r\nhost: x\r\n\r\n"


class Feed:
    """Yields a response for each of `revisions`; then waits for `proceed`, fails or stays open."""

    def __init__(self, *revisions: int, error: Exception | None = None) -> None:
        self.revisions = revisions
        self.error = error
        self.proceed = asyncio.Event()
        self.has_begun = asyncio.Event()
        self.has_ended = asyncio.Event()

    async def __call__(self, request: Any) -> AsyncIterator[Change]:
        self.has_begun.set()
        try:
            for revision in self.revisions:
                yield Change(head_revision=revision)
            if self.error is not None:
                raise self.error
            await self.proceed.wait()
            yield Change(head_revision=99)
        finally:
            self.has_ended.set()


def watched(feed: Any) -> FakeGateway:
    gateway = FakeGateway()
    gateway.answers["WatchChanges"] = feed
    return gateway


async def lines_of(answer: httpx.Response) -> list[Any]:
    return [json.loads(line) async for line in answer.aiter_lines()]


async def test_every_message_is_a_line_as_soon_as_it_is_there() -> None:
    feed = Feed(1, 2)
    gateway = watched(feed)
    async with (
        shop(gateway) as client,
        client.stream("GET", "/v1/changes", params={"after_revision": "7"}) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = answer.aiter_lines()
        received = [json.loads(await anext(lines)), json.loads(await anext(lines))]
        assert not feed.has_ended.is_set()
        feed.proceed.set()
        received += [json.loads(line) async for line in lines]
    assert [line["headRevision"] for line in received] == ["1", "2", "99"]
    assert gateway.calls[0].request.after_revision == 7


async def test_a_stream_has_no_deadline_unless_the_client_asks() -> None:
    feed = Feed(1)
    gateway = watched(feed)
    async with shop(gateway, timeout_seconds=0.5) as client:
        async with client.stream("GET", "/v1/changes") as answer:
            await anext(answer.aiter_lines())
        headers = {"X-Request-Timeout": "0.2"}
        async with client.stream("GET", "/v1/changes", headers=headers) as answer:
            lines = await lines_of(answer)
    assert gateway.calls[0].remaining_seconds is None
    assert lines[-1]["error"]["status"] == "DEADLINE_EXCEEDED"


async def test_an_error_before_the_first_message_is_an_answer_of_its_own() -> None:
    gateway = watched(Feed(error=FailedPrecondition("not ours", reason="REVISION_UNKNOWN")))
    async with shop(gateway) as client:
        answer = await client.get("/v1/changes")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["reason"] == "REVISION_UNKNOWN"


async def test_an_error_after_the_first_message_is_the_last_line() -> None:
    async with shop(watched(Feed(1, error=Unavailable("draining")))) as client:
        answer = await client.get("/v1/changes")
    first, last = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.status_code == 200
    assert first["headRevision"] == "1"
    assert last["error"]["code"] == 503
    assert last["error"]["message"] == "draining"


async def test_a_defect_in_a_stream_cuts_the_answer_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object, message: Change) -> bytes:
        if message.head_revision == 2:
            raise RuntimeError("password")
        return b"{}"

    monkeypatch.setattr("services.gateway.rest.transcoder.json_reply", broken)
    feed = Feed(1, 2)
    async with (
        shop(watched(feed)) as client,
        client.stream("GET", "/v1/changes") as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "{}"
        with pytest.raises(httpx.RemoteProtocolError):
            await anext(lines)
        await until(feed.has_ended.is_set)


async def test_a_stream_without_messages_is_empty() -> None:
    async def nothing(request: Any) -> AsyncIterator[Change]:
        no_changes: list[Change] = []
        for change in no_changes:
            yield change

    async with shop(watched(nothing)) as client:
        answer = await client.get("/v1/changes")
    assert (answer.status_code, answer.text) == (200, "")


async def test_head_of_a_stream_ends_at_once() -> None:
    feed = Feed(1)
    async with shop(watched(feed)) as client:
        answer = await client.head("/v1/changes")
        await until(feed.has_ended.is_set)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_client_that_goes_away_ends_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    for revisions in ((), (1,)):  # while the first message is awaited, and after it
        feed = Feed(*revisions)
        async with shop(watched(feed)) as client:
            reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
            writer.write(REQUEST)
            await until(feed.has_begun.is_set)
            if revisions:
                await reader.readuntil(b"headRevision")
            writer.close()
            await until(feed.has_ended.is_set)
            await until(lambda: "status=499" in capsys.readouterr().out)


async def test_a_slow_reader_slows_the_gateway_down() -> None:
    sent = 0
    product = catalog_pb2.Product(id="a", description="x" * 20_000)
    changes = [catalog_pb2.Change(product=product)] * 10

    async def flood(request: Any) -> AsyncIterator[Change]:
        nonlocal sent
        for revision in range(1, 501):  # 100 MB
            sent = revision
            yield Change(head_revision=revision, changes=changes)

    async def stands_still() -> bool:
        before = sent
        await asyncio.sleep(0.3)
        return before == sent > 0

    async with (
        shop(watched(flood)) as client,
        client.stream("GET", "/v1/changes") as answer,
    ):
        await until(stands_still)
        assert sent < 250
        lines = await lines_of(answer)
    assert len(lines) == sent == 500


async def test_a_slow_reader_that_goes_away_ends_the_stream() -> None:
    has_ended = asyncio.Event()
    change = catalog_pb2.Change(product=catalog_pb2.Product(description="x" * 200_000))

    async def flood(request: Any) -> AsyncIterator[Change]:
        try:
            while True:
                yield Change(changes=[change])
        finally:
            has_ended.set()

    async with shop(watched(flood)) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(REQUEST)
        await reader.readuntil(b"changes")
        writer.transport.abort()
        await until(has_ended.is_set)


async def test_the_end_of_rest_ends_streams_by_a_last_line() -> None:
    feed, lines = Feed(1), []
    gateway = watched(feed)

    async def follow(client: httpx.AsyncClient, has_begun: asyncio.Event) -> None:
        async with client.stream("GET", "/v1/changes") as answer:
            async for line in answer.aiter_lines():
                lines.append(json.loads(line))
                has_begun.set()

    has_begun = asyncio.Event()
    async with shop(gateway, grace_seconds=30) as client:
        port = client.base_url.port
        other = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10)
        following = asyncio.create_task(follow(other, has_begun))
        await until(has_begun.is_set)
    await asyncio.wait_for(following, 20)
    await other.aclose()
    assert lines[-1]["error"]["status"] == "UNAVAILABLE"
    assert lines[-1]["error"]["details"][0]["reason"] == "NOT_SERVING"
