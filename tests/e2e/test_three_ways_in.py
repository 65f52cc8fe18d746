"""gRPC, HTTP, the command, and a client without stubs: one product behind all of them."""

import json
from typing import Any
from urllib.parse import quote

import grpc
import httpx
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tests.stack import Stack
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUERIES = ["auriculares inalámbricos", "aceite de oliva virgen extra", "shoes for running"]


@pytest.mark.parametrize("query", QUERIES)
async def test_the_same_search_gives_the_same_products(sample_stack: Stack, query: str) -> None:
    by_grpc = await sample_stack.search.Search(pb.SearchRequest(query=query, page_size=7))
    async with httpx.AsyncClient(base_url=sample_stack.http) as client:
        response = await client.get("/v1/products:search", params={"query": query, "page_size": 7})
    assert response.status_code == 200
    by_http = response.json()
    code, out, _ = await sample_stack.cli("search", query, "--limit", "7", "--json")
    assert code == 0
    by_command = json.loads(out)

    expected = [(result.product.id, round(result.score, 9)) for result in by_grpc.results]
    assert len(expected) == 7
    for answer in (by_http, by_command):
        got = [(r["product"]["id"], round(r["score"], 9)) for r in answer["results"]]
        assert got == expected
    scores = [score for _, score in expected]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("jamon iberico de bellota", "ALI-0401"),
        ("auriculares inalambricos con cancelacion de ruido", "AUD-0012"),
        ("monitor LX-2710", "MON-2701"),
        ("aceite de oliva ecológico", "ALI-0503"),
        ("which tent is for three people?", "DEP-1601"),
        ("noise cancelling headphones", "AUD-0012"),
        ("a bed for an old dog", "MAS-2707"),
        ("cordless drill", "BRI-3601"),
    ],
)
async def test_spanish_words_and_english_questions_find_things(
    sample_stack: Stack, query: str, expected: str
) -> None:
    answer = await sample_stack.search.Search(pb.SearchRequest(query=query, page_size=3))
    assert expected in [result.product.id for result in answer.results]
    assert not answer.info.degraded
    assert answer.info.space.startswith("minilm-")
    assert answer.info.revision > 0


async def test_a_filter_means_the_same_three_ways(sample_stack: Stack) -> None:
    condition = 'category = "Electrónica" AND price < 100 AND attributes.inalambrico = true'
    request = pb.SearchRequest(query="auriculares", filter=condition, page_size=50)
    by_grpc = await sample_stack.search.Search(request)
    async with httpx.AsyncClient(base_url=sample_stack.http) as client:
        response = await client.get(
            "/v1/products:search",
            params={"query": "auriculares", "filter": condition, "page_size": 50},
        )
    code, out, _ = await sample_stack.cli(
        "search", "auriculares", "--filter", condition, "--limit", "50", "--json"
    )
    assert code == 0
    products = [result.product for result in by_grpc.results]
    assert len(products) >= 2
    for product in products:
        assert product.category.startswith("Electrónica")
        assert float(product.price) < 100
        assert product.attributes["inalambrico"].bool_value
    for answer in (response.json(), json.loads(out)):
        got = [result["product"]["id"] for result in answer["results"]]
        assert got == [product.id for product in products]


@pytest.mark.parametrize("mode", [pb.MODE_HYBRID, pb.MODE_LEXICAL, pb.MODE_SEMANTIC])
async def test_every_product_that_passes_a_filter_can_be_found(
    sample_stack: Stack, mode: pb.Mode.ValueType
) -> None:
    request = pb.SearchRequest(
        query="auriculares", filter='brand = "Sonavel"', page_size=100, mode=mode
    )
    found = await sample_stack.search.Search(request)
    assert found.results
    assert {result.product.brand for result in found.results} == {"Sonavel"}
    if mode != pb.MODE_LEXICAL:
        assert len(found.results) == found.info.plan.passing


async def test_like_this_and_not_like_that(sample_stack: Stack) -> None:
    like = await sample_stack.search.Similar(pb.SimilarRequest(product_id="AUD-0012"))
    unwanted = like.results[0].product.id
    async with httpx.AsyncClient(base_url=sample_stack.http) as client:
        response = await client.get(
            "/v1/products/AUD-0012:similar", params={"unlike": unwanted, "filter": "stock > 0"}
        )
    found = [result["product"] for result in response.json()["results"]]
    assert found
    assert unwanted not in [product["id"] for product in found]
    assert all(int(product["stock"]) > 0 for product in found)


async def test_misspelt_words_find_what_the_right_ones_find(sample_stack: Stack) -> None:
    right = await sample_stack.search.Search(pb.SearchRequest(query="auriculares inalambricos"))
    wrong = await sample_stack.search.Search(pb.SearchRequest(query="auriculraes inalambrcos"))
    assert wrong.corrected_query == "auriculares inalambricos"
    assert [r.product.id for r in wrong.results] == [r.product.id for r in right.results]
    literal = await sample_stack.search.Search(
        pb.SearchRequest(query="auriculraes inalambrcos", literal=True)
    )
    assert literal.corrected_query == ""


@pytest.mark.parametrize("query", ["AUD-0012", "aud0012", "aud 0012"])
async def test_the_shops_own_id_wins_outright(sample_stack: Stack, query: str) -> None:
    found = await sample_stack.search.Search(pb.SearchRequest(query=query))
    assert found.results[0].product.id == "AUD-0012"
    assert found.results[0].explanation.is_exact_identifier


async def test_the_answer_tells_how_it_came_about(sample_stack: Stack) -> None:
    request = pb.SearchRequest(query="una lámpara para leer", page_size=3, mode=pb.MODE_SEMANTIC)
    first = await sample_stack.search.Search(request)
    again = await sample_stack.search.Search(request)
    assert first.info.provenance == pb.PROVENANCE_COMPUTED
    assert again.info.provenance == pb.PROVENANCE_MEMORY
    assert first.results == again.results
    timings = first.info.timings
    stages = (timings.embed_ms, timings.index_ms, timings.hydrate_ms)
    assert all(ms > 0 for ms in stages)
    assert timings.total_ms >= sum(stages)
    assert first.info.plan.strategy == pb.STRATEGY_EXACT
    assert first.info.plan.vectors == first.info.plan.passing >= 158
    assert [r.explanation.semantic_rank for r in first.results] == [1, 2, 3]
    for result in first.results:
        assert result.score == pytest.approx((1 + result.explanation.cosine) / 2)


async def test_a_category_bounds_search_to_its_subtree(sample_stack: Stack) -> None:
    answer = await sample_stack.search.Search(
        pb.SearchRequest(query="algo cómodo", category="Moda", page_size=50)
    )
    assert len(answer.results) > 5
    assert {result.product.category.split(" > ")[0] for result in answer.results} == {"Moda"}


@pytest.mark.parametrize("product_id", ["ELEC/CABLE 3M", "ALI/ACEITE 5L"])
async def test_ids_with_slashes_and_spaces_work_over_http(
    sample_stack: Stack, product_id: str
) -> None:
    async with httpx.AsyncClient(base_url=sample_stack.http) as client:
        path = f"/v1/products/{quote(product_id, safe='')}"
        product = await client.get(path)
        similar = await client.get(path + ":similar", params={"page_size": 3})
    assert product.json()["product"]["id"] == product_id
    found = [result["product"]["id"] for result in similar.json()["results"]]
    assert len(found) == 3
    assert product_id not in found


async def test_http_errors_name_the_field_and_the_limit(sample_stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=sample_stack.http) as client:
        too_many = await client.get("/v1/products:search", params={"query": "x", "page_size": 101})
        missing = await client.get("/v1/products/nothing-like-it")
        no_query = await client.get("/v1/products:search")
    assert too_many.status_code == 400
    error = too_many.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert "page_size" in error["message"]
    assert "100" in error["message"]
    assert missing.status_code == 404
    reasons = [d.get("reason") for d in missing.json()["error"]["details"]]
    assert "PRODUCT_NOT_FOUND" in reasons
    assert no_query.status_code == 400


async def test_ready_means_that_every_process_serves(sample_stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=sample_stack.http) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200


async def test_a_client_without_stubs_lists_and_calls_everything(sample_stack: Stack) -> None:
    """Knows nothing but the address: services, methods and messages come by reflection."""
    with grpc.insecure_channel(sample_stack.grpc) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = descriptor_pool.DescriptorPool(database)
        assert set(database.get_services()) >= {
            "vitrina.search.v1.SearchService",
            "vitrina.catalog.v1.CatalogService",
            "grpc.health.v1.Health",
        }
        requests: dict[str, dict[str, Any]] = {
            "Search": {"query": "queso curado", "page_size": 2},
            "Similar": {"product_id": "ALI-0401", "page_size": 2},
            "GetStatus": {},
            "WaitForRevision": {"min_revision": 1},
            "InvalidateCache": {},
            "UseSpace": {},
            "DropSpace": {"space": "none", "allow_missing": True},
            "CheckIndex": {"sample": 5},
            "GetProduct": {"id": "ALI-0401"},
            "ListProducts": {"page_size": 3},
            "ListCategories": {},
            "UpsertProduct": {"product": {"id": "reflected", "name": "Cosa"}},
            "BatchUpsertProducts": {"products": [{"id": "reflected", "name": "Cosa"}]},
            "DeleteProduct": {"id": "reflected"},
            "WatchChanges": {"after_revision": 0},
        }
        called: dict[str, Any] = {}
        for name in ("vitrina.search.v1.SearchService", "vitrina.catalog.v1.CatalogService"):
            for method in pool.FindServiceByName(name).methods:
                request = message_factory.GetMessageClass(method.input_type)()
                json_format.ParseDict(requests.pop(method.name), request)
                response_class = message_factory.GetMessageClass(method.output_type)
                path = f"/{name}/{method.name}"
                if method.server_streaming:
                    stream = channel.unary_stream(
                        path, type(request).SerializeToString, response_class.FromString
                    )(request, timeout=10)
                    called[method.name] = next(iter(stream))
                    stream.cancel()
                else:
                    called[method.name] = channel.unary_unary(
                        path, type(request).SerializeToString, response_class.FromString
                    )(request, timeout=10)
    assert not requests
    assert len(called["Search"].results) == 2
    assert called["GetProduct"].product.name.startswith("Jamón ibérico")
    assert len(called["WatchChanges"].changes) >= 158


async def test_changes_stream_over_http_line_by_line(sample_stack: Stack) -> None:
    async with (
        httpx.AsyncClient(base_url=sample_stack.http) as client,
        client.stream("GET", "/v1/changes", params={"after_revision": 0}) as response,
    ):
        assert response.headers["content-type"].startswith("application/x-ndjson")
        revisions: list[int] = []
        async for line in response.aiter_lines():
            message = json.loads(line)
            revisions += [int(change["revision"]) for change in message["changes"]]
            if len(revisions) >= 158:
                break
    assert revisions == list(range(1, len(revisions) + 1))


async def test_a_write_is_searchable_at_its_revision(sample_stack: Stack) -> None:
    product = catalog_pb2.Product(
        id="NEW/1", name="Ukelele soprano de koa", price="49.90", currency="EUR"
    )
    written = await sample_stack.catalog.UpsertProduct(
        catalog_pb2.UpsertProductRequest(product=product)
    )
    request = pb.SearchRequest(query="ukelele soprano", min_revision=written.revision, page_size=1)
    answer = await sample_stack.search.Search(request, timeout=10)
    assert answer.info.revision >= written.revision
    assert [result.product.id for result in answer.results] == ["NEW/1"]

    deleted = await sample_stack.catalog.DeleteProduct(catalog_pb2.DeleteProductRequest(id="NEW/1"))
    request.min_revision = deleted.revision
    answer = await sample_stack.search.Search(request, timeout=10)
    assert [result.product.id for result in answer.results] != ["NEW/1"]


@pytest.mark.parametrize("category", ["", "Música"])
async def test_a_deleted_product_is_never_in_a_cached_answer_again(
    sample_stack: Stack, category: str
) -> None:
    request = pb.SearchRequest(query="ocarina de barro", category=category, page_size=3)
    product = catalog_pb2.Product(id="OCA", name="Ocarina de barro", category="Música")
    for _ in range(20):
        revision = await sample_stack.upsert([product])
        warm = pb.SearchRequest()
        warm.CopyFrom(request)
        warm.min_revision = revision
        assert "OCA" in [r.product.id for r in (await sample_stack.search.Search(warm)).results]
        await sample_stack.catalog.DeleteProduct(catalog_pb2.DeleteProductRequest(id="OCA"))
        answer = await sample_stack.search.Search(request)
        assert "OCA" not in [result.product.id for result in answer.results]


@pytest.mark.parametrize(
    "rpc", ["search.v1.SearchService/Search", "catalog.v1.CatalogService/GetProduct"]
)
async def test_bytes_that_are_no_message_are_the_callers_mistake(
    sample_stack: Stack, rpc: str
) -> None:
    call: Any = sample_stack.channel.unary_unary(f"/vitrina.{rpc}")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(b"\x0a\x02\xff\xfe", timeout=5)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "DecodeError" not in (failure.value.details() or "")


async def test_a_category_is_found_however_its_white_space_is_written(
    sample_stack: Stack,
) -> None:
    product = catalog_pb2.Product(
        id="SPC", name="Armario", category="Gran\tFondo" + " " * 600 + ">A"
    )
    revision = await sample_stack.upsert([product])
    for category in ("Gran Fondo", "Gran\tFondo > A", "Gran\nFondo" + " " * 600 + "> A"):
        answer = await sample_stack.search.Search(
            pb.SearchRequest(query="armario", category=category, min_revision=revision)
        )
        assert [result.product.id for result in answer.results] == ["SPC"]
    await sample_stack.catalog.DeleteProduct(catalog_pb2.DeleteProductRequest(id="SPC"))


async def test_a_revision_of_the_future_is_refused_in_time_with_the_one_reached(
    sample_stack: Stack,
) -> None:
    request = pb.SearchRequest(query="queso", min_revision=10**9)
    request.timeout.FromMilliseconds(500)
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await sample_stack.search.Search(request, timeout=5)
    assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "revision" in (failure.value.details() or "")
