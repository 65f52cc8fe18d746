"""A gateway's searching with upstreams that can fail, hang and change."""

from dataclasses import replace

from services.gateway.admission import Admission
from services.gateway.answers import Near
from services.gateway.assembly import Assembly
from services.gateway.breakers import Breakers
from services.gateway.cache import AnswerCache, Lifetimes
from services.gateway.codec import ProtobufCodec
from services.gateway.following import ReadySpaces
from services.gateway.hydration import Hydration
from services.gateway.queries import Query
from services.gateway.retrieval import Retrieval
from services.gateway.search import Searching
from services.gateway.stores.memory import MemoryStore
from services.gateway.validity import ChangeLog
from services.gateway.ways import Ways
from tests.gateway_ports import FakeCatalog, FakeEmbedder, FakeIndex
from tests.shown import Shown, shown

LAMPS = ["lamp-1", "lamp-2", "lamp-3"]


class World:
    def __init__(self, feedback_products: int = 0, max_searches_in_flight: int = 64) -> None:
        self.embedder = FakeEmbedder()
        self.index = FakeIndex(ranking=list(LAMPS))
        self.catalog = FakeCatalog()
        for product_id in LAMPS:
            self.catalog.add(product_id, f"a lamp {product_id}", "Home > Lamps")
        self.changes = ChangeLog(stale_after_seconds=0.0)
        self.changes.begin("catalog-1", 1)
        self.changes.is_following = True
        self.spaces = ReadySpaces(self.embedder, self.index)
        self.spaces.ids = ("best", "local")
        self.cache = AnswerCache(
            MemoryStore(1 << 20), None, self.changes, ProtobufCodec(), Lifetimes(300, 30, 300)
        )
        self.breakers = Breakers(self.embedder, self.index, self.catalog)
        ways = Ways(
            self.embedder,
            self.index,
            self.catalog,
            self.spaces,
            self.changes,
            self.cache,
            self.breakers,
            0.5,
        )
        retrieval = Retrieval(ways, self.changes, feedback_products=feedback_products)
        self.searching = Searching(
            retrieval,
            Assembly(retrieval, self.catalog, ways),
            self.catalog,
            Hydration(self.catalog, self.changes, 1 << 20),
            self.spaces,
            self.changes,
            self.cache,
            Admission(max_searches_in_flight),
        )

    def forget_everything(self) -> None:
        """Lose what the gateway keeps, as a restart does."""
        self.cache.memory = MemoryStore(1 << 20)

    async def search(self, **changes: object) -> Shown:
        query = Query("lamp", 10, 0, 1.0)
        asked = replace(query, **changes)  # type: ignore[arg-type]
        return shown(await self.searching.search(asked))


def ids(served: Shown | Near) -> list[str]:
    return [result.product.id for result in served.answer.results]
