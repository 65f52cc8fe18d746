"""What callers get from the index, over a real connection."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.struct_pb2 import Value

from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    VitrinaError,
)
from services.common.rpc_status import calling
from tests.index_upstreams import World, product, running
from tests.support import until
from vitrina.index.v1 import index_pb2 as pb

CATEGORIES = ["Audio", "Audio > Headphones", "Audiobooks", "Audio > Headphones > In-ear", ""]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(World(tmp_path)) as world:
        await world.catalog.put(
            *(product(f"p{n}", category=CATEGORIES[n % len(CATEGORIES)]) for n in range(50))
        )
        await world.at_head()
        yield world


async def refusal(call: Any) -> VitrinaError:
    with pytest.raises(VitrinaError) as caught, calling("index"):
        await call
    return caught.value


def cosines_of(response: pb.SearchResponse | pb.SimilarResponse) -> dict[str, float]:
    return dict(zip(response.product_ids, response.cosines, strict=True))


async def test_order_and_scores_are_those_of_the_cosine(world: World) -> None:
    response = await world.search("warm headphones", limit=50)
    query = world.vector("warm headphones")
    cosines = {id_: float(world.vector(world.text(id_)) @ query) for id_ in world.catalog.products}
    expected = sorted(cosines, key=lambda id_: -cosines[id_])
    assert list(response.product_ids) == expected
    assert response.cosines == pytest.approx([cosines[id_] for id_ in expected], abs=1e-6)
    assert response.plan.strategy == pb.STRATEGY_EXACT
    assert (response.plan.vectors, response.plan.passing) == (50, 50)
    assert response.revision == 50


async def test_limit_keeps_the_nearest(world: World) -> None:
    everything = await world.search("x", limit=50)
    few = await world.search("x", limit=7)
    assert list(few.product_ids) == everything.product_ids[:7]
    assert list(few.cosines) == everything.cosines[:7]


@pytest.mark.parametrize(
    "category", ["Audio", "  Audio>Headphones ", "Audio > Headphones > In-ear"]
)
async def test_a_category_is_its_subtree_and_nothing_else(world: World, category: str) -> None:
    path = " > ".join(name.strip() for name in category.split(">"))
    expected = {
        id_
        for id_, found in world.catalog.products.items()
        if found.category == path or found.category.startswith(path + " > ")
    }
    within = f'category = "{category}"'
    assert await world.ids(filter=within) == expected
    assert (await world.search("x", filter=within)).plan.passing == len(expected)


async def test_an_unknown_category_finds_nothing(world: World) -> None:
    response = await world.search("x", filter='category = "Audi"')
    assert (list(response.product_ids), response.plan.passing) == ([], 0)


async def test_inactive_products_are_kept_but_not_found(world: World) -> None:
    await world.catalog.put(product("p0", category="Audio", active=False))
    found = await world.at_head()
    assert "p0" not in await world.ids()
    for every in ('category = "Audio"', "active = false", "NOT active = true", "NOT price < 1"):
        assert "p0" not in await world.ids(filter=every)
    assert found.vectors == 50
    await world.catalog.put(product("p0", category="Audio", active=True))
    await world.at_head()
    assert "p0" in await world.ids(filter="active = true")


async def test_similar_is_by_the_stored_vector_and_without_itself(world: World) -> None:
    request = pb.SimilarRequest(spaces=["small-1"], product_id="p7", limit=49)
    response = await world.stub.Similar(request)
    by_text = await world.search(world.text("p7"), limit=50)
    assert by_text.product_ids[0] == "p7"
    assert list(response.product_ids) == by_text.product_ids[1:]
    assert response.space == "small-1"
    assert response.revision == 50


async def test_similar_keeps_away_from_what_is_unlike(world: World) -> None:
    request = pb.SimilarRequest(
        spaces=["small-1"], product_id="p7", unlike_product_ids=["p8", "p9", "p8"], limit=50
    )
    response = await world.stub.Similar(request)
    like, *unlike = (world.vector(world.text(id_)) for id_ in ("p7", "p8", "p9"))
    wanted = like - (unlike[0] + unlike[1]) / 4
    wanted /= np.linalg.norm(wanted)
    others = [f"p{n}" for n in range(50) if n not in (7, 8, 9)]
    cosines = {id_: float(world.vector(world.text(id_)) @ wanted) for id_ in others}
    assert cosines_of(response) == pytest.approx(cosines, abs=1e-3)


async def test_what_is_unlike_must_be_there_be_few_and_not_the_product_itself(
    world: World,
) -> None:
    def similar(*unlike: str) -> pb.SimilarRequest:
        return pb.SimilarRequest(
            spaces=["small-1"], product_id="p7", unlike_product_ids=unlike, limit=5
        )

    assert (await refusal(world.stub.Similar(similar("nobody")))).reason == "PRODUCT_NOT_FOUND"
    for wrong in (similar("p7"), similar(*(f"p{n}" for n in range(20, 31)))):
        error = await refusal(world.stub.Similar(wrong))
        assert isinstance(error, InvalidArgument)
        assert "unlike" in error.message


async def test_similar_takes_the_first_space_that_is_ready(world: World) -> None:
    world.embedder.spaces["second"] = 4
    await world.at_head("second")
    request = pb.SimilarRequest(spaces=["missing", "second", "small-1"], product_id="p1", limit=1)
    assert (await world.stub.Similar(request)).space == "second"
    world.embedder.may_answer.clear()
    world.embedder.spaces["third"] = 4
    await until(lambda: "third" in {space for space, _ in world.embedder.calls})
    request = pb.SimilarRequest(spaces=["third", "small-1"], product_id="p1", limit=1)
    assert (await world.stub.Similar(request)).space == "small-1"
    request = pb.SimilarRequest(spaces=["third"], product_id="p1", limit=1)
    assert (await refusal(world.stub.Similar(request))).reason == "COLLECTION_NOT_READY"
    world.embedder.may_answer.set()


async def test_similar_to_a_product_that_is_not_there_is_refused(world: World) -> None:
    for product_id in ("nobody", "P7", "p7 "):
        request = pb.SimilarRequest(spaces=["small-1"], product_id=product_id, limit=1)
        error = await refusal(world.stub.Similar(request))
        assert isinstance(error, NotFound)
        assert error.reason == "PRODUCT_NOT_FOUND"


async def test_a_query_of_another_space_is_refused_even_if_it_fits(world: World) -> None:
    vector = world.vector("x").tobytes()
    request = pb.SearchRequest(space="small-2", vector=vector, limit=1)
    error = await refusal(world.stub.Search(request))
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "SPACE_MISMATCH"
    request = pb.SearchRequest(vector=vector, limit=1)
    assert (await refusal(world.stub.Search(request))).reason == "SPACE_MISMATCH"
    similar = pb.SimilarRequest(spaces=["small-2"], product_id="p1", limit=1)
    assert (await refusal(world.stub.Similar(similar))).reason == "SPACE_MISMATCH"


def with_number(number: float) -> bytes:
    vector = np.zeros(8, dtype="<f4")
    vector[0] = number
    return vector.tobytes()


async def test_a_wrong_vector_is_refused(world: World) -> None:
    right = with_number(1.0)
    numbers = (float("nan"), float("inf"), 0.0, 0.9, 3e38)
    for vector in (b"", right[:-1], right + right[:4], *map(with_number, numbers)):
        request = pb.SearchRequest(space="small-1", vector=vector, limit=1)
        error = await refusal(world.stub.Search(request))
        assert isinstance(error, InvalidArgument)
        assert (error.field, error.reason) == ("vector", "INVALID_FIELD")


async def test_a_wrong_limit_is_refused(world: World) -> None:
    for limit in (-(2**31), -1, 0, 1001, 2**31 - 1):
        error = await refusal(world.search("x", limit=limit))
        assert isinstance(error, InvalidArgument)
        assert error.field == "limit"


async def test_a_wrong_filter_is_refused_and_says_where(world: World) -> None:
    similar = pb.SimilarRequest(spaces=["small-1"], product_id="p1", limit=1, filter="price <")
    for wrong in ("price <", 'category = "A > > B"', "colour = 1", "brand < 1"):
        error = await refusal(world.search("x", filter=wrong))
        assert isinstance(error, InvalidArgument)
        assert error.field == "filter"
        assert "at position" in error.message
    assert "at position 8" in (await refusal(world.stub.Similar(similar))).message


async def test_an_attribute_may_be_compared_from_the_first_request_on(world: World) -> None:
    await world.catalog.put(
        product("p1", attributes={"size": Value(number_value=5), "new": Value(bool_value=True)}),
        product("p2", attributes={"size": Value(number_value=7.5)}),
        product("p3", attributes={"size": Value(number_value=9), "new": Value(bool_value=True)}),
    )
    await world.at_head()
    assert await world.ids(filter="attributes.size > 5") == {"p2", "p3"}
    assert await world.ids(filter="attributes.size > 5 AND attributes.new = true") == {"p3"}
    assert await world.ids(filter="attributes.sise > 5") == set()
    similar = pb.SimilarRequest(
        spaces=["small-1"], product_id="p3", limit=10, filter="attributes.new = true"
    )
    assert (await world.stub.Similar(similar)).product_ids == ["p1"]
    await world.catalog.put(product("p1", attributes={"size": Value(number_value=8)}))
    await world.at_head()
    assert await world.ids(filter="attributes.size > 5") == {"p1", "p2", "p3"}


async def test_what_the_gateway_passes_on_may_be_longer_than_what_people_write(
    world: World,
) -> None:
    longer = " OR ".join(f'brand = "{"b" * 50}{n}"' for n in range(100))
    assert len(longer) > 2000
    assert await world.ids(filter=f'category = "Audio" AND ({longer})') == set()


async def test_a_search_waits_for_its_min_revision(world: World) -> None:
    world.embedder.may_answer.clear()
    revision = await world.catalog.put(product("new"))
    search = asyncio.create_task(world.search("Product new", min_revision=revision))
    await until(lambda: "Product new" in world.embedder.texts)
    assert not search.done()
    world.embedder.may_answer.set()
    response = await search
    assert response.product_ids[0] == "new"
    assert response.revision >= revision


async def test_a_min_revision_that_does_not_come_is_refused_before_the_deadline(
    world: World,
) -> None:
    error = await refusal(world.search("x", min_revision=51, timeout=0.5))
    assert isinstance(error, DeadlineExceeded)
    assert error.reason == "REVISION_NOT_REACHED"
    assert error.metadata == {"revision": "50"}


async def test_a_cancelled_wait_leaves_nothing_behind(world: World) -> None:
    searches = [asyncio.create_task(world.search("x", min_revision=99)) for _ in range(20)]
    await asyncio.sleep(0)
    for search in searches:
        search.cancel()
    await asyncio.wait(searches)
    assert len((await world.search("x")).product_ids) == 10


async def test_every_field_of_a_collection_is_told(world: World) -> None:
    await world.catalog.put(product("p0", description="long " * 300))
    await world.catalog.put(product("p1", category=CATEGORIES[1], stock=5))
    found = await world.at_head()
    assert (found.space, found.dimensions) == ("small-1", 8)
    assert (found.applied_revision, found.head_revision, found.vectors) == (52, 52, 50)
    assert (found.embedded_documents, found.unchanged_documents) == (51, 1)
    assert found.truncated_documents == 1
    assert found.graph_vectors == 0
    assert found.memory_bytes > 50 * 8 * 4
    assert found.stalled_by == ""
    assert not found.HasField("graph_save_time")


async def test_ids_of_any_letters_come_back_as_they_are(world: World) -> None:
    ids = ["a/b c", "ñandú-✓", "x" * 512, "'; DROP TABLE rows; --", "100%"]
    await world.catalog.put(*(product(id_) for id_ in ids))
    await world.at_head()
    assert set(ids) <= await world.ids()
    await world.catalog.delete(*ids)
    await world.at_head()
    assert not set(ids) & await world.ids()
