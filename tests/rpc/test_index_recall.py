"""Recall as the index tells it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.errors import FailedPrecondition, InvalidArgument, VitrinaError
from services.common.rpc_status import calling
from tests.index_upstreams import World, product, running
from tests.support import until
from vitrina.index.v1 import index_pb2 as pb


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(World(tmp_path, graph_min_rows=40)) as world:
        await world.catalog.put(*(product(f"p{n}", stock=n) for n in range(100)))
        await world.at_head()
        yield world


async def check(world: World, **fields: Any) -> pb.CheckRecallResponse:
    return await world.stub.CheckRecall(pb.CheckRecallRequest(space="small-1", **fields))


def vectors(world: World, count: int) -> bytes:
    return b"".join(world.vector(f"query {n}").astype("<f4").tobytes() for n in range(count))


async def test_queries_that_are_given_are_measured_one_by_one(world: World) -> None:
    response = await check(world, vectors=vectors(world, 7), limit=5)
    assert (response.recall.queries, response.recall.k) == (7, 5)
    # so few rows are scanned, or walked as a whole
    assert (response.recall.recall, response.recall.worst) == (1.0, 1.0)
    assert (response.plan.vectors, response.plan.passing) == (100, 100)
    assert response.search_ms > 0
    assert response.scan_ms > 0
    assert response.recall.measure_time.seconds > 0


async def test_without_queries_stored_vectors_are_taken(world: World) -> None:
    assert (await check(world)).recall.queries == 100
    response = await check(world, sample=3)
    assert (response.recall.queries, response.recall.k) == (3, 10)


async def test_a_check_counts_what_passes_its_filter(world: World) -> None:
    response = await check(world, filter="stock < 4")
    assert (response.recall.recall, response.plan.passing) == (1.0, 4)
    assert response.plan.strategy == pb.STRATEGY_EXACT


async def test_a_collection_tells_the_recall_of_its_graph(world: World) -> None:
    async def is_measured() -> bool:
        return (await world.collection()).HasField("recall")

    await until(is_measured)
    recall = (await world.collection()).recall
    assert (recall.recall, recall.k, recall.queries) == (1.0, 10, 100)
    await world.restart_index()
    await until(is_measured)


async def refusal(call: Any) -> VitrinaError:
    with pytest.raises(VitrinaError) as caught, calling("index"):
        await call
    return caught.value


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"vectors": b"123"}, "vectors", "3 bytes given, 32 needed for each of up to 1,000"),
        ({"vectors": bytes(32 * 1001)}, "vectors", "32032 bytes given"),
        ({"vectors": np.ones(8, "<f4").tobytes() * 2}, "vectors[0]", "has length 2.828"),
        ({"sample": 1001}, "sample", "1001 given, 0 to 1,000 allowed"),
        ({"sample": -1}, "sample", "-1 given"),
        ({"sample": 1, "vectors": bytes(32)}, "sample", "is for checks without vectors"),
        ({"limit": 101}, "limit", "101 given, 0 to 100 allowed"),
        ({"filter": "no such"}, "filter", ""),
    ],
)
async def test_bad_checks_are_refused(
    world: World, fields: dict[str, Any], field: str, problem: str
) -> None:
    error = await refusal(check(world, **fields))
    assert isinstance(error, InvalidArgument)
    assert field in str(error)
    assert problem in str(error)


async def test_a_check_of_another_space_is_refused(world: World) -> None:
    request = pb.CheckRecallRequest(space="nobody")
    error = await refusal(world.stub.CheckRecall(request))
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "SPACE_MISMATCH"
