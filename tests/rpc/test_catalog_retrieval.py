"""RetrievalService over gRPC: what the gateway needs to answer a query."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.catalog_support import Stubs, field_of, message, reason_of, serving_catalog
from vitrina.catalog.v1 import catalog_pb2
from vitrina.catalog.v1 import retrieval_pb2 as pb

PRODUCTS = [
    message("a", name="Auriculares Sonavel", category="Audio > Auriculares", brand="Sonavel"),
    message("b", name="Funda para auriculares", category="Audio"),
    message("c", name="Auriculares viejos", category="Audio", active=False),
    message("d", name="Audiolibro", description="se oye con auriculares", category="Audiolibros"),
]


@pytest.fixture
async def stubs(tmp_path: Path) -> AsyncIterator[Stubs]:
    async with serving_catalog(tmp_path) as running:
        await running.catalog.BatchUpsertProducts(
            catalog_pb2.BatchUpsertProductsRequest(products=PRODUCTS)
        )
        yield running


async def search(stubs: Stubs, query: str, **fields: Any) -> pb.SearchTextResponse:
    return await stubs.retrieval.SearchText(
        pb.SearchTextRequest(query=query, limit=fields.pop("limit", 10), **fields)
    )


async def test_active_products_are_found_the_best_first(stubs: Stubs) -> None:
    found = await search(stubs, "AURICULAR sonável")
    assert [hit.product_id for hit in found.hits] == ["a", "b", "d"]
    assert found.hits[0].score > found.hits[1].score > found.hits[2].score > 0
    assert found.revision == 4


async def test_only_what_passes_the_filter_is_found(stubs: Stubs) -> None:
    found = await search(stubs, "auriculares", filter='category = "Audio"')
    assert {hit.product_id for hit in found.hits} == {"a", "b"}
    found = await search(
        stubs, "auriculares", filter='category = "Audio" AND NOT brand = "Sonavel"'
    )
    assert [hit.product_id for hit in found.hits] == ["b"]


async def test_a_misspelt_query_is_corrected_and_says_so(stubs: Stubs) -> None:
    found = await search(stubs, "aurriculares Sonavle")
    assert found.corrected_query == "auriculares sonavel"
    assert found.hits[0].product_id == "a"
    assert (await search(stubs, "auriculares")).corrected_query == ""


async def test_a_literal_query_is_taken_as_it_is(stubs: Stubs) -> None:
    for query in ("aurriculares", "auricul"):
        found = await search(stubs, query, literal=True)
        assert (list(found.hits), found.corrected_query) == ([], "")
        assert (await search(stubs, query)).hits


async def test_the_last_word_may_be_the_beginning_of_others(stubs: Stubs) -> None:
    found = await search(stubs, "sonavel auri")
    assert found.hits[0].product_id == "a"
    assert found.corrected_query == ""


async def test_a_correction_that_finds_nothing_is_none(stubs: Stubs) -> None:
    found = await search(stubs, "aurriculares", filter='brand = "other"')
    assert (list(found.hits), found.corrected_query) == ([], "")


async def test_a_bold_guess_must_go_with_the_other_words(stubs: Stubs) -> None:
    assert (await search(stubs, "fnmda auriculares")).corrected_query == "funda auriculares"
    assert (await search(stubs, "fnmda sonavel")).corrected_query == ""
    assert (await search(stubs, "sonavel fnmda")).hits[0].product_id == "a"


async def test_an_identifier_and_a_phrase_are_marked(stubs: Stubs) -> None:
    found = await search(stubs, "B")
    assert [(hit.product_id, hit.is_exact_identifier) for hit in found.hits] == [("b", True)]
    assert not found.requires_words
    found = await search(stubs, '"auriculares sonavel"')
    assert found.requires_words
    assert [hit.product_id for hit in found.hits] == ["a"]
    assert (await search(stubs, '"auriculares rojos"')).requires_words


async def test_a_limit_keeps_the_best(stubs: Stubs) -> None:
    everything = (await search(stubs, "auriculares")).hits
    assert (await search(stubs, "auriculares", limit=1)).hits == everything[:1]


@pytest.mark.parametrize("query", ["?", "«»", "😀", "   ", "\n", "x" * 1_000])
async def test_a_query_that_says_nothing_finds_nothing(stubs: Stubs, query: str) -> None:
    found = await search(stubs, query)
    assert not found.hits
    assert found.revision == 4


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.SearchTextRequest(query="", limit=1), "query"),
        (pb.SearchTextRequest(query="x" * 1_001, limit=1), "query"),
        (pb.SearchTextRequest(query="x", limit=0), "limit"),
        (pb.SearchTextRequest(query="x", limit=1_001), "limit"),
        (pb.SearchTextRequest(query="x", limit=-1), "limit"),
        (pb.SearchTextRequest(query="x", limit=1, filter="price <"), "filter"),
        (pb.SearchTextRequest(query="x", limit=1, filter="x" * 2_001), "filter"),
    ],
)
async def test_a_search_beyond_its_limits_is_refused(
    stubs: Stubs, request_message: pb.SearchTextRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.retrieval.SearchText(request_message)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(refused.value) == "INVALID_FIELD"
    assert field_of(refused.value) == field


async def test_products_come_in_the_order_asked_for_without_hidden_ones(stubs: Stubs) -> None:
    ids = ["d", "absent", "c", "a", "", "x" * 600, "a'--", "b"]
    read = await stubs.retrieval.BatchGetProducts(pb.BatchGetProductsRequest(ids=ids))
    assert [product.id for product in read.products] == ["d", "a", "b"]
    assert read.products[1].category == "Audio > Auriculares"
    assert read.revision == 4
    nothing = await stubs.retrieval.BatchGetProducts(pb.BatchGetProductsRequest())
    assert (list(nothing.products), nothing.revision) == ([], 4)


async def test_too_many_ids_are_refused(stubs: Stubs) -> None:
    await stubs.retrieval.BatchGetProducts(pb.BatchGetProductsRequest(ids=["a"] * 1_000))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.retrieval.BatchGetProducts(pb.BatchGetProductsRequest(ids=["a"] * 1_001))
    assert field_of(refused.value) == "ids"


async def test_the_status_says_what_the_catalog_holds(stubs: Stubs) -> None:
    status = await stubs.retrieval.GetCatalogStatus(pb.GetCatalogStatusRequest())
    assert (status.revision, status.product_count) == (4, 4)
    await stubs.catalog.DeleteProduct(catalog_pb2.DeleteProductRequest(id="c"))
    after = await stubs.retrieval.GetCatalogStatus(pb.GetCatalogStatusRequest())
    assert (after.revision, after.product_count) == (5, 3)
    assert after.catalog_id == status.catalog_id != ""
