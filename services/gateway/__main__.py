"""The gateway, wired."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor

from services.common.channel import open_channel
from services.common.server import Service, run
from services.common.settings import load
from services.gateway.admission import Admission
from services.gateway.assembly import Assembly
from services.gateway.breakers import Breakers
from services.gateway.cache import AnswerCache, Lifetimes
from services.gateway.codec import ProtobufCodec
from services.gateway.following import CatalogFollower, ReadySpaces
from services.gateway.freshness import Freshness
from services.gateway.hydration import Hydration, Warming
from services.gateway.index_check import IndexCheck
from services.gateway.invalidation import Invalidation
from services.gateway.popularity import Popularity
from services.gateway.proxy import add_proxy
from services.gateway.retrieval import Retrieval
from services.gateway.search import Searching
from services.gateway.servicer import SearchServicer, StatusReader
from services.gateway.settings import GatewaySettings
from services.gateway.stores.memory import MemoryStore
from services.gateway.stores.redis import RedisStore
from services.gateway.upstreams.catalog import GrpcCatalog
from services.gateway.upstreams.embedder import GrpcEmbedder
from services.gateway.upstreams.index import GrpcIndex
from services.gateway.validity import ChangeLog
from services.gateway.ways import Ways
from vitrina.catalog.v1 import catalog_pb2, suggestion_pb2, tuning_pb2
from vitrina.search.v1 import search_pb2

# The catalog's services that are passed on, and those of their methods that write.
PASSED_ON: dict[ServiceDescriptor, tuple[str, ...]] = {
    catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]: (
        "UpsertProduct",
        "BatchUpsertProducts",
        "DeleteProduct",
    ),
    suggestion_pb2.DESCRIPTOR.services_by_name["SuggestionService"]: (),
    tuning_pb2.DESCRIPTOR.services_by_name["TuningService"]: (
        "PutRule",
        "DeleteRule",
        "PutSynonyms",
        "DeleteSynonyms",
    ),
}
# Of a read without a deadline: how long the catalog waits for its min_revision then.
READ_TIMEOUTS_SECONDS = {"GetProduct": 5.0}


def compose(settings: GatewaySettings) -> Service:
    """Wire the gateway; opens nothing yet."""
    channels = {
        "embedder": open_channel(settings.embedder_address),
        "index": open_channel(settings.index_address),
        "catalog": open_channel(settings.catalog_address),
    }
    embedder = GrpcEmbedder(channels["embedder"])
    index = GrpcIndex(channels["index"])
    catalog = GrpcCatalog(channels["catalog"])

    redis = None
    if settings.redis_url:
        redis = RedisStore(
            settings.redis_url.get_secret_value(),
            prefix=settings.cache_prefix,
            timeout_seconds=settings.redis_timeout_ms / 1000,
        )
    changes = ChangeLog()
    cache = AnswerCache(
        MemoryStore(settings.cache_memory_mb * 1024 * 1024),
        redis,
        changes,
        ProtobufCodec(),
        Lifetimes(
            answer=settings.answer_ttl_seconds,
            unbounded_answer=settings.unbounded_ttl_seconds,
            vector=settings.vector_ttl_seconds,
        ),
    )
    hydration = Hydration(catalog, changes, settings.product_memory_mb * 1024 * 1024)
    spaces = ReadySpaces(embedder, index, takes_over=settings.space_takeover == "auto")
    breakers = Breakers(embedder, index, catalog)
    ways = Ways(
        embedder, index, catalog, spaces, changes, cache, breakers, settings.embed_budget_seconds
    )
    retrieval = Retrieval(ways, changes, feedback_products=settings.feedback_products)
    assembly = Assembly(retrieval, catalog, ways)
    admission = Admission(settings.max_searches_in_flight)
    searching = Searching(
        retrieval,
        assembly,
        catalog,
        hydration,
        spaces,
        changes,
        cache,
        admission,
        refresh_budget_seconds=settings.query_budget_seconds,
    )
    freshness = Freshness(index, spaces, changes)
    popularity = Popularity(catalog)
    servicer = SearchServicer(
        searching,
        StatusReader(embedder, index, catalog, cache, changes),
        popularity,
        freshness,
        Invalidation(catalog, changes),
        spaces,
        IndexCheck(embedder, index, spaces),
        budget_seconds=settings.query_budget_seconds,
        semantic_weight=settings.semantic_weight,
    )

    async def written(request: Any, response: Any) -> None:
        """Let a write end when this gateway knows it and, if so asked, when searches do."""
        await freshness.known_here(response.revision)
        if getattr(request, "wait_searchable", False):
            await freshness.stored(response.revision)

    search_service = search_pb2.DESCRIPTOR.services_by_name["SearchService"]
    adapters: list[AbstractAsyncContextManager[Any]] = [
        *channels.values(),
        CatalogFollower(catalog, changes, hydration),
        Warming(catalog, changes, hydration),
        spaces,
        breakers,
        popularity,
    ]
    if redis:
        adapters.append(redis)
    return Service(
        name="gateway",
        listen=settings.listen,
        service_names=[search_service.full_name, *(service.full_name for service in PASSED_ON)],
        registrations=[
            servicer.add_to,
            *(
                partial(
                    add_proxy,
                    service,
                    "catalog",
                    channels["catalog"],
                    dict.fromkeys(writes, written),
                    READ_TIMEOUTS_SECONDS,
                )
                for service, writes in PASSED_ON.items()
            ),
        ],
        adapters=adapters,
        grace_seconds=settings.grace_seconds,
        on_drain=[freshness.drain],
        shares_port=settings.shares_port,
        at_once={f"/{search_service.full_name}/Search": servicer.search_at_once},
    )


if __name__ == "__main__":
    settings = load(GatewaySettings)
    run(lambda: compose(settings), settings, "gateway")
