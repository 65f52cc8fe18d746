"""SuggestionService, popular queries and highlights over gRPC."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from services.catalog.__main__ import compose
from services.catalog.settings import CatalogSettings
from services.common.channel import channel_to
from services.common.server import serving
from tests.catalog_support import field_of, message, reason_of
from vitrina.catalog.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
    suggestion_pb2,
    suggestion_pb2_grpc,
)

QUERY, CATEGORY, BRAND, WORD, PRODUCT = (
    suggestion_pb2.SUGGESTION_KIND_QUERY,
    suggestion_pb2.SUGGESTION_KIND_CATEGORY,
    suggestion_pb2.SUGGESTION_KIND_BRAND,
    suggestion_pb2.SUGGESTION_KIND_WORD,
    suggestion_pb2.SUGGESTION_KIND_PRODUCT,
)

PRODUCTS = [
    message("a", name="Auriculares inalámbricos", category="Audio > Auriculares", brand="Sonavel"),
    message("b", name="Funda para auriculares", category="Audio", brand="Sónica"),
    message("c", name="Jamón ibérico", category="Alimentación", brand="Jabugo"),
    message("d", name="Jarra", category="Hogar > Jarras", brand="Jarrones", active=False),
    message("e", name="Brother TN-2110 toner", brand="Brother"),
]


class Running:
    """A catalog that serves, with short ways to call it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.catalog = catalog_pb2_grpc.CatalogServiceStub(channel)
        self.retrieval = retrieval_pb2_grpc.RetrievalServiceStub(channel)
        self.suggestions = suggestion_pb2_grpc.SuggestionServiceStub(channel)

    async def upsert(self, *products: catalog_pb2.Product) -> None:
        request = catalog_pb2.BatchUpsertProductsRequest(products=products)
        await self.catalog.BatchUpsertProducts(request)

    async def record(self, **counts: int) -> None:
        queries = [
            retrieval_pb2.QueryCount(query=query.replace("_", " "), count=count)
            for query, count in counts.items()
        ]
        await self.retrieval.RecordQueries(retrieval_pb2.RecordQueriesRequest(queries=queries))

    async def suggest(self, query: str, limit: int = 0) -> list[suggestion_pb2.Suggestion]:
        request = suggestion_pb2.SuggestRequest(query=query, limit=limit)
        return list((await self.suggestions.Suggest(request)).suggestions)

    async def texts(self, query: str, limit: int = 0) -> list[tuple[int, str]]:
        return [(found.kind, found.text) for found in await self.suggest(query, limit)]


@asynccontextmanager
async def running_catalog(folder: Path, **settings: Any) -> AsyncIterator[Running]:
    service = compose(CatalogSettings(data_dir=folder, listen="127.0.0.1:0", **settings))
    async with serving(service) as port, channel_to(f"127.0.0.1:{port}") as channel:
        yield Running(channel)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_catalog(tmp_path) as running:
        await running.upsert(*PRODUCTS)
        yield running


async def test_a_beginning_is_completed_by_some_of_each_kind(catalog: Running) -> None:
    await catalog.record(auriculares_con_cable=5, auto=2)
    assert await catalog.texts("AU") == [
        (QUERY, "auriculares con cable"),
        (CATEGORY, "Audio"),
        (CATEGORY, "Audio > Auriculares"),
        (WORD, "auriculares"),
        (PRODUCT, "Auriculares inalámbricos"),
        (PRODUCT, "Funda para auriculares"),
    ]
    found = {suggestion.text: suggestion for suggestion in await catalog.suggest("AU")}
    assert (found["Audio"].count, found["Audio > Auriculares"].count) == (2, 1)
    assert found["auriculares con cable"].count == 5
    assert found["auriculares"].count == 2
    assert found["Auriculares inalámbricos"].product_id == "a"
    assert found["Funda para auriculares"].highlighted == "Funda para <mark>au</mark>riculares"


async def test_accents_and_case_do_not_matter_and_words_are_spelt_as_products_spell_them(
    catalog: Running,
) -> None:
    (word, name) = await catalog.suggest("jamo")
    assert (word.kind, word.text, word.highlighted) == (WORD, "jamón", "<mark>jamó</mark>n")
    assert (name.kind, name.text) == (PRODUCT, "Jamón ibérico")
    assert [found.text for found in await catalog.suggest("JAMÓ")] == ["jamón", "Jamón ibérico"]
    assert (BRAND, "Sónica") in await catalog.texts("soni")


async def test_the_last_word_is_completed_so_that_the_query_finds_something(
    catalog: Running,
) -> None:
    assert (WORD, "Funda auriculares") in await catalog.texts("Funda aur")
    assert await catalog.texts("Jamón aur") == []


async def test_the_words_of_a_popular_query_may_begin_so(catalog: Running) -> None:
    await catalog.record(cable_para_auriculares=3)
    assert (await catalog.texts("auri"))[0] == (QUERY, "cable para auriculares")
    assert (await catalog.texts("cable para au"))[0] == (QUERY, "cable para auriculares")
    assert (QUERY, "cable para auriculares") not in await catalog.texts("cabl au")


async def test_where_nothing_begins_so_what_is_one_letter_away_does(catalog: Running) -> None:
    assert (PRODUCT, "Auriculares inalámbricos") in await catalog.texts("aurric")
    assert await catalog.texts("auriculrares inal") == [(WORD, "auriculares inalámbricos")]
    assert (BRAND, "Sonavel") in await catalog.texts("zonav")
    assert await catalog.texts("xyzzy") == []


async def test_a_model_number_is_completed_with_and_without_its_hyphen(catalog: Running) -> None:
    for query in ("tn-21", "tn21", "brother tn21", "TN-2110"):
        assert (PRODUCT, "Brother TN-2110 toner") in await catalog.texts(query), query


async def test_what_is_hidden_or_gone_is_not_suggested(catalog: Running) -> None:
    assert await catalog.texts("jarr") == []
    await catalog.upsert(message("d", name="Jarra", category="Hogar > Jarras", brand="Jarrones"))
    assert await catalog.texts("jarr") == [
        (CATEGORY, "Hogar > Jarras"),
        (BRAND, "Jarrones"),
        (WORD, "jarra"),
        (WORD, "jarras"),
    ]
    await catalog.catalog.DeleteProduct(catalog_pb2.DeleteProductRequest(id="d"))
    assert await catalog.texts("jarr") == []
    assert await catalog.texts("hogar") == []


async def test_an_empty_query_gives_the_most_popular_ones(catalog: Running) -> None:
    assert await catalog.texts("") == []
    await catalog.record(jarra=4, Jamón_ibérico=9, raro=2)
    assert await catalog.texts("") == [(QUERY, "Jamón ibérico"), (QUERY, "jarra")]
    assert await catalog.texts("  ", limit=1) == [(QUERY, "Jamón ibérico")]
    assert await catalog.texts("?!") == []


async def test_nothing_is_suggested_twice_and_no_more_than_asked_for(catalog: Running) -> None:
    await catalog.record(sonavel=9, AURICULARES=8)
    for limit in range(1, 21):
        found = await catalog.texts("s", limit)
        assert len(found) <= limit
        folded = [text.lower() for _, text in found]
        assert len(folded) == len(set(folded))
    assert await catalog.texts("sonavel", 1) == [(QUERY, "sonavel")]


async def test_what_is_suggested_is_safe_for_html(catalog: Running) -> None:
    await catalog.upsert(message("x", name='<script>"quux"</script> & co'))
    (_, name) = await catalog.suggest("quu")
    assert name.highlighted == (
        "&lt;script&gt;&quot;<mark>quu</mark>x&quot;&lt;/script&gt; &amp; co"
    )


async def test_suggestions_say_which_revision_they_reflect(catalog: Running) -> None:
    request = suggestion_pb2.SuggestRequest(query="au")
    assert (await catalog.suggestions.Suggest(request)).revision == len(PRODUCTS)
    await catalog.catalog.DeleteProduct(catalog_pb2.DeleteProductRequest(id="a"))
    assert (await catalog.suggestions.Suggest(request)).revision == len(PRODUCTS) + 1


@pytest.mark.parametrize(
    "query",
    [
        '"',
        '"a',
        "a*",
        "a AND",
        "NEAR(a",
        "au'--",
        "^au",
        "name:au",
        "a-",
        "-a",
        "{brand}",
        "\0",
        "ｱ",
    ],
)
async def test_no_syntax_reaches_the_index(catalog: Running, query: str) -> None:
    for typed in (query, f"{query} {query}", f"auriculares {query}"):
        assert len(await catalog.suggest(typed, 20)) <= 20


async def test_a_catalog_of_several_languages_suggests_by_each(catalog: Running) -> None:
    await catalog.upsert(
        message("en", name="Running socks", language="en"),
        message("es", name="Corriendo", language="es"),
    )
    assert (WORD, "running") in await catalog.texts("runn")
    assert (PRODUCT, "Running socks") in await catalog.texts("running")
    assert await catalog.texts("running so") == [(WORD, "running socks")]
    assert (PRODUCT, "Corriendo") in await catalog.texts("corriendo")


@pytest.mark.parametrize(
    ("query", "limit", "field"),
    [("x" * 201, 1, "query"), ("x", 21, "limit"), ("x", -1, "limit")],
)
async def test_what_is_beyond_its_limits_is_refused(
    catalog: Running, query: str, limit: int, field: str
) -> None:
    await catalog.suggest("x" * 200, 20)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await catalog.suggest(query, limit)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (reason_of(refused.value), field_of(refused.value)) == ("INVALID_FIELD", field)


async def test_popular_queries_survive_and_take_no_revision(tmp_path: Path) -> None:
    async with running_catalog(tmp_path) as running:
        await running.upsert(*PRODUCTS)
        await running.record(jarra=3)
        await running.record(jarra=1, jamón=2)
    async with running_catalog(tmp_path) as running:
        await running.record(jamón=3)
        found = await running.suggest("")
        assert [(each.text, each.count) for each in found] == [("jamón", 5), ("jarra", 4)]
        status = await running.retrieval.GetCatalogStatus(retrieval_pb2.GetCatalogStatusRequest())
        assert status.revision == len(PRODUCTS)


async def test_queries_are_recorded_all_or_none(catalog: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await catalog.record(jarra=9, jamón=0)
    assert field_of(refused.value) == "queries[1].count"
    assert await catalog.texts("") == []


async def highlights(catalog: Running, query: str, **fields: Any) -> retrieval_pb2.Highlights:
    request = retrieval_pb2.BatchGetProductsRequest(ids=["a"], highlight_query=query, **fields)
    read = await catalog.retrieval.BatchGetProducts(request)
    (found,) = read.highlights
    return found


async def test_products_are_read_with_the_words_of_a_query_marked(catalog: Running) -> None:
    await catalog.upsert(message("a", name="Auriculares", description="Un auricular & más"))
    marked = await highlights(catalog, "AURICULAR mas")
    assert marked.name == "<mark>Auriculares</mark>"
    assert marked.description == "Un <mark>auricular</mark> &amp; <mark>más</mark>"
    ids = ["c", "absent", "d", "a"]
    request = retrieval_pb2.BatchGetProductsRequest(ids=ids, highlight_query="ibericos")
    read = await catalog.retrieval.BatchGetProducts(request)
    assert [product.id for product in read.products] == ["c", "a"]
    assert [each.name for each in read.highlights] == [
        "Jamón <mark>ibérico</mark>",
        "Auriculares",
    ]
    without = await catalog.retrieval.BatchGetProducts(
        retrieval_pb2.BatchGetProductsRequest(ids=ids)
    )
    assert not without.highlights


async def test_a_highlighted_query_is_understood_as_a_search_understands_it(
    catalog: Running,
) -> None:
    marked = "<mark>Auriculares</mark> inalámbricos"
    for query in ("aurriculares", "auricu"):
        assert (await highlights(catalog, query)).name == marked
        assert (await highlights(catalog, query, literal=True)).name == "Auriculares inalámbricos"


async def test_a_highlighted_query_beyond_its_limit_is_refused(catalog: Running) -> None:
    await highlights(catalog, "x" * 2_000)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await highlights(catalog, "x" * 2_001)
    assert field_of(refused.value) == "highlight_query"
