"""Unary calls through rest: what arrives, what comes back, deadlines, traces, disconnects."""

import asyncio
import json
from typing import Any, NoReturn
from urllib.parse import quote

import pytest
import structlog

from services.common.errors import InvalidArgument, NotFound
from tests.rest_gateway import FakeGateway, raw, rest_before, shop
from tests.support import until
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Stuck:
    """An answer that does not come; knows whether the call was cancelled."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.was_cancelled = asyncio.Event()

    async def __call__(self, request: Any) -> NoReturn:
        self.has_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.was_cancelled.set()
        raise AssertionError


async def test_a_search_is_the_same_by_query_string_and_by_body() -> None:
    gateway = FakeGateway()
    parameters = {"query": "auriculares niño", "page_size": "5", "minRevision": "7"}
    body = {"query": "auriculares niño", "pageSize": 5, "min_revision": "7"}
    async with shop(gateway) as client:
        got = await client.get("/v1/products:search", params=parameters | {"timeout": "1.5s"})
        posted = await client.post("/v1/products:search", json=body | {"timeout": "1.5s"})
    assert got.status_code == posted.status_code == 200
    assert got.headers["content-type"] == "application/json"
    assert got.json() == posted.json()
    assert got.json()["results"] == []
    expected = search_pb2.SearchRequest(query="auriculares niño", page_size=5, min_revision=7)
    expected.timeout.FromMilliseconds(1500)
    assert [call.request for call in gateway.calls] == [expected, expected]


async def test_the_parameters_of_a_search_can_be_typed(subtests: pytest.Subtests) -> None:
    gateway = FakeGateway()
    typed: dict[str, dict[str, Any]] = {
        "mode=lexical": {"mode": search_pb2.MODE_LEXICAL},
        "mode=Lexical": {"mode": search_pb2.MODE_LEXICAL},
        "mode=MODE_LEXICAL": {"mode": search_pb2.MODE_LEXICAL},
        "mode=2": {"mode": search_pb2.MODE_LEXICAL},
        "filter=price<500": {"filter": "price<500"},
        "filter=price%20%3C%20500": {"filter": "price < 500"},
        "filter=price+>=+5+AND+brand=%22B%26O%22": {"filter": 'price >= 5 AND brand="B&O"'},
        "semantic_weight=0&skip_cache=1": {"semantic_weight": 0.0, "skip_cache": True},
        "facets=brand&facets=price(0,50)": {"facets": ["brand", "price(0,50)"]},
        "order_by=price%20desc&highlight=1": {"order_by": "price desc", "highlight": True},
        "semanticWeight=0.75&literal=true": {"semantic_weight": 0.75, "literal": True},
    }
    async with shop(gateway) as client:
        for parameters, fields in typed.items():
            gateway.calls.clear()
            # As they are: httpx would escape what a browser or curl leaves alone.
            request = f"GET /v1/products:search?query=x&{parameters} HTTP/1.1\r\nhost: x\r\n\r\n"
            answer = await raw(client, request.encode())
            with subtests.test(parameters):
                assert answer.startswith(b"HTTP/1.1 200 ")
                expected = search_pb2.SearchRequest(query="x", **fields)
                assert [call.request for call in gateway.calls] == [expected]


IDS = [
    "plain",
    "a/b/c",
    "a b",
    "niño ñandú",
    "🎧/🎧",
    "100%",
    "%2F",
    "a?b=c",
    "a#b",
    "a:similar",
    "a+b&c=d",
    "products:search",
    "a;b,c",
    "tab\there",
    '"<&>\\',
]


async def test_any_id_arrives_as_it_is(subtests: pytest.Subtests) -> None:
    gateway = FakeGateway()
    async with shop(gateway) as client:
        for product_id in IDS:
            path = f"/v1/products/{quote(product_id, safe='')}"
            gateway.calls.clear()
            await client.get(path)
            await client.get(f"{path}:similar")
            await client.put(path, json={"name": "x"})
            await client.delete(path, params={"allow_missing": "true"})
            with subtests.test(product_id):
                assert [call.rpc for call in gateway.calls] == [
                    "GetProduct",
                    "Similar",
                    "UpsertProduct",
                    "DeleteProduct",
                ]
                got, similar, put, deleted = (call.request for call in gateway.calls)
                assert {got.id, similar.product_id, put.product.id, deleted.id} == {product_id}
                assert deleted.allow_missing


async def test_a_price_given_as_a_number_stays_exact() -> None:
    gateway = FakeGateway()
    body = b'{"id": "a", "price": 9.90, "stock": 3, "attributes": {"weight": 1.50, "anc": true}}'
    async with shop(gateway) as client:
        headers = {"content-type": "application/json; charset=utf-8"}
        await client.post("/v1/products", content=body, headers=headers)
    product = gateway.calls[0].request.product
    assert (product.price, product.stock) == ("9.90", 3)
    assert product.attributes["weight"].number_value == 1.5
    assert product.attributes["anc"].bool_value


async def test_the_answer_is_json_of_the_message() -> None:
    gateway = FakeGateway()

    async def found(request: Any) -> search_pb2.SearchResponse:
        product = catalog_pb2.Product(id="ñ", name="Cascos", price="9.90", stock=0)
        return search_pb2.SearchResponse(results=[search_pb2.Result(product=product, score=0.75)])

    gateway.answers["Search"] = found
    async with shop(gateway) as client:
        answer = await client.get("/v1/products:search", params={"query": "x"})
    result = answer.json()["results"][0]
    assert result["score"] == 0.75
    assert result["product"]["price"] == "9.90"
    assert result["product"]["stock"] == "0"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_errors_of_the_gateway_come_with_their_details() -> None:
    gateway = FakeGateway()

    async def missing(request: Any) -> NoReturn:
        raise NotFound("no product ñ", reason="PRODUCT_NOT_FOUND", metadata={"id": request.id})

    async def wrong(request: Any) -> NoReturn:
        raise InvalidArgument("products[3].price", "must be a decimal")

    gateway.answers = {"GetProduct": missing, "BatchUpsertProducts": wrong}
    async with shop(gateway) as client:
        not_found = await client.get("/v1/products/x%2Fy")
        invalid = await client.post("/v1/products:batchUpsert", json={"products": []})
    assert not_found.status_code == 404
    assert not_found.json()["error"] == {
        "code": 404,
        "status": "NOT_FOUND",
        "message": "no product ñ",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "PRODUCT_NOT_FOUND",
                "domain": "vitrina",
                "metadata": {"id": "x/y"},
            }
        ],
    }
    assert invalid.status_code == 400
    violations = invalid.json()["error"]["details"][1]["fieldViolations"]
    assert violations[0]["field"] == "products[3].price"


async def test_a_defect_of_the_gateway_leaves_without_its_text() -> None:
    gateway = FakeGateway()

    async def broken(request: Any) -> NoReturn:
        raise RuntimeError("password")

    gateway.answers["GetStatus"] = broken
    async with shop(gateway) as client:
        answer = await client.get("/v1/status")
    assert answer.status_code == 500
    assert answer.json()["error"]["status"] == "INTERNAL"
    assert "password" not in answer.text


async def test_a_defect_of_rest_leaves_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> NoReturn:
        raise RuntimeError("password")

    monkeypatch.setattr("services.gateway.rest.transcoder.json_reply", broken)
    async with shop(FakeGateway()) as client:
        with structlog.testing.capture_logs() as logs:
            answer = await client.get("/v1/status")
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "internal error"
    assert "password" not in answer.text
    assert any(entry["event"] == "request failed" for entry in logs)


async def test_head_gives_the_headers_of_get_alone() -> None:
    async with shop(FakeGateway()) as client:
        head = await client.head("/v1/status")
        got = await client.get("/v1/status")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))


async def test_the_client_chooses_a_shorter_deadline_but_no_longer_one() -> None:
    gateway = FakeGateway()
    async with shop(gateway, timeout_seconds=3) as client:
        for asked in ({}, {"X-Request-Timeout": "0.5"}, {"X-Request-Timeout": "3600"}):
            await client.get("/v1/status", headers=asked)
    default, shorter, longer = (call.remaining_seconds or 0 for call in gateway.calls)
    assert 2 < default < 3.5
    assert 0.2 < shorter < 0.75
    assert 2 < longer < 3.5


async def test_a_late_answer_is_504_and_the_call_is_cancelled() -> None:
    gateway = FakeGateway()
    gateway.answers["GetStatus"] = stuck = Stuck()
    async with shop(gateway) as client:
        answer = await client.get("/v1/status", headers={"X-Request-Timeout": "0.1"})
        await until(stuck.was_cancelled.is_set)
    assert answer.status_code == 504
    assert answer.json()["error"]["status"] == "DEADLINE_EXCEEDED"


async def test_a_wrong_deadline_is_refused(subtests: pytest.Subtests) -> None:
    async with rest_before("127.0.0.1:1") as client:
        for seconds in ("", "x", "0", "-1", "nan", "inf", "1s"):
            answer = await client.get("/v1/status", headers={"X-Request-Timeout": seconds})
            with subtests.test(seconds):
                assert answer.status_code == 400
                message = answer.json()["error"]["message"]
                assert message == "x-request-timeout: must be seconds, above 0"


async def test_the_trace_of_the_client_goes_on_and_one_begins_without() -> None:
    gateway = FakeGateway()
    async with shop(gateway) as client:
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        await client.get("/v1/status", headers=headers)
        await client.get("/v1/status")
    carried_on, begun = (call.traceparent or "" for call in gateway.calls)
    assert carried_on.split("-")[1] == TRACE
    assert len(begun.split("-")[1]) == 32
    assert TRACE not in begun


async def test_a_client_that_goes_away_cancels_the_call() -> None:
    gateway = FakeGateway()
    gateway.answers["GetStatus"] = stuck = Stuck()
    async with shop(gateway) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        with structlog.testing.capture_logs() as logs:
            writer.write(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
            await until(stuck.has_begun.is_set)
            writer.close()
            await until(stuck.was_cancelled.is_set)
            await until(lambda: any(entry.get("status") == 499 for entry in logs))
        assert (await client.get("/v1/categories")).status_code == 200


async def test_many_at_once_get_their_own_answers() -> None:
    gateway = FakeGateway()

    async def echo(request: Any) -> catalog_pb2.GetProductResponse:
        await asyncio.sleep(0)
        return catalog_pb2.GetProductResponse(product=catalog_pb2.Product(id=request.id))

    gateway.answers["GetProduct"] = echo
    ids = [f"{number}/ñ" for number in range(64)]
    async with shop(gateway) as client:
        answers = await asyncio.gather(
            *(client.get(f"/v1/products/{quote(each, safe='')}") for each in ids)
        )
    assert [answer.json()["product"]["id"] for answer in answers] == ids


async def test_large_messages_pass_in_both_directions() -> None:
    gateway = FakeGateway()
    products = [{"id": str(number), "description": "ñ" * 5000} for number in range(300)]

    async def listed(request: Any) -> catalog_pb2.ListProductsResponse:
        return catalog_pb2.ListProductsResponse(products=gateway.calls[0].request.products)

    gateway.answers["ListProducts"] = listed
    async with shop(gateway) as client:
        await client.post("/v1/products:batchUpsert", json={"products": products})
        answer = await client.get("/v1/products")
    returned = answer.json()["products"]
    assert [{key: each[key] for key in ("id", "description")} for each in returned] == products


async def test_a_request_is_one_line_of_the_log_without_its_content() -> None:
    async with shop(FakeGateway()) as client:
        with structlog.testing.capture_logs() as logs:
            await client.get("/v1/products/secret-id?page_size=7")
            await client.get("/v1/products/secret-id")
    refused, served = (entry for entry in logs if entry["event"] == "request")
    assert (refused["log_level"], refused["status"]) == ("info", 400)
    assert (served["log_level"], served["status"]) == ("debug", 200)
    assert served["method"] == "GET"
    assert served["route"] == "/v1/products/{id}"
    assert served["ms"] > 0
    assert "secret-id" not in json.dumps(logs, default=str)
