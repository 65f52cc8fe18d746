"""Clients that search: products by id, whole categories, words, filters, pages; and over HTTP."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import grpc.aio
import httpx
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from faults.clients import Call, Calls, Gateway, HttpFailure
from faults.history import History
from faults.oracle import Answer, Oracle, Passes
from faults.products import CATEGORIES, SHELVES, WORDS, sku_of
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb

_TIMEOUT_SECONDS = 5.0
# The budget ends before the deadline, so that an answer that is late still comes.
_BUDGET_SECONDS = 4.0
_RETRY_SECONDS = 0.02
_MODES = (pb.MODE_HYBRID, pb.MODE_LEXICAL, pb.MODE_SEMANTIC)
_PAGES = 3

Asking = Callable[[pb.SearchRequest], Awaitable[pb.SearchResponse]]


@dataclass(frozen=True)
class Question:
    """A search, and what must be true of its answer."""

    request: pb.SearchRequest
    passes: Passes
    is_whole: bool = False
    pages: int = 1


def question(chance: random.Random, product_ids: Sequence[str], revision: int) -> Question:
    """Return a search like those of a shop; some must reflect `revision`."""
    kind = chance.choices(
        (_by_id, _whole_category, _by_words, _filtered, _paged), weights=(3, 3, 2, 2, 1)
    )[0]
    asked = kind(chance, product_ids)
    asked.request.timeout.CopyFrom(Duration(seconds=int(_BUDGET_SECONDS)))
    if chance.random() < 0.3 and asked.pages == 1:
        asked.request.min_revision = revision
    asked.request.skip_cache = chance.random() < 0.15
    return asked


def _by_id(chance: random.Random, product_ids: Sequence[str]) -> Question:
    product_id = chance.choice(product_ids)
    sku = sku_of(product_id)
    request = pb.SearchRequest(
        query=sku, literal=True, filter=f'attributes.sku = "{sku}"', mode=chance.choice(_MODES)
    )
    return Question(request, lambda product: product.id == product_id, is_whole=True)


def _whole_category(chance: random.Random, _: Sequence[str]) -> Question:
    category = chance.choice(CATEGORIES)
    request = pb.SearchRequest(
        query=chance.choice(WORDS[:3]), category=category, page_size=100, mode=pb.MODE_SEMANTIC
    )
    return Question(request, within(category), is_whole=True)


def _by_words(chance: random.Random, _: Sequence[str]) -> Question:
    words = " ".join(chance.sample(WORDS, 2))
    return Question(pb.SearchRequest(query=words, mode=chance.choice(_MODES)), lambda _: True)


def _filtered(chance: random.Random, _: Sequence[str]) -> Question:
    shelf, limit = chance.choice(SHELVES), chance.choice((200, 500))
    request = pb.SearchRequest(
        query=chance.choice(WORDS),
        filter=f'attributes.shelf = "{shelf}" AND price < {limit}',
        mode=chance.choice(_MODES),
        page_size=20,
    )

    def passes(product: catalog_pb2.Product) -> bool:
        return product.attributes["shelf"].string_value == shelf and float(product.price) < limit

    return Question(request, passes)


def _paged(chance: random.Random, _: Sequence[str]) -> Question:
    category = chance.choice(CATEGORIES)
    request = pb.SearchRequest(query=chance.choice(WORDS), category=category, page_size=5)
    return Question(request, within(category), pages=_PAGES)


def within(category: str) -> Passes:
    """Return whether a product is of a category or below it."""
    return lambda product: f"{product.category} > ".startswith(f"{category} > ")


@dataclass
class Searcher:
    """Searches all the time, by one gateway and then the other, or over HTTP."""

    name: str
    ways: Mapping[str, Asking]
    product_ids: Sequence[str]
    history: History
    oracle: Oracle
    calls: Calls
    pause_seconds: float
    is_closing: bool = False

    async def run(self) -> None:
        """Search until told to close."""
        chance = random.Random(f"{self.history.seed}/{self.name}")
        while not self.is_closing:
            via = chance.choice(list(self.ways))
            asked = question(chance, self.product_ids, self.history.acknowledged)
            await self.ask(asked, via)
            await asyncio.sleep(self.pause_seconds * chance.uniform(0.5, 1.5))

    async def ask(self, asked: Question, via: str) -> bool:
        """Search, page by page, and have the answers checked; tell whether all came."""
        request = pb.SearchRequest()
        request.CopyFrom(asked.request)
        seen: set[str] = set()
        for page in range(asked.pages):
            started = time.monotonic()
            try:
                response = await self.ways[via](request)
            except (grpc.aio.AioRpcError, httpx.HTTPError, HttpFailure) as error:
                self.calls.failed("search", via, started, error, _told(request))
                await asyncio.sleep(_RETRY_SECONDS)
                return False
            self._take(response, request, asked, via, started, is_later=page > 0)
            shown = {result.product.id for result in response.results}
            if shown & seen:
                self.history.violate("each product once", f"{_told(request)}: {shown & seen}")
            seen |= shown
            request.page_token = response.next_page_token
            if not request.page_token:
                break
        return True

    def _take(
        self,
        response: pb.SearchResponse,
        request: pb.SearchRequest,
        asked: Question,
        via: str,
        started: float,
        *,
        is_later: bool,
    ) -> None:
        answer = Answer(
            _told(request),
            via,
            started,
            time.monotonic(),
            request.min_revision,
            [result.product for result in response.results],
            response.info,
            asked.passes,
            # Words alone find what has the words, not all of a category.
            asked.is_whole
            and not is_later
            and not (
                request.mode == pb.MODE_SEMANTIC
                and request.category
                and pb.DEGRADATION_LEXICAL_ONLY in response.info.degraded
            ),
        )
        self.calls.made.append(
            Call(
                "search",
                via,
                started,
                answer.received,
                tuple(answer.labels),
                pb.Provenance.Name(response.info.provenance),
                asked=answer.asked,
            )
        )
        self.oracle.take(answer)


def grpc_ways(gateways: Mapping[str, Gateway]) -> dict[str, Asking]:
    """Return how to ask each gateway."""

    def by(gateway: Gateway) -> Asking:
        async def ask(request: pb.SearchRequest) -> pb.SearchResponse:
            return await gateway.search.Search(request, timeout=_TIMEOUT_SECONDS)

        return ask

    return {name: by(gateway) for name, gateway in gateways.items()}


def http_way(client: httpx.AsyncClient, url: str) -> Asking:
    """Return how to ask over HTTP."""

    async def ask(request: pb.SearchRequest) -> pb.SearchResponse:
        response = await client.post(
            f"{url}/v1/products:search",
            json=json_format.MessageToDict(request),
            timeout=_TIMEOUT_SECONDS,
        )
        if response.status_code != 200:
            raise HttpFailure(response.status_code, response.text[:300])
        return json_format.Parse(response.text, pb.SearchResponse())

    return ask


def _told(request: pb.SearchRequest) -> str:
    """Return a request in one line."""
    return " ".join(str(request).split())
