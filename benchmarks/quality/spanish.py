"""What a Spanish supermarket answers to queries as people type them."""

from dataclasses import dataclass

from benchmarks.quality.sheets import Sheet
from services.cli.connection import Gateway, Target, gateway_at, run
from vitrina.search.v1 import search_pb2

SHOWN = 3

QUERIES = (
    "leche sin lactosa",
    "lehe desnatada",
    "detergente liquido",
    "papel higienico",
    "jamon serrano",
    "jamón iberico de bellota",
    "yogures griegos",
    "yogur griego natural",
    "pan de molde sin gluten",
    "aceite de oliva virgen extra 1 l",
    "agua mineral 1,5 l",
    "coca cola zero",
    "cocacola lata 33 cl",
    "cerveza sin alcohol",
    "cafe en capsulas",
    "galletas maria",
    "atun en aceite de oliva",
    "champu anticaspa",
    "pañales talla 4",
    "panales",
    "tomates fritos",
    "queso manchego curado",
    "huevos camperos",
    "suavisante concentrado",
    "mallonesa",
    "macarrrones",
    "lavabajillas en pastillas",
    "vino tinto rioja",
    "comida para gatos",
    "algo dulce para desayunar",
)


@dataclass(frozen=True)
class Page:
    """The beginning of an answer, and what the query was taken for."""

    query: str
    corrected_query: str
    names: list[str]


def pages_of(target: Target) -> list[Page]:
    """Ask every query. Raises Failure."""
    return run(_pages(target))


async def _pages(target: Target) -> list[Page]:
    async with gateway_at(target) as gateway:
        return [await _page(gateway, query) for query in QUERIES]


async def _page(gateway: Gateway, query: str) -> Page:
    request = search_pb2.SearchRequest(query=query, page_size=SHOWN, skip_cache=True)
    answer: search_pb2.SearchResponse = await gateway.call(gateway.search.Search, request)
    named = ((result.product.name, result.product.brand.strip()) for result in answer.results)
    names = [f"{name} ({brand})" if brand else name for name, brand in named]
    return Page(query, answer.corrected_query, names)


def sheet_of(pages: list[Page]) -> Sheet:
    """Return the table: queries, and what stands first."""
    sheet = Sheet(
        "Spanish queries, and what stands first",
        ("query", "searched as", *map(str, range(1, SHOWN + 1))),
        has_figures=False,
    )
    for page in pages:
        names = [*page.names, *[""] * (SHOWN - len(page.names))]
        sheet.rows.append((page.query, page.corrected_query, *names))
    return sheet
