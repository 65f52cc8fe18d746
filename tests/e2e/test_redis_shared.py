"""Two gateways over one Redis, which is stopped and started again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.common.channel import channel_to
from tests.stack import SAMPLE, Stack, running_stack
from tests.support import RedisServer, free_port, until
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc

# The machine may be busy; a Redis that is taken for slow would make these tests flicker.
PATIENCE = {"VITRINA_REDIS_TIMEOUT_MS": "100"}


@asynccontextmanager
async def second_gateway(
    stack: Stack, environment: dict[str, str]
) -> AsyncIterator["search_pb2_grpc.SearchServiceAsyncStub"]:
    """Another gateway process in front of the same services."""
    port = free_port()
    addresses = {
        f"VITRINA_{name.upper()}_ADDRESS": stack.address_of(name)
        for name in ("catalog", "embedder", "index")
    }
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.gateway"),
        env=os.environ | environment | addresses | {"VITRINA_GATEWAY_LISTEN": f"127.0.0.1:{port}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        async with channel_to(f"127.0.0.1:{port}") as channel:
            stub: search_pb2_grpc.SearchServiceAsyncStub
            stub = search_pb2_grpc.SearchServiceStub(channel)

            async def is_up() -> bool:
                status = await stub.GetStatus(
                    pb.GetStatusRequest(), timeout=10, wait_for_ready=True
                )
                return status.cache.redis == pb.REDIS_STATE_UP and status.cache.is_following

            await until(is_up)
            yield stub
    finally:
        gateway.terminate()
        await gateway.wait()


async def test_gateways_share_answers_through_redis_and_live_without_it(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as redis:
        environment = PATIENCE | {"REDIS_URL": redis.url}
        async with running_stack(environment=environment) as stack:
            code, out, err = await stack.cli("import", str(SAMPLE), "--wait", "--json")
            assert code == 0, out + err
            await until(stack.all_serve)
            request = pb.SearchRequest(query="queso curado de oveja")
            first = await stack.search.Search(request)
            assert first.info.provenance == pb.PROVENANCE_COMPUTED
            async with second_gateway(stack, environment) as other:

                async def hits_redis() -> bool:
                    answer = await other.Search(request)
                    assert answer.results == first.results
                    return answer.info.provenance == pb.PROVENANCE_REDIS

                # The first gateway stores in the background.
                await until(hits_redis, what="a hit in Redis of what another gateway stored")
                assert (await other.Search(request)).info.provenance == pb.PROVENANCE_MEMORY

            redis.stop()
            labelled = 0
            for number in range(50):
                answer = await stack.search.Search(pb.SearchRequest(query=f"vino tinto {number}"))
                assert len(answer.results) == 10
                labelled += pb.DEGRADATION_CACHE_DOWN in answer.info.degraded
            assert labelled > 40
            assert (await stack.search.Search(request)).info.provenance == pb.PROVENANCE_MEMORY

            redis.start()

            async def redis_is_up() -> bool:
                status = await stack.search.GetStatus(pb.GetStatusRequest())
                return status.cache.redis == pb.REDIS_STATE_UP

            await until(redis_is_up)
            await stack.search.Search(pb.SearchRequest(query="sartén antiadherente"))
            async with second_gateway(stack, environment) as other:

                async def hits_again() -> bool:
                    answer = await other.Search(pb.SearchRequest(query="sartén antiadherente"))
                    if answer.info.provenance == pb.PROVENANCE_MEMORY:
                        raise AssertionError("kept before it could come from Redis")
                    return answer.info.provenance == pb.PROVENANCE_REDIS

                assert await hits_again()
