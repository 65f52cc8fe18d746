"""Queries that lean towards their nearest products, and the vectors of products."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.common.errors import FailedPrecondition, InvalidArgument, VitrinaError
from services.common.rpc_status import calling
from tests.index_upstreams import Vector, World, product, running
from tests.support import until
from vitrina.index.v1 import index_pb2 as pb

# Rows that are in the graph lie there as float16.
ROUNDED = 2e-3


@pytest.fixture(params=[4096, 20], ids=["without a graph", "graph and newer rows"])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with running(World(tmp_path, graph_min_rows=request.param)) as world:
        await world.catalog.put(*(product(f"p{n}", category="A") for n in range(40)))
        await world.at_head()
        if request.param < 40:

            async def has_graph() -> bool:
                return (await world.collection()).graph_vectors == 40

            await until(has_graph)
        await world.catalog.put(
            *(product(f"q{n}", category="B") for n in range(10)),
            product("inactive", active=False),
            product("p0", "Changed", category="A"),
        )
        await world.at_head()
        yield world


async def refusal(call: Any) -> VitrinaError:
    with pytest.raises(VitrinaError) as caught, calling("index"):
        await call
    return caught.value


def vectors_of(world: World, ids: Sequence[str]) -> dict[str, Vector]:
    return {id_: world.vector(world.text(id_)) for id_ in ids}


async def search(world: World, query: Vector, **fields: Any) -> pb.SearchResponse:
    request = {"space": "small-1", "limit": 1000, "vector": query.astype("<f4").tobytes(), **fields}
    return await world.stub.Search(pb.SearchRequest(**request))


def cosines_of(response: pb.SearchResponse) -> dict[str, float]:
    return dict(zip(response.product_ids, response.cosines, strict=True))


async def assert_found_by(world: World, response: pb.SearchResponse, query: Vector) -> None:
    """Fail unless the hits are all active products, by their cosines to this vector."""
    active = [id_ for id_ in world.catalog.products if id_ != "inactive"]
    expected = {id_: float(v @ query) for id_, v in vectors_of(world, active).items()}
    assert cosines_of(response) == pytest.approx(expected, abs=ROUNDED)
    assert list(response.cosines) == sorted(response.cosines, reverse=True)


def leaning(world: World, query: Vector, toward: Sequence[str]) -> Vector:
    moved: Vector = query + np.mean(list(vectors_of(world, toward).values()), axis=0) / 2
    return moved / np.linalg.norm(moved)


@pytest.mark.parametrize("count", [1, 3, 10])
async def test_with_feedback_a_query_leans_towards_its_nearest_products(
    world: World, count: int
) -> None:
    query = world.vector("headphones")
    nearest = (await search(world, query, limit=count)).product_ids
    response = await search(world, query, feedback_products=count)
    await assert_found_by(world, response, leaning(world, query, nearest))


async def test_only_what_passes_the_filter_leads_a_query(world: World) -> None:
    query, within = world.vector("headphones"), {"filter": 'category = "B"'}
    nearest = (await search(world, query, limit=4, **within)).product_ids
    assert {id_[0] for id_ in nearest} == {"q"}
    response = await search(world, query, feedback_products=4, **within)
    moved = leaning(world, query, nearest)
    expected = {id_: float(v @ moved) for id_, v in vectors_of(world, response.product_ids).items()}
    assert len(expected) == 10
    assert cosines_of(response) == pytest.approx(expected, abs=ROUNDED)


async def test_where_nothing_passes_nothing_leads(world: World) -> None:
    response = await search(
        world, world.vector("x"), feedback_products=10, filter='category = "nothing"'
    )
    assert not response.product_ids


async def test_a_number_of_feedback_products_beyond_the_limit_is_refused(world: World) -> None:
    query = world.vector("x")
    assert (await search(world, query, feedback_products=50)).product_ids
    for count in (-1, 51):
        error = await refusal(search(world, query, feedback_products=count))
        assert isinstance(error, InvalidArgument)
        assert error.field == "feedback_products"


async def vectors(world: World, *ids: str, space: str = "small-1") -> pb.GetVectorsResponse:
    return await world.stub.GetVectors(pb.GetVectorsRequest(space=space, product_ids=ids))


async def test_vectors_come_in_the_order_asked_for_and_zeros_for_what_is_not_held(
    world: World,
) -> None:
    ids = ["q2", "nobody", "p39", "p0", "q2", "inactive", "p1", ""]
    response = await vectors(world, *ids)
    rows = np.frombuffer(response.vectors, dtype="<f4").reshape(len(ids), 8)
    known = vectors_of(world, [id_ for id_ in ids if id_ not in ("nobody", "")])
    for id_, row in zip(ids, rows, strict=True):
        assert row == pytest.approx(known.get(id_, np.zeros(8)), abs=1e-3), id_
    assert response.revision == world.catalog.head


async def test_a_number_of_vectors_that_is_not_allowed_is_refused(world: World) -> None:
    assert len((await vectors(world, *["p1"] * 1000)).vectors) == 1000 * 8 * 4
    for ids in ([], ["p1"] * 1001):
        error = await refusal(vectors(world, *ids))
        assert isinstance(error, InvalidArgument)
        assert error.field == "product_ids"
        assert f"{len(ids)} given, 1 to 1,000 allowed" in error.message


async def test_vectors_of_a_space_that_is_not_there_or_not_ready_are_refused(world: World) -> None:
    error = await refusal(vectors(world, "p1", space="small-2"))
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "SPACE_MISMATCH"
    world.embedder.may_answer.clear()
    world.embedder.spaces["late"] = 4
    await until(lambda: "late" in {space for space, _ in world.embedder.calls})
    assert (await refusal(vectors(world, "p1", space="late"))).reason == "COLLECTION_NOT_READY"
    world.embedder.may_answer.set()
