"""`vitrina search` with facets, orders and pages, and `vitrina suggest`, against a gateway."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.cli_gateway import FakeGateway, gateway_serving
from tests.cli_process import vitrina
from vitrina.catalog.v1 import catalog_pb2, facet_pb2, suggestion_pb2
from vitrina.search.v1 import search_pb2

BRANDS = facet_pb2.Facet(
    field="brand",
    values=[facet_pb2.FacetValue(value="Acme", count=3), facet_pb2.FacetValue(value="B", count=2)],
    kind=facet_pb2.COUNT_KIND_LOWER_BOUND,
)


@pytest.fixture
def fake() -> FakeGateway:
    gateway = FakeGateway()
    for i in range(5):
        gateway.products[f"L-{i}"] = catalog_pb2.Product(id=f"L-{i}", name=f"Lamp {i}", price="5")
    return gateway


@pytest.fixture
async def address(fake: FakeGateway) -> AsyncIterator[str]:
    async with gateway_serving(fake) as served_at:
        yield served_at


async def test_what_is_asked_for_reaches_the_gateway(fake: FakeGateway, address: str) -> None:
    ended = await vitrina(
        "search", "lamp", "--facet", "brand", "--facet", "price(0,50,100)", "--order-by",
        "price desc, name", "--highlight", "--diversity", "0.3", "--no-rules", "--page-token", "2",
        "--address", address,
    )  # fmt: skip
    assert ended.code == 0, ended.err
    (request,) = fake.searches
    assert request == search_pb2.SearchRequest(
        query="lamp", page_size=10, mode=search_pb2.MODE_HYBRID, timeout=request.timeout,
        facets=["brand", "price(0,50,100)"], order_by="price desc, name", highlight=True,
        diversity=0.3, without_rules=True, page_token="2",
    )  # fmt: skip


async def test_facets_stand_above_the_products(fake: FakeGateway, address: str) -> None:
    fake.facets = [BRANDS]
    ended = await vitrina("search", "lamp", "--facet", "brand", "--address", address)
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[:3] == [["brand"], ["Acme", "≥3"], ["B", "≥2"]]
    assert lines.index(["B", "≥2"]) < next(i for i, line in enumerate(lines) if "score" in line)


async def test_the_footer_tells_the_total_and_how_to_go_on(fake: FakeGateway, address: str) -> None:
    first, last, all_at_once = await asyncio.gather(
        vitrina("search", "lamp", "-n", "2", "--address", address),
        vitrina("search", "lamp", "-n", "2", "--page-token", "4", "--address", address),
        vitrina("search", "lamp", "--address", address),
    )
    *_, footer, hint = first.out.splitlines()
    assert footer.startswith("2 of 5 results · 3.2 ms")
    assert hint == "next page: the same with --page-token 2"
    assert last.out.splitlines()[-1].startswith("1 of 5 results")
    assert "Lamp 4" in last.out
    assert all_at_once.out.splitlines()[-1].startswith("5 results")
    fake.total_size_kind = facet_pb2.COUNT_KIND_LOWER_BOUND
    bound = await vitrina("search", "lamp", "-n", "2", "--address", address)
    assert "2 of at least 5 results" in bound.out


async def test_pages_come_as_one_list(fake: FakeGateway, address: str) -> None:
    fake.facets = [BRANDS]
    options = ("search", "lamp", "-n", "2", "--facet", "brand", "--address", address)
    two, three = await asyncio.gather(
        vitrina(*options, "--pages", "2"), vitrina(*options, "--pages", "9", "--json")
    )
    assert "4 of 5 results · 6.4 ms" in two.out
    assert two.out.splitlines()[-1].endswith("--page-token 4")
    assert [result["product"]["id"] for result in three.json["results"]] == sorted(fake.products)
    assert three.json["nextPageToken"] == ""
    assert three.json["facets"][0]["values"][0]["count"] == "3"
    asked = [request for request in fake.searches if not request.page_token]
    following = [request for request in fake.searches if request.page_token]
    assert [list(request.facets) for request in asked] == [["brand"]] * 2
    assert sorted(request.page_token for request in following) == ["2", "2", "4"]
    assert not any(request.facets for request in following)


async def test_a_wrong_facet_or_order_is_wrong_use_and_shows_which(address: str) -> None:
    facet, order = await asyncio.gather(
        vitrina("search", "x", "--facet", "brand", "--facet", "colour", "--address", address),
        vitrina("search", "x", "--order-by", "price, colour", "--address", address),
    )
    assert facet.code == order.code == 2
    assert facet.err.splitlines() == ['error: facets[1]: unknown field "colour"', "  colour"]
    assert order.err.splitlines()[1:] == ["  price, colour", "         ^"]


async def test_suggestions_answer_people_and_programs(fake: FakeGateway, address: str) -> None:
    fake.tuning.suggestions = [
        suggestion_pb2.Suggestion(
            text="laptop dell", highlighted="<mark>lap</mark>top dell", count=1204,
            kind=suggestion_pb2.SUGGESTION_KIND_QUERY,
        ),
        suggestion_pb2.Suggestion(
            text="Lápiz <2B> \x1b[31m[red]",
            highlighted="<mark>Láp</mark>iz &lt;2B&gt; \x1b[31m[red]",
            count=1, kind=suggestion_pb2.SUGGESTION_KIND_PRODUCT, product_id="PAP-7",
        ),
    ]  # fmt: skip
    people, programs, popular = await asyncio.gather(
        vitrina("suggest", "lap", "de", "--limit", "5", "--address", address),
        vitrina("suggest", "lap", "--json", "--address", address),
        vitrina("suggest", "--limit", "1", "--address", address),
    )
    assert people.code == programs.code == popular.code == 0
    lines = [line.split() for line in people.out.splitlines()]
    assert lines[1:] == [
        ["laptop", "dell", "query", "1,204"],
        ["Lápiz", "<2B>", "␛[31m[red]", "product", "PAP-7"],
    ]
    assert programs.json["suggestions"][0]["text"] == "laptop dell"
    assert popular.out.count("\n") == 2
    asked = {(request.query, request.limit) for request in fake.tuning.suggest_requests}
    assert asked == {("lap de", 5), ("lap", 8), ("", 1)}


async def test_no_suggestion_is_said(address: str) -> None:
    ended = await vitrina("suggest", "zzz", "--address", address)
    assert (ended.code, ended.out) == (0, "Nothing begins so.\n")
