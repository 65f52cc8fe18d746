"""What must hold when nobody writes and nothing is hurt any more."""

import asyncio
from collections.abc import Sequence

from faults.clients import Gateway, channel
from faults.cluster import Cluster
from faults.history import History
from faults.oracle import Passes
from faults.polling import becomes_true
from faults.products import CATEGORIES, sku_of
from faults.searchers import within
from vitrina.catalog.v1 import catalog_pb2
from vitrina.index.v1 import index_pb2, index_pb2_grpc
from vitrina.search.v1 import search_pb2 as pb

_SETTLE_SECONDS = 60.0
_AT_ONCE = 8
_TIMEOUT_SECONDS = 10.0


async def settled(cluster: Cluster, history: History, product_count: int) -> bool:
    """Return when the index has applied all that the feed has; tell whether it did."""

    async def is_settled() -> bool:
        collections = await _collections(cluster)
        return bool(collections) and all(
            c.applied_revision == c.head_revision == history.head and c.vectors == product_count
            for c in collections
        )

    if await becomes_true(is_settled, _SETTLE_SECONDS):
        return True
    history.violate(
        "the index equals the catalog",
        f"not settled after {_SETTLE_SECONDS:g} s",
        head=history.head,
        collections=[str(collection) for collection in await _collections(cluster)],
    )
    return False


async def _collections(cluster: Cluster) -> Sequence[index_pb2.Collection]:
    async with channel(cluster.processes["index"].address) as link:
        stub: index_pb2_grpc.IndexServiceAsyncStub = index_pb2_grpc.IndexServiceStub(link)
        response = await stub.ListCollections(index_pb2.ListCollectionsRequest(), timeout=2)
        return response.collections


async def check_catalog(gateway: Gateway, history: History) -> dict[str, catalog_pb2.Product]:
    """Hold the catalog against the feed; return all products by id."""
    products: dict[str, catalog_pb2.Product] = {}
    token = ""
    while True:
        page = await gateway.catalog.ListProducts(
            catalog_pb2.ListProductsRequest(page_size=500, page_token=token),
            timeout=_TIMEOUT_SECONDS,
        )
        products |= {product.id: product for product in page.products}
        token = page.next_page_token
        if not token:
            break
    if page.revision != history.head:
        history.violate("gapless feed", f"the catalog is at {page.revision}, not {history.head}")
    for product in products.values():
        history.show(product, "the catalog at the end")
    for product_id in history.product_ids:
        last = history.changes[history.revisions_of(product_id)[-1] - 1]
        there = products.get(product_id)
        is_removed = last.kind == catalog_pb2.CHANGE_KIND_DELETE
        if (there is None) != is_removed or (there and there.revision != last.revision):
            history.violate(
                "no acknowledged write lost",
                f"{product_id} is {there and there.revision} in the catalog at the end",
                product=history.told(product_id),
            )
    return products


async def check_searches(
    gateway: Gateway, history: History, products: dict[str, catalog_pb2.Product]
) -> int:
    """Find each product by meaning, and each category whole, from the cache and anew.

    Returns the number of searches.
    """
    asking = asyncio.Semaphore(_AT_ONCE)

    async def ask(request: pb.SearchRequest, passes: Passes) -> None:
        request.mode, request.min_revision = pb.MODE_SEMANTIC, history.head
        expected = {p.id for p in products.values() if p.active and passes(p)}
        async with asking:
            response = await gateway.search.Search(request, timeout=_TIMEOUT_SECONDS)
        found = [result.product.id for result in response.results]
        # A connection from before its death may still lie in a pool, and make Redis seem down.
        labels = set(response.info.degraded) - {pb.DEGRADATION_CACHE_DOWN}
        if set(found) != expected or len(found) != len(expected) or labels:
            history.violate(
                "the index equals the catalog",
                f"{' '.join(str(request).split())} by {gateway.name} finds {found}",
                expected=sorted(expected),
                info=str(response.info),
            )

    def by_sku(product_id: str) -> pb.SearchRequest:
        sku = sku_of(product_id)
        return pb.SearchRequest(query=sku, filter=f'attributes.sku = "{sku}"', skip_cache=True)

    questions: list[tuple[pb.SearchRequest, Passes]] = [
        (by_sku(product_id), lambda p, product_id=product_id: p.id == product_id)  # type: ignore[misc]
        for product_id in history.product_ids
    ]
    for category in CATEGORIES:
        request = pb.SearchRequest(query="mesa", category=category, page_size=100)
        anew = pb.SearchRequest(query="mesa", category=category, page_size=100, skip_cache=True)
        questions += [(asked, within(category)) for asked in (anew, request, request)]
    await asyncio.gather(*(ask(*each) for each in questions))
    return len(questions)
