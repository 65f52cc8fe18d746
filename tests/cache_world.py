"""A cache of answers with clocks that a test sets, and a tier shared by several gateways."""

from dataclasses import dataclass, replace

from services.gateway.answers import Answer, Explanation, Plan, Product, Result, Strategy
from services.gateway.cache import AnswerCache, Lifetimes
from services.gateway.codec import ProtobufCodec
from services.gateway.entries import Entry
from services.gateway.queries import Filter, Query
from services.gateway.stores.memory import MemoryStore
from services.gateway.validity import ChangeLog
from vitrina.catalog.v1.catalog_pb2 import Product as ProductMessage


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class SharedDict:
    """A shared tier that is always up and forgets nothing: what another gateway would see."""

    def __init__(self, wall: Clock) -> None:
        self.is_up = True
        self.data: dict[str, bytes] = {}
        self.wall = wall

    async def get(self, key: str) -> Entry | None:
        entry = Entry.decode(self.data[key]) if key in self.data else None
        is_overdue = entry is not None and entry.expires_at <= self.wall.now
        return replace(entry, is_overdue=is_overdue) if entry else None

    def put(self, key: str, entry: Entry) -> None:
        self.data[key] = entry.encode()


def query(text: str = "lamp", category: str = "", page_size: int = 10) -> Query:
    return Query(
        text, page_size, min_revision=0, budget_seconds=5.0, filter=Filter.parse("", category)
    )


def product(product_id: str, category: str) -> Product:
    return ProductMessage(id=product_id, name="Lamp", category=category, price="5.00")


def answer(*categories: str, revision: int = 1, computed_at: float = 1_000_000.0) -> Answer:
    results = [
        Result(product(f"p{n}", category), Explanation(0.75, semantic_rank=n + 1, cosine=0.5))
        for n, category in enumerate(categories)
    ]
    plan = Plan(Strategy.EXACT, 9, 8, len(results), len(results), len(results))
    return Answer(results, revision, "space-a", frozenset(), plan, computed_at)


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.wall = Clock()
        self.changes = ChangeLog()
        self.changes.begin("catalog-1", 1)
        self.changes.is_following = True
        self.shared = SharedDict(self.wall)
        self.cache = self.gateway()

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.wall.now += seconds

    def gateway(self) -> AnswerCache:
        return AnswerCache(
            MemoryStore(1 << 20, clock=self.clock, wall_clock=self.wall),
            self.shared,
            self.changes,
            ProtobufCodec(),
            Lifetimes(answer=300, unbounded_answer=30, vector=1000),
            self.wall,
        )

    def keep(
        self,
        asked: Query,
        computed: Answer,
        cache: AnswerCache | None = None,
        key: str | None = None,
    ) -> None:
        cache = cache or self.cache
        encoded = cache.encoded(asked, computed)
        cache.keep_answer(key or self.key(asked), asked, computed, encoded)

    def key(self, asked: Query, space: str = "space-a") -> str:
        key = self.cache.answer_key(asked, space)
        assert key is not None
        return key
