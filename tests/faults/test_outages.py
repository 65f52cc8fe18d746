"""What searches get while parts are gone or hang: one test for each row of docs/outages.md."""

import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration

from tests.fake_gemini import Behaviour, Broken, FakeGemini, Hanging, Healthy, Quota, fake_gemini
from tests.lone_services import LoneServices, lone_services
from tests.support import until
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUDGET_SECONDS = 1.5
# For a busy machine: what is proven is that nothing takes longer than its budget, not a speed.
MARGIN_SECONDS = 1.0
NAMES = [
    f"{what} de {material} número {number}"
    for what in ("mesa", "silla", "lámpara", "estantería")
    for material in ("roble", "haya", "acero")
    for number in range(4)
]
FRESH = itertools.count()


@dataclass(frozen=True)
class Outcome:
    """What one search got: a status, or an answer's labels and the stages left out."""

    status: str = ""
    labels: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()


@dataclass
class World:
    services: LoneServices
    search: "search_pb2_grpc.SearchServiceAsyncStub"
    gemini: FakeGemini
    # Of the last search.
    reasons: Mapping[str, str] = field(default_factory=dict)
    provenance: str = ""
    seconds: float = 0.0

    async def ask(self, query: str) -> Outcome:
        """Search; whatever happens, it happens within the budget."""
        timeout = Duration()
        timeout.FromMilliseconds(int(BUDGET_SECONDS * 1000))
        started = time.perf_counter()
        try:
            answer = await self.search.Search(
                pb.SearchRequest(query=query, timeout=timeout), timeout=20
            )
        except grpc.aio.AioRpcError as error:
            outcome = Outcome(error.code().name)
        else:
            assert len(answer.results) == 10
            info = answer.info
            self.reasons = {each.stage: each.reason for each in info.left_out}
            self.provenance = pb.Provenance.Name(info.provenance)
            labels = frozenset(
                pb.Degradation.Name(label).removeprefix("DEGRADATION_") for label in info.degraded
            )
            outcome = Outcome("", labels, frozenset(self.reasons))
        self.seconds = time.perf_counter() - started
        assert self.seconds < BUDGET_SECONDS + MARGIN_SECONDS
        return outcome

    async def ask_anew(self) -> Outcome:
        """Search for what nobody has searched for."""
        return await self.ask(f"mesa de roble {next(FRESH)}")

    async def is_sound(self) -> bool:
        return await self.ask_anew() == Outcome()

    async def cached_query(self) -> str:
        """Return a query whose answer is kept."""
        query = f"silla de haya {next(FRESH)}"

        async def is_kept() -> bool:
            return await self.ask(query) == Outcome() and self.provenance == "PROVENANCE_MEMORY"

        await until(is_kept, what="an answer in memory")
        return query

    @asynccontextmanager
    async def outage(self, how: str, *parts: str) -> AsyncIterator[None]:
        """Kill or hang parts inside the block; mended at its end, and sound again."""
        try:
            for part in parts:
                (self.services.kill if how == "killed" else self.services.hang)(part)
            yield
        finally:
            for part in parts:
                self.services.mend(part)
        await until(self.is_sound, what=f"sound answers after {parts} {how}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with fake_gemini() as gemini:
        environment = {
            "GOOGLE_API_KEY": gemini.api_key,
            "VITRINA_GEMINI_ENDPOINT": gemini.endpoint,
            "VITRINA_GEMINI_CIRCUIT_PAUSE_SECONDS": "0.5",
            "VITRINA_GEMINI_ATTEMPT_TIMEOUT_SECONDS": "0.5",
            # The machine may be busy; a Redis that is taken for slow would be an outage too.
            "VITRINA_REDIS_TIMEOUT_MS": "100",
        }
        folder = tmp_path_factory.mktemp("outages")
        async with lone_services(folder, environment, NAMES, spaces=2) as (services, search):
            here = World(services, search, gemini)
            await until(here.is_sound, what="sound answers")
            yield here


def words_only(*stages: str) -> Outcome:
    return Outcome("", frozenset({"LEXICAL_ONLY"}), frozenset(stages))


CACHE_DOWN = Outcome("", frozenset({"CACHE_DOWN"}), frozenset({"cache"}))
UNVERIFIED = Outcome("", frozenset({"UNVERIFIED_CACHE"}))
BOTH = frozenset({"LEXICAL_ONLY", "CACHE_DOWN"})
NO_EMBEDDER_NO_CACHE = Outcome("", BOTH, frozenset({"embed", "cache"}))
NO_INDEX_NO_CACHE = Outcome("", BOTH, frozenset({"index", "cache"}))
UNVERIFIED_NO_CACHE = Outcome(
    "", frozenset({"UNVERIFIED_CACHE", "CACHE_DOWN"}), frozenset({"cache"})
)

# Parts, how, what a fresh query gets, and what one with a kept answer gets.
OUTAGES: list[tuple[tuple[str, ...], str, Outcome, Outcome]] = [
    (("redis",), "killed", CACHE_DOWN, CACHE_DOWN),
    (("redis",), "hung", CACHE_DOWN, CACHE_DOWN),
    (("embedder",), "killed", words_only("embed"), Outcome()),
    (("embedder",), "hung", words_only("embed"), Outcome()),
    (("index",), "killed", words_only("index"), Outcome()),
    (("index",), "hung", words_only("index"), Outcome()),
    (("catalog",), "killed", Outcome("UNAVAILABLE"), UNVERIFIED),
    (("catalog",), "hung", Outcome("DEADLINE_EXCEEDED"), UNVERIFIED),
    (("embedder", "redis"), "killed", NO_EMBEDDER_NO_CACHE, CACHE_DOWN),
    (("embedder", "redis"), "hung", NO_EMBEDDER_NO_CACHE, CACHE_DOWN),
    (("index", "redis"), "killed", NO_INDEX_NO_CACHE, CACHE_DOWN),
    (("index", "redis"), "hung", NO_INDEX_NO_CACHE, CACHE_DOWN),
    (("embedder", "index"), "killed", words_only("embed"), Outcome()),
    (("embedder", "index"), "hung", words_only("embed"), Outcome()),
    (("catalog", "redis"), "killed", Outcome("UNAVAILABLE"), UNVERIFIED_NO_CACHE),
    (("catalog", "embedder"), "killed", Outcome("UNAVAILABLE"), UNVERIFIED),
    (("catalog", "index"), "killed", Outcome("UNAVAILABLE"), UNVERIFIED),
    (("catalog", "redis"), "hung", Outcome("DEADLINE_EXCEEDED"), UNVERIFIED_NO_CACHE),
    (("catalog", "embedder"), "hung", Outcome("UNAVAILABLE"), UNVERIFIED),
    (("catalog", "index"), "hung", Outcome("UNAVAILABLE"), UNVERIFIED),
]


@pytest.mark.parametrize(
    ("parts", "how", "fresh", "cached"),
    OUTAGES,
    ids=[f"{'+'.join(parts)}-{how}" for parts, how, _, _ in OUTAGES],
)
async def test_an_outage_is_told_within_the_budget_and_kept_answers_are_served(
    world: World, parts: tuple[str, ...], how: str, fresh: Outcome, cached: Outcome
) -> None:
    query = await world.cached_query()
    async with world.outage(how, *parts):

        async def gets(expected: Outcome, text: str | None = None) -> bool:
            return await (world.ask(text) if text else world.ask_anew()) == expected

        await until(lambda: gets(fresh), what=f"{fresh}")
        await until(lambda: gets(cached, query), seconds=5, what=f"{cached}")
        assert world.provenance == "PROVENANCE_MEMORY"


@pytest.mark.parametrize(
    "trouble",
    [Broken(500), Broken(401), Quota(), Hanging()],
    ids=["broken", "key-refused", "quota", "hanging"],
)
async def test_without_gemini_the_local_space_answers_and_says_so(
    world: World, trouble: Behaviour
) -> None:
    query = await world.cached_query()
    world.gemini.script(trouble)
    try:
        fallback = Outcome("", frozenset({"FALLBACK_SPACE"}))
        assert await world.ask_anew() == fallback
        assert await world.ask(query) == Outcome()
    finally:
        world.gemini.script(Healthy())
    await until(world.is_sound, what=f"sound answers after {trouble}")


@pytest.mark.parametrize(("part", "stage"), [("embedder", "embed"), ("index", "index")])
async def test_a_part_that_hangs_costs_the_first_queries_only(
    world: World, part: str, stage: str
) -> None:
    async with world.outage("hung", part):

        async def is_spared() -> bool:
            await world.ask_anew()
            return world.reasons.get(stage) == "CIRCUIT_OPEN"

        await until(is_spared, what="the circuit open")
