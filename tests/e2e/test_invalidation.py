"""Two gateways over one Redis: what is asked to be computed anew is so in both."""

from pathlib import Path

from tests.e2e.test_redis_shared import PATIENCE, second_gateway
from tests.stack import SAMPLE, running_stack
from tests.support import RedisServer, until
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

CACHED = (pb.PROVENANCE_MEMORY, pb.PROVENANCE_REDIS)


async def cached(
    gateway: "search_pb2_grpc.SearchServiceAsyncStub", request: pb.SearchRequest
) -> pb.SearchResponse:
    """Return an answer from the cache; the index may be a moment behind an invalidation."""
    answers: list[pb.SearchResponse] = []

    async def is_cached() -> bool:
        answers.append(await gateway.Search(request))
        return answers[-1].info.provenance in CACHED

    await until(is_cached, what=f"{request} cached")
    return answers[-1]


async def test_an_invalidation_ends_answers_of_its_category_in_every_gateway(
    tmp_path: Path,
) -> None:
    with RedisServer(tmp_path) as redis:
        environment = PATIENCE | {"REDIS_URL": redis.url}
        async with running_stack(environment=environment) as stack:
            code, out, err = await stack.cli("import", str(SAMPLE), "--wait", "--json")
            assert code == 0, out + err
            products = await stack.all_products()
            paths = sorted({each.category.split(" > ")[0] for each in products.values()})
            ended = pb.SearchRequest(query="negro", category=paths[0])
            beside = pb.SearchRequest(query="negro", category=paths[1])
            async with second_gateway(stack, environment) as other:
                gateways = (stack.search, other)
                for gateway in gateways:
                    for request in (ended, beside):
                        await cached(gateway, request)
                response = await stack.search.InvalidateCache(
                    pb.InvalidateCacheRequest(category=paths[0])
                )
                # At once where it was asked for, and by the feed elsewhere.
                answer = await stack.search.Search(ended)
                assert answer.info.provenance not in CACHED

                async def other_knows() -> bool:
                    status = await other.GetStatus(pb.GetStatusRequest())
                    return status.cache.invalidations == 1

                await until(other_knows)
                for gateway in gateways:
                    answer = await cached(gateway, ended)
                    assert answer.info.revision >= response.revision
                    answer = await gateway.Search(beside)
                    assert answer.info.provenance in CACHED
                    assert answer.info.revision < response.revision

                code, out, err = await stack.cli("cache", "clear")
                assert code == 0, out + err
                assert out.startswith("all answers before revision")
                for request in (ended, beside):
                    answer = await stack.search.Search(request)
                    assert answer.info.provenance not in CACHED
                code, out, err = await stack.cli("cache")
                assert code == 0, out + err
                assert "invalidations" in out
            await stack.searchable(response.revision + 1)
