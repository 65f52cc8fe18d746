"""The queries to the gateway, some at a time, and what came back."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from services.cli.connection import Gateway, Target, gateway_at
from services.cli.failures import Failure
from services.cli.judgment.configs import Config
from services.cli.options import Mode
from services.cli.progress import Stage
from vitrina.search.v1 import search_pb2

# As deep as recall is measured, and as many as one answer can hold.
DEPTH = 100


@dataclass(frozen=True)
class Answer:
    """Product ids, best first, and how they came about; the latency is the caller's."""

    product_ids: tuple[str, ...]
    latency_ms: float
    degraded: tuple[str, ...] = ()
    space: str = ""
    revision: int = 0
    corrected_query: str = ""


@dataclass
class Side:
    """One way to ask, and its answers or errors by query id."""

    name: str
    config: Config
    target: Target
    answers: dict[str, Answer] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def degraded(self) -> Counter[str]:
        """Answers by what was not as it should be."""
        return Counter(kind for answer in self.answers.values() for kind in answer.degraded)

    @property
    def without_results(self) -> list[str]:
        """Queries that found nothing."""
        return [query for query, answer in self.answers.items() if not answer.product_ids]


def side_of(name: str, config: Config, target: Target) -> Side:
    """Return a side that has not been asked yet; the config may name a gateway of its own."""
    return Side(name, config, replace(target, address=config.address or target.address))


async def ask(
    sides: Sequence[Side], texts: Mapping[str, str], *, concurrency: int, bar: Stage
) -> None:
    """Ask every side every query, `concurrency` at a time, and keep answers and errors.

    Raises Failure if a gateway cannot be reached at the beginning.
    """
    total, done = len(sides) * len(texts), 0
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(gateway_at(s.target)) for s in sides]
        for gateway in gateways:
            # It opens the channel too, which is not to count as the time of an answer.
            await gateway.call(gateway.search.GetStatus, search_pb2.GetStatusRequest())
        remaining = _in_turn(list(zip(sides, gateways, strict=True)), texts)

        async def work() -> None:
            nonlocal done
            for side, gateway, query in remaining:
                try:
                    side.answers[query] = await _answer(gateway, side.config, texts[query])
                except Failure as failure:
                    side.errors[query] = failure.message
                done += 1
                bar.update(done, total)

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(concurrency, total)):
                workers.create_task(work())


def _in_turn(
    sides: Sequence[tuple[Side, Gateway]], texts: Mapping[str, str]
) -> Iterator[tuple[Side, Gateway, str]]:
    """Give each query for all sides, and another side first each time.

    What one answer warms up helps the next; so no side always has the advantage.
    """
    for place, query in enumerate(texts):
        for side, gateway in sides if place % 2 == 0 else reversed(sides):
            yield side, gateway, query


async def _answer(gateway: Gateway, config: Config, text: str) -> Answer:
    request = _request(config, text, gateway.target)
    started = time.perf_counter()
    response: search_pb2.SearchResponse = await gateway.call(gateway.search.Search, request)
    latency_ms = (time.perf_counter() - started) * 1000
    return Answer(
        product_ids=tuple(dict.fromkeys(result.product.id for result in response.results)),
        latency_ms=latency_ms,
        degraded=tuple(_name(kind) for kind in response.info.degraded),
        space=response.info.space,
        revision=response.info.revision,
        corrected_query=response.corrected_query,
    )


def _request(config: Config, text: str, target: Target) -> search_pb2.SearchRequest:
    return search_pb2.SearchRequest(
        query=text,
        page_size=DEPTH,
        skip_cache=True,
        timeout=target.timeout,
        mode=Mode(config.mode).in_requests if config.mode else search_pb2.MODE_UNSPECIFIED,
        semantic_weight=config.semantic_weight,
        literal=config.literal or False,
        filter=config.filter or "",
        category=config.category or "",
        order_by=config.order_by or "",
        diversity=config.diversity or 0,
        without_rules=config.without_rules or False,
        space=config.space or "",
    )


def _name(kind: int) -> str:
    """Return "LEXICAL_ONLY"; a newer gateway may name what we do not know."""
    value = search_pb2.Degradation.DESCRIPTOR.values_by_number.get(kind)
    return value.name.removeprefix("DEGRADATION_") if value else f"DEGRADATION_{kind}"
