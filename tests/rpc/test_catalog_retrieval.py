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
    assert found.product_ids == ["a", "b", "d"]
    assert found.scores[0] > found.scores[1] > found.scores[2] > 0
    assert found.revision == 4


async def test_only_what_passes_the_filter_is_found(stubs: Stubs) -> None:
    found = await search(stubs, "auriculares", filter='category = "Audio"')
    assert set(found.product_ids) == {"a", "b"}
    found = await search(
        stubs, "auriculares", filter='category = "Audio" AND NOT brand = "Sonavel"'
    )
    assert found.product_ids == ["b"]


async def test_a_misspelt_query_is_corrected_and_says_so(stubs: Stubs) -> None:
    found = await search(stubs, "aurriculares Sonavle")
    assert found.corrected_query == "auriculares sonavel"
    assert found.product_ids[0] == "a"
    assert (await search(stubs, "auriculares")).corrected_query == ""


async def test_a_literal_query_is_taken_as_it_is(stubs: Stubs) -> None:
    for query in ("aurriculares", "auricul"):
        found = await search(stubs, query, literal=True)
        assert (list(found.product_ids), found.corrected_query) == ([], "")
        assert (await search(stubs, query)).product_ids


async def test_the_last_word_may_be_the_beginning_of_others(stubs: Stubs) -> None:
    found = await search(stubs, "sonavel auri")
    assert found.product_ids[0] == "a"
    assert found.corrected_query == ""


async def test_a_correction_that_finds_nothing_is_none(stubs: Stubs) -> None:
    found = await search(stubs, "aurriculares", filter='brand = "other"')
    assert (list(found.product_ids), found.corrected_query) == ([], "")


async def test_a_bold_guess_must_go_with_the_other_words(stubs: Stubs) -> None:
    assert (await search(stubs, "fnmda auriculares")).corrected_query == "funda auriculares"
    assert (await search(stubs, "fnmda sonavel")).corrected_query == ""
    assert (await search(stubs, "sonavel fnmda")).product_ids[0] == "a"


async def test_an_identifier_and_a_phrase_are_marked(stubs: Stubs) -> None:
    found = await search(stubs, "B")
    assert (list(found.product_ids), found.exact_identifiers) == (["b"], 1)
    assert not found.requires_words
    found = await search(stubs, '"auriculares sonavel"')
    assert found.requires_words
    assert (list(found.product_ids), found.exact_identifiers) == (["a"], 0)
    assert (await search(stubs, '"auriculares rojos"')).requires_words


async def test_a_limit_keeps_the_best(stubs: Stubs) -> None:
    everything = await search(stubs, "auriculares")
    assert everything.is_complete
    best = await search(stubs, "auriculares", limit=1)
    assert best.product_ids == everything.product_ids[:1]
    assert best.scores == everything.scores[:1]
    assert not best.is_complete
    assert (await search(stubs, "auriculares", limit=len(everything.product_ids))).is_complete


async def test_with_a_limit_of_zero_nothing_is_searched(stubs: Stubs) -> None:
    found = await search(stubs, 'aurriculares "sonavel"', limit=0)
    assert (list(found.product_ids), found.corrected_query) == ([], "")
    assert (found.requires_words, found.is_complete, found.revision) == (True, False, 4)
    assert (await search(stubs, "?", limit=0)).is_complete


async def test_hits_come_in_the_order_asked_for(stubs: Stubs) -> None:
    found = await search(stubs, "auriculares", order_by="name desc")
    assert found.product_ids == ["b", "a", "d"]
    assert len(found.scores) == 3
    assert (found.exact_identifiers, found.is_complete) == (0, True)
    assert (await search(stubs, "aurriculares", order_by="name")).product_ids == ["d", "a", "b"]


@pytest.mark.parametrize("query", ["?", "«»", "😀", "   ", "\n", "x" * 1_000])
async def test_a_query_that_says_nothing_finds_nothing(stubs: Stubs, query: str) -> None:
    found = await search(stubs, query)
    assert not found.product_ids
    assert found.revision == 4


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.SearchTextRequest(query="", limit=1), "query"),
        (pb.SearchTextRequest(query="x" * 1_001, limit=1), "query"),
        (pb.SearchTextRequest(query="x", limit=1_001), "limit"),
        (pb.SearchTextRequest(query="x", limit=-1), "limit"),
        (pb.SearchTextRequest(query="x", limit=1, filter="price <"), "filter"),
        (pb.SearchTextRequest(query="x", limit=1, filter="x" * 2_001), "filter"),
        (pb.SearchTextRequest(query="x", limit=1, order_by="category"), "order_by"),
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


async def test_candidates_are_ordered_counted_and_tried_against_conditions(stubs: Stubs) -> None:
    arranged = await stubs.retrieval.Arrange(
        pb.ArrangeRequest(
            product_ids=["d", "absent", "c", "b", "a"],
            filter='category = "Audio"',
            order_by="name",
            facets=["category", "brand(limit=1)", "price(0, 10)"],
            conditions=['brand = "Sonavel"', "category:*", "active = false"],
        )
    )
    assert arranged.product_ids == ["a", "b"]
    category, brand, price = arranged.facets
    assert [(each.value, each.count, each.filter) for each in category.values] == [
        ("Audio", 2, 'category = "Audio"'),
        ("Audio > Auriculares", 1, 'category = "Audio > Auriculares"'),
    ]
    assert (brand.field, brand.values[0].value, brand.missing_count) == ("brand", "Sonavel", 1)
    assert [(each.value, each.count) for each in price.values] == [("0-10", 0), ("10-", 0)]
    assert (price.other_count, price.missing_count) == (0, 2)
    assert [list(accepted.positions) for accepted in arranged.accepted] == [[0], [0, 1], []]
    assert arranged.revision == 4


async def test_candidates_stay_in_their_order_where_none_is_asked_for(stubs: Stubs) -> None:
    arranged = await stubs.retrieval.Arrange(pb.ArrangeRequest(product_ids=["d", "c", "b", "a"]))
    assert arranged.product_ids == ["d", "b", "a"]
    assert (list(arranged.facets), list(arranged.accepted)) == ([], [])
    nothing = await stubs.retrieval.Arrange(
        pb.ArrangeRequest(facets=["brand"], conditions=["price > 1"])
    )
    assert (list(nothing.product_ids), nothing.revision) == ([], 4)
    assert (list(nothing.facets[0].values), nothing.facets[0].missing_count) == ([], 0)
    assert [list(accepted.positions) for accepted in nothing.accepted] == [[]]


async def test_as_many_candidates_as_may_be_are_arranged(stubs: Stubs) -> None:
    ids = [f"absent {number}" for number in range(2_999)]
    arranged = await stubs.retrieval.Arrange(
        pb.ArrangeRequest(product_ids=[*ids, "a"], conditions=['brand:"x"'] * 100)
    )
    assert arranged.product_ids == ["a"]
    assert len(arranged.accepted) == 100


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.ArrangeRequest(product_ids=map(str, range(3_001))), "product_ids"),
        (pb.ArrangeRequest(product_ids=["a", "b", "a"]), "product_ids"),
        (pb.ArrangeRequest(filter="price <"), "filter"),
        (pb.ArrangeRequest(order_by="price,"), "order_by"),
        (pb.ArrangeRequest(facets=["brand"] * 11), "facets"),
        (pb.ArrangeRequest(facets=["brand", "name"]), "facets[1]"),
        (pb.ArrangeRequest(conditions=["", "price <"]), "conditions[1]"),
        (pb.ArrangeRequest(conditions=["price < 1"] * 101), "conditions"),
    ],
)
async def test_what_cannot_be_arranged_is_refused(
    stubs: Stubs, request_message: pb.ArrangeRequest, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stubs.retrieval.Arrange(request_message)
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
