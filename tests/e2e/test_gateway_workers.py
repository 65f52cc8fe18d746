"""Two gateways on one port: either answers, and what one dies of is no end of the other."""

import asyncio
import os
import signal

import grpc.aio
import psutil

from tests.stack import SAMPLE, Stack, running_stack
from tests.support import until
from vitrina.search.v1 import search_pb2 as pb
from vitrina.search.v1 import search_pb2_grpc


async def memory_entries(stack: Stack) -> int:
    """Ask for the cache on a connection of its own; it belongs to one of the gateways."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(stack.grpc, options=options) as channel:
        stub: search_pb2_grpc.SearchServiceAsyncStub = search_pb2_grpc.SearchServiceStub(channel)
        status = await stub.GetStatus(pb.GetStatusRequest(), timeout=10, wait_for_ready=True)
        return status.cache.memory_entries


async def test_connections_are_spread_over_gateways_and_outlive_one_of_them() -> None:
    async with running_stack(environment={"VITRINA_GATEWAY_WORKERS": "2"}) as stack:
        code, out, err = await stack.cli("import", str(SAMPLE), "--wait", "--json")
        assert code == 0, out + err
        # Known to the gateway of this connection alone.
        await stack.search.Search(pb.SearchRequest(query="headphones"))
        found: set[bool] = set()

        async def both_answered() -> bool:
            found.add(await memory_entries(stack) > 0)
            return len(found) == 2

        await until(both_answered, what="both gateways answered")

        gateways = [
            child.pid
            for child in psutil.Process(stack.process.pid).children()
            if "services.gateway" in child.cmdline()
        ]
        assert len(gateways) == 2
        os.kill(gateways[0], signal.SIGKILL)
        answers = await asyncio.gather(
            *(
                stack.search.Search(pb.SearchRequest(query="lamp"), timeout=20, wait_for_ready=True)
                for _ in range(5)
            )
        )
        assert all(answer.results for answer in answers)
