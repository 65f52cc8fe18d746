"""Queries that lean towards products, products measured beside the hits, and their vectors."""

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


async def test_a_query_leans_towards_the_mean_of_products_by_half(world: World) -> None:
    query = world.vector("headphones")
    # old and new ones, and one that cannot be found itself
    toward = ["p7", "q3", "p0", "inactive"]
    response = await search(world, query, toward_product_ids=toward)
    leaning = query + 0.5 * sum(vectors_of(world, toward).values()) / 4
    await assert_found_by(world, response, leaning / np.linalg.norm(leaning))


async def test_products_that_are_not_held_do_not_pull_and_none_pulls_twice(world: World) -> None:
    query = world.vector("headphones")
    response = await search(
        world, query, toward_product_ids=["p7", "nobody", "", "q3", "p7", "p7", "P7"]
    )
    leaning = query + 0.25 * sum(vectors_of(world, ["p7", "q3"]).values())
    await assert_found_by(world, response, leaning / np.linalg.norm(leaning))


async def test_without_a_product_that_is_held_the_query_stays_as_it_is(world: World) -> None:
    query = world.vector("headphones")
    plain = await search(world, query)
    assert await search(world, query, toward_product_ids=["nobody", ""]) == plain
    await assert_found_by(world, plain, query)


async def test_leaning_towards_the_very_opposite_turns_nothing_round(world: World) -> None:
    query = -world.vector(world.text("q3"))
    response = await search(world, query, toward_product_ids=["q3"])
    await assert_found_by(world, response, query)


async def test_products_are_measured_in_their_order_however_far_and_whatever_the_filter(
    world: World,
) -> None:
    query = world.vector("headphones")
    measured = ["q9", "nobody", "p39", "p0", "inactive", "", "q9", "p1"]
    response = await search(
        world, query, limit=1, filter='category = "B"', measured_product_ids=measured
    )
    known = vectors_of(world, ["q9", "p39", "p0", "inactive", "p1"])
    expected = [float(known[id_] @ query) if id_ in known else -2.0 for id_ in measured]
    assert list(response.measured_cosines) == pytest.approx(expected, abs=ROUNDED)
    assert len(response.product_ids) == 1


async def test_products_are_measured_by_the_vector_that_the_hits_were_found_by(
    world: World,
) -> None:
    query = world.vector("headphones")
    toward = ["p3", "q1"]
    ids = list((await search(world, query)).product_ids)
    response = await search(world, query, toward_product_ids=toward, measured_product_ids=ids)
    measured = dict(zip(ids, response.measured_cosines, strict=True))
    assert measured == pytest.approx(cosines_of(response), abs=1e-6)
    await assert_found_by(world, response, _leaning(world, query, toward))


def _leaning(world: World, query: Vector, toward: Sequence[str]) -> Vector:
    leaning: Vector = query + np.mean(list(vectors_of(world, toward).values()), axis=0) / 2
    return leaning / np.linalg.norm(leaning)


async def test_nothing_to_measure_is_no_measurement(world: World) -> None:
    assert list((await search(world, world.vector("x"))).measured_cosines) == []


@pytest.mark.parametrize(
    ("field", "limit"), [("toward_product_ids", 50), ("measured_product_ids", 1000)]
)
async def test_too_many_products_are_refused_with_field_and_limit(
    world: World, field: str, limit: int
) -> None:
    query = world.vector("x")
    assert (await search(world, query, **{field: ["p1"] * limit})).product_ids
    error = await refusal(search(world, query, **{field: ["p1"] * (limit + 1)}))
    assert isinstance(error, InvalidArgument)
    assert error.field == field
    assert f"{limit + 1} given, at most {limit:,}" in error.message


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
