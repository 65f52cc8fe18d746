"""What rest refuses itself: paths, methods, bodies, other origins, hostile bytes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.rest_gateway import FakeGateway, raw, rest_before, shop

JSON = {"content-type": "application/json"}
ORIGIN = "https://shop.example"


async def chunks(size_bytes: int) -> AsyncIterator[bytes]:
    yield b'{"query": "'
    for _ in range(size_bytes // 1000):
        yield b"x" * 1000
    yield b'"}'


WRONG_PATHS = [
    ("GET", "/v1/nothing", 404, "NOT_FOUND"),
    ("GET", "/v1/products/", 404, "NOT_FOUND"),
    ("GET", "/v1/products/a/b", 404, "NOT_FOUND"),
    ("GET", "/healthz/", 404, "NOT_FOUND"),
    ("PATCH", "/v1/products", 405, "UNIMPLEMENTED"),
    ("OPTIONS", "/v1/products", 405, "UNIMPLEMENTED"),
    ("DELETE", "/v1/products/a:similar", 405, "UNIMPLEMENTED"),
    ("POST", "/healthz", 405, "UNIMPLEMENTED"),
    ("GET", "/v1/products/%FF", 400, "INVALID_ARGUMENT"),
]


async def test_a_wrong_path_or_method_is_refused_in_json(subtests: pytest.Subtests) -> None:
    gateway = FakeGateway()
    async with shop(gateway) as client:
        for method, path, status, name in WRONG_PATHS:
            answer = await client.request(method, path)
            with subtests.test(f"{method} {path}"):
                error = answer.json()["error"]
                assert answer.status_code == error["code"] == status
                assert error["status"] == name
                assert ("allow" in answer.headers) == (status == 405)
                assert answer.headers["x-content-type-options"] == "nosniff"
    assert not gateway.calls


async def test_a_body_over_the_limit_is_refused_however_it_comes() -> None:
    gateway = FakeGateway()
    async with shop(gateway, max_body_bytes=10_000) as client:
        announced = await client.post("/v1/products:search", content=b"x" * 10_001, headers=JSON)
        streamed = await client.post("/v1/products:search", content=chunks(200_000), headers=JSON)
        within = await client.post("/v1/products:search", content=chunks(9_000), headers=JSON)
    for refused in (announced, streamed):
        assert refused.status_code == 413
        assert refused.json()["error"]["message"] == "body: more than 10000 bytes"
    assert within.status_code == 200
    assert len(gateway.calls) == 1


async def test_an_announced_body_over_the_limit_is_refused_before_it_comes() -> None:
    async with rest_before("127.0.0.1:1", max_body_bytes=10_000) as client:
        answer = await raw(
            client,
            b"POST /v1/products HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 999999999\r\nexpect: 100-continue\r\n\r\n",
        )
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_does_not_arrive_ends_by_the_deadline() -> None:
    async with rest_before("127.0.0.1:1", timeout_seconds=0.1) as client:
        answer = await raw(
            client,
            b"POST /v1/products HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 100\r\n\r\n{",
        )
    assert answer.startswith(b"HTTP/1.1 504 ")


async def test_a_client_that_goes_away_while_sending_is_no_error() -> None:
    async with rest_before("127.0.0.1:1") as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(
            b"POST /v1/products HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 100\r\n\r\n{"
        )
        await writer.drain()
        writer.close()
        assert (await client.get("/healthz")).status_code == 200


async def test_a_body_that_is_not_called_json_is_refused(subtests: pytest.Subtests) -> None:
    async with rest_before("127.0.0.1:1") as client:
        for headers in (
            {},
            {"content-type": "text/plain"},
            {"content-type": "application/x-www-form-urlencoded"},
            {"content-type": "application/jsonx"},
            {"content-type": "application/json", "content-encoding": "gzip"},
        ):
            answer = await client.post("/v1/products", content=b"{}", headers=headers)
            with subtests.test(str(headers)):
                assert answer.status_code == 415
                detail = answer.json()["error"]["details"][0]
                assert detail["reason"] == "UNSUPPORTED_MEDIA_TYPE"


async def test_json_by_any_of_its_names_is_taken(subtests: pytest.Subtests) -> None:
    async with shop(FakeGateway()) as client:
        for kind in ("application/json", "Application/JSON;x=y", "application/a+json"):
            headers = {"content-type": kind}
            answer = await client.post("/v1/products", content=b"{}", headers=headers)
            with subtests.test(kind):
                assert answer.status_code == 200


WRONG_REQUESTS = [
    ("POST", "/v1/products", b"", "body: is empty, must be JSON"),
    ("POST", "/v1/products", b"[]", "product: must be an object"),
    ("POST", "/v1/products", b'{"nam": 1}', 'product.nam: no such field: "nam"'),
    ("PUT", "/v1/products/a", b'{"id": "b"}', "product.id: the body and the path disagree"),
    ("POST", "/v1/products:search", b'{"query": "\xff"}', "body: must be UTF-8"),
    ("POST", "/v1/products:search?page_size=1", b"{}", "page_size: belongs in the body"),
    ("DELETE", "/v1/products/a", b'{"allow_missing": true}', "body: this method takes none"),
    ("GET", "/v1/products/a?id=b", b"", "id: is given by the path already"),
    ("GET", "/v1/products?size=1", b"", 'size: no such parameter: "size"'),
    (
        "GET",
        "/v1/products:search?mode=fuzzy",
        b"",
        "mode: must be one of hybrid, lexical, semantic",
    ),
    ("GET", "/v1/products:search?mode=lexical&mode=hybrid", b"", "mode: 2 values given, at most 1"),
    ("GET", "/v1/products:search?literal=2", b"", "literal: must be true or false"),
    ("GET", "/v1/products/a:similar?filter=a&filter=b", b"", "filter: 2 values given, at most 1"),
    ("POST", "/v1/products:search", b'{"mode": "fuzzy"}', "mode: must be one of hybrid, "),
]


async def test_a_wrong_request_is_400_and_says_why(subtests: pytest.Subtests) -> None:
    gateway = FakeGateway()
    async with shop(gateway) as client:
        for method, path, body, message in WRONG_REQUESTS:
            answer = await client.request(method, path, content=body, headers=JSON)
            with subtests.test(f"{method} {path} {body!r}"):
                assert answer.status_code == 400
                assert answer.json()["error"]["message"].startswith(message)
    assert not gateway.calls


async def test_other_origins_are_let_in_only_when_set() -> None:
    preflight = {"origin": ORIGIN, "access-control-request-method": "PUT"}
    asked = preflight | {"access-control-request-headers": "content-type,x-request-timeout"}
    async with shop(FakeGateway(), cors_origins=(ORIGIN,)) as client:
        allowed = await client.options("/v1/products/a", headers=asked)
        simple = await client.get("/v1/status", headers={"origin": ORIGIN})
        error = await client.get("/v1/nothing", headers={"origin": ORIGIN})
        foreign = await client.get("/v1/status", headers={"origin": "https://evil.example"})
    async with shop(FakeGateway()) as client:
        closed = await client.options("/v1/products/a", headers=preflight)
    assert allowed.status_code == 200
    assert "PUT" in allowed.headers["access-control-allow-methods"]
    for answer in (allowed, simple, error):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert error.status_code == 404
    assert "access-control-allow-origin" not in foreign.headers
    assert closed.status_code == 405
    assert "access-control-allow-origin" not in closed.headers


async def test_what_is_not_http_is_400_and_the_process_lives(subtests: pytest.Subtests) -> None:
    async with rest_before("127.0.0.1:1") as client:
        for request in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET\r\n\r\n",
            b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
            b"GET /v1/products/\xc3\xb1 HTTP/1.1\r\nhost: x\r\n\r\n",
            b"GET /v1/products:search?query=\xc3\xb1 HTTP/1.1\r\nhost: x\r\n\r\n",
            b"POST /v1/products HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n",
            b"POST /v1/products HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        ):
            answer = await raw(client, request)
            with subtests.test(repr(request)):
                assert answer.startswith(b"HTTP/1.1 400 ")
        assert (await client.get("/healthz")).status_code == 200


async def test_a_connection_is_kept_for_the_next_request_after_an_error() -> None:
    async with shop(FakeGateway()) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        statuses: list[Any] = []
        for path in ("/v1/nothing", "/v1/status"):
            writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            statuses.append(head.split()[1])
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
        writer.close()
    assert statuses == [b"404", b"200"]
