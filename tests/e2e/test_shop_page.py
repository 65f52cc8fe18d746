"""What a shop's search page does, against whole processes: pages, facets, orders, rules."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from tests.stack import SAMPLE, Stack, running_stack
from tests.support import until
from vitrina.catalog.v1 import (
    catalog_pb2,
    facet_pb2,
    suggestion_pb2,
    suggestion_pb2_grpc,
    tuning_pb2,
    tuning_pb2_grpc,
)
from vitrina.search.v1 import search_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="session")

LAMPS = 250


def lamps() -> Iterator[catalog_pb2.Product]:
    for number in range(LAMPS):
        yield catalog_pb2.Product(
            id=f"lamp-{number:03}",
            name=f"Desk lamp number {number}",
            brand="Lux" if number % 5 else "Sol",
            category="Home > Lamps" if number % 2 else "Office",
            price=f"{number % 90}.50",
            currency="EUR",
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """A stack of its own, since these tests write."""
    async with running_stack() as stack:
        code, out, err = await stack.cli("import", str(SAMPLE), "--wait", "--json")
        assert code == 0, out + err
        await stack.searchable(await stack.upsert(lamps()))
        yield stack


async def pages_of(stack: Stack, request: pb.SearchRequest) -> list[pb.SearchResponse]:
    pages = [await stack.search.Search(request, timeout=20)]
    while token := pages[-1].next_page_token:
        request.page_token = token
        pages.append(await stack.search.Search(request, timeout=20))
    return pages


@pytest.mark.parametrize("mode", [pb.MODE_HYBRID, pb.MODE_LEXICAL, pb.MODE_SEMANTIC])
@pytest.mark.parametrize("order_by", ["", "price desc, name"])
async def test_paging_shows_each_unchanged_product_once_while_a_writer_works(
    stack: Stack, mode: pb.Mode.ValueType, order_by: str
) -> None:
    chance = random.Random(f"{mode} {order_by}")
    touched = set(chance.sample(range(LAMPS), 100))
    unchanged = {f"lamp-{number:03}" for number in set(range(LAMPS)) - touched}
    await stack.searchable(await stack.upsert(lamps()))
    is_done = asyncio.Event()

    async def write() -> int:
        writes = 0
        while not is_done.is_set():
            for number in chance.sample(sorted(touched), 10):
                product_id = f"lamp-{number:03}"
                if chance.random() < 0.3:
                    await stack.catalog.DeleteProduct(
                        catalog_pb2.DeleteProductRequest(id=product_id, allow_missing=True)
                    )
                else:
                    await stack.upsert(
                        [
                            catalog_pb2.Product(
                                id=product_id,
                                name=f"Desk lamp {chance.random()}",
                                price=f"{chance.randrange(900)}.00",
                                currency="EUR",
                            )
                        ]
                    )
                writes += 1
            await stack.upsert(
                [catalog_pb2.Product(id=f"new-{writes}", name="Desk lamp that is new")]
            )
        return writes

    writer = asyncio.create_task(write())
    request = pb.SearchRequest(query="desk lamp", page_size=9, mode=mode, order_by=order_by)
    pages = await pages_of(stack, request)
    is_done.set()
    assert await writer > 0
    found = [result.product.id for page in pages for result in page.results]
    assert len(found) == len(set(found))
    assert {page.total_size for page in pages} == {pages[0].total_size}
    if mode == pb.MODE_HYBRID or order_by:
        assert unchanged <= set(found)
    else:
        # Words alone go 200 deep, meaning 300 of all that there is.
        assert pages[0].total_size - len(touched) <= len(found) <= pages[0].total_size


async def test_facets_are_the_same_by_grpc_http_and_command(stack: Stack) -> None:
    facets = ["brand(limit=3)", "price(0,30,60)", "category"]
    request = pb.SearchRequest(
        query="desk lamp",
        filter='category = "Home"',
        mode=pb.MODE_LEXICAL,
        facets=facets,
        page_size=5,
    )
    by_grpc = await stack.search.Search(request)
    for facet in by_grpc.facets:
        assert facet.kind == facet_pb2.COUNT_KIND_EXACT
        for value in facet.values:
            narrowed = pb.SearchRequest()
            narrowed.CopyFrom(request)
            narrowed.filter = f"{request.filter} AND {value.filter}"
            assert (await stack.search.Search(narrowed)).total_size == value.count
    parameters: dict[str, str | int | list[str]] = {
        "query": "desk lamp",
        "filter": request.filter,
        "mode": "lexical",
        "page_size": 5,
        "facets": facets,
    }
    async with httpx.AsyncClient(base_url=stack.http) as client:
        response = await client.get("/v1/products:search", params=httpx.QueryParams(parameters))
    by_http = [
        [(value["value"], int(value["count"])) for value in facet["values"]]
        for facet in response.json()["facets"]
    ]
    expected = [[(value.value, value.count) for value in facet.values] for facet in by_grpc.facets]
    assert by_http == expected
    options = [option for facet in facets for option in ("--facet", facet)]
    code, out, _ = await stack.cli(
        "search", "desk", "lamp", "--mode", "lexical", "--filter", request.filter, *options
    )
    assert code == 0
    assert "Lux" in out


async def test_a_rule_and_synonyms_act_at_once_and_are_told(stack: Stack) -> None:
    tuning: tuning_pb2_grpc.TuningServiceAsyncStub
    tuning = tuning_pb2_grpc.TuningServiceStub(stack.channel)
    query = pb.SearchRequest(query="flexo", page_size=5, mode=pb.MODE_LEXICAL)
    assert not [r for r in (await stack.search.Search(query)).results if "lamp" in r.product.id]
    await tuning.PutSynonyms(
        tuning_pb2.PutSynonymsRequest(
            synonyms=tuning_pb2.Synonyms(id="flexo", one_way_from="flexo", phrases=["desk lamp"])
        )
    )
    response = await stack.search.Search(query)
    assert response.synonym_ids == ["flexo"]
    assert all(result.product.id.startswith("lamp-") for result in response.results)
    await tuning.PutRule(
        tuning_pb2.PutRuleRequest(
            rule=tuning_pb2.Rule(
                id="lamps",
                queries=["flexo"],
                pins=[tuning_pb2.Pin(product_id="lamp-249", position=1)],
                boosts=[tuning_pb2.Boost(filter='brand = "Sol"', factor=10)],
            ),
            author="ana",
        )
    )
    response = await stack.search.Search(query)
    assert response.rule_ids == ["lamps"]
    first, *others = response.results
    assert first.product.id == "lamp-249"
    assert first.explanation.rules[0].pinned_position == 1
    assert {result.product.brand for result in others} == {"Sol"}
    code, out, _ = await stack.cli("rules", "log")
    assert code == 0
    assert "ana" in out
    await tuning.DeleteRule(tuning_pb2.DeleteRuleRequest(id="lamps"))
    response = await stack.search.Search(query)
    assert not response.rule_ids


async def test_what_people_search_for_is_suggested_to_others(stack: Stack) -> None:
    suggesting: suggestion_pb2_grpc.SuggestionServiceAsyncStub
    suggesting = suggestion_pb2_grpc.SuggestionServiceStub(stack.channel)
    for _ in range(4):
        await stack.search.Search(pb.SearchRequest(query="lamp for the desk"))

    async def suggested() -> bool:
        response = await suggesting.Suggest(suggestion_pb2.SuggestRequest(query="lamp for"))
        return any(
            suggestion.text == "lamp for the desk"
            and suggestion.kind == suggestion_pb2.SUGGESTION_KIND_QUERY
            for suggestion in response.suggestions
        )

    await until(suggested, seconds=20, what="the query suggested")


async def test_marks_are_safe_and_right_for_accents(stack: Stack) -> None:
    await stack.upsert(
        [catalog_pb2.Product(id="evil", name="Jamón <b>ibérico</b> & co", description="x" * 300)]
    )
    response = await stack.search.Search(
        pb.SearchRequest(query="jamon iberico", highlight=True, mode=pb.MODE_LEXICAL)
    )
    marked = {result.product.id: result.highlights.name for result in response.results}
    assert marked["evil"] == "<mark>Jamón</mark> &lt;b&gt;<mark>ibérico</mark>&lt;/b&gt; &amp; co"
