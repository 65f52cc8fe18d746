"""How queries are answered when things go well, and when they do not."""

import asyncio
import time

import pytest

from services.common.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Overloaded,
    Unavailable,
)
from services.gateway.answers import Degradation, LeftOut, Provenance, Strategy
from services.gateway.breakers import FAILURES_UNTIL_OPEN
from services.gateway.queries import Filter, Mode, SimilarQuery
from services.gateway.validity import CategoryChange
from tests.gateway_world import LAMPS, World, ids
from tests.support import until

# For a busy machine: proven are bounds, not speeds.
MARGIN_SECONDS = 0.5


@pytest.fixture
def world() -> World:
    return World()


async def test_by_meaning_results_come_in_the_order_of_the_index(world: World) -> None:
    world.index.ranking = ["lamp-2", "lamp-3", "lamp-1"]
    served = await world.search(mode=Mode.SEMANTIC)
    assert ids(served) == ["lamp-2", "lamp-3", "lamp-1"]
    assert not served.answer.degraded
    assert served.provenance is Provenance.COMPUTED
    scores = [result.explanation.score for result in served.answer.results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


async def test_the_second_time_comes_from_memory_without_a_call(world: World) -> None:
    first = await world.search()
    calls = (world.embedder.trouble.calls, world.index.trouble.calls, world.catalog.trouble.calls)
    second = await world.search()
    assert second.provenance is Provenance.MEMORY
    assert second.answer == first.answer
    assert calls == (
        world.embedder.trouble.calls,
        world.index.trouble.calls,
        world.catalog.trouble.calls,
    )


async def test_a_known_query_vector_needs_no_embedder(world: World) -> None:
    await world.search()
    world.embedder.trouble.error = Unavailable("gone")
    served = await world.search(page_size=5)
    assert ids(served) == LAMPS
    assert not served.answer.degraded


async def test_skip_cache_neither_reads_nor_writes_it(world: World) -> None:
    await world.search(skip_cache=True)
    assert world.cache.memory.entry_count == 0
    await world.search()
    served = await world.search(skip_cache=True)
    assert served.provenance is Provenance.COMPUTED


async def test_identical_queries_in_flight_are_computed_once(world: World) -> None:
    world.index.may_answer = asyncio.Event()
    waiting = [asyncio.create_task(world.search()) for _ in range(10)]
    await until(lambda: world.index.trouble.calls > 0)
    world.index.may_answer.set()
    served = await asyncio.gather(*waiting)
    assert world.index.trouble.calls == 1
    provenances = [one.provenance for one in served]
    assert provenances.count(Provenance.COMPUTED) == 1
    assert provenances.count(Provenance.SHARED) == 9


@pytest.mark.parametrize("trouble", ["error", "hangs"])
@pytest.mark.parametrize("broken", ["embedder", "index"])
async def test_without_a_vector_or_an_index_words_answer_and_say_so(
    world: World, broken: str, trouble: str
) -> None:
    part = world.embedder if broken == "embedder" else world.index
    if trouble == "hangs":
        part.trouble.hangs = True
    else:
        part.trouble.error = Unavailable("gone")
    served = await world.search(budget_seconds=0.5)
    assert ids(served) == LAMPS
    assert served.answer.degraded == {Degradation.LEXICAL_ONLY}
    assert served.answer.plan.strategy is Strategy.TEXT
    assert served.answer.space == ""
    stage = "embed" if broken == "embedder" else "index"
    reason = "DEADLINE_EXCEEDED" if trouble == "hangs" else "UPSTREAM_UNAVAILABLE"
    assert served.answer.left_out == (LeftOut(stage, reason),)


async def test_no_ready_space_means_words(world: World) -> None:
    world.spaces.ids = ()
    served = await world.search()
    assert served.answer.degraded == {Degradation.LEXICAL_ONLY}


async def test_a_space_that_the_index_refuses_means_words_and_a_second_look(world: World) -> None:
    world.index.trouble.error = FailedPrecondition("another space", reason="SPACE_MISMATCH")
    served = await world.search()
    assert served.answer.degraded == {Degradation.LEXICAL_ONLY}
    assert served.answer.left_out == (LeftOut("index", "SPACE_MISMATCH"),)


async def test_another_space_than_the_best_one_is_labelled_and_not_cached(world: World) -> None:
    world.embedder.failing = {"best"}
    served = await world.search()
    assert served.answer.space == "local"
    assert served.answer.degraded == {Degradation.FALLBACK_SPACE}
    world.embedder.failing = set()
    served = await world.search()
    assert served.answer.space == "best"
    assert not served.answer.degraded


async def test_an_index_that_is_behind_and_empty_leaves_the_answer_to_words(world: World) -> None:
    world.index.ranking, world.index.revision = [], 0
    served = await world.search()
    assert ids(served) == LAMPS
    assert Degradation.LEXICAL_ONLY in served.answer.degraded


async def test_an_index_that_is_behind_for_long_is_labelled_stale(world: World) -> None:
    world.changes.apply([CategoryChange(2, None, "Home > Lamps")])
    await until(lambda: world.changes.is_stale(1))
    served = await world.search()
    assert served.answer.degraded == {Degradation.STALE_INDEX}
    assert served.answer.revision == 1


async def test_products_that_the_catalog_has_no_more_make_room_for_others(world: World) -> None:
    world.index.ranking = ["gone-1", "lamp-1", "gone-2", "lamp-2", "lamp-3"]
    served = await world.search(page_size=2, mode=Mode.SEMANTIC)
    assert ids(served) == ["lamp-1", "lamp-2"]


async def test_a_product_that_left_the_category_is_not_shown_in_it(world: World) -> None:
    world.catalog.add("lamp-2", "a lamp that moved", "Garden")
    served = await world.search(filter=Filter.parse("", "Home"))
    assert ids(served) == ["lamp-1", "lamp-3"]


async def test_a_product_that_both_ways_find_stands_before_those_of_one_way(world: World) -> None:
    world.index.ranking = ["chair", "lamp-3"]
    world.catalog.add("chair", "a chair")
    served = await world.search()
    assert set(ids(served)) == {"chair", *LAMPS}
    assert ids(served).index("lamp-3") < ids(served).index("lamp-2")
    explained = {result.product.id: result.explanation for result in served.answer.results}
    assert (explained["lamp-3"].lexical_rank, explained["lamp-3"].semantic_rank) == (3, 2)
    assert (explained["chair"].lexical_rank, explained["chair"].semantic_rank) == (0, 1)
    assert served.answer.plan.lexical_candidates == 3
    assert served.answer.plan.semantic_candidates == 2
    assert served.answer.plan.candidates == 4


@pytest.mark.parametrize(("weight", "first"), [(0.0, "lamp-1"), (1.0, "chair")])
async def test_the_weight_decides_between_words_and_meaning(
    world: World, weight: float, first: str
) -> None:
    world.index.ranking = ["chair"]
    world.catalog.add("chair", "a chair")
    assert ids(await world.search(semantic_weight=weight))[0] == first


async def test_what_the_query_names_by_an_identifier_stands_first(world: World) -> None:
    world.catalog.identified = {"lamp-3"}
    world.index.ranking = ["lamp-2"]
    served = await world.search(semantic_weight=1.0)
    assert ids(served)[0] == "lamp-3"
    assert served.answer.results[0].explanation.is_exact_identifier


async def test_a_required_phrase_leaves_out_what_only_means_the_same(world: World) -> None:
    world.index.ranking = ["chair", "lamp-3"]
    world.catalog.add("chair", "a chair")
    world.catalog.requires_words = True
    assert set(ids(await world.search())) == set(LAMPS)


async def test_a_correction_is_told_and_embedded(world: World) -> None:
    world.catalog.corrections = {"lapm": "lamp"}
    served = await world.search(text="lapm")
    assert served.answer.corrected_query == "lamp"
    assert await world.cache.find_vector("best", "lamp") == b"lamp"
    assert (await world.search(text="lapm", literal=True)).answer.corrected_query == ""


async def test_without_words_vectors_answer_and_say_so(world: World) -> None:
    world.catalog.has_words = False
    for mode in (Mode.HYBRID, Mode.LEXICAL):
        served = await world.search(mode=mode)
        assert ids(served) == LAMPS
        assert served.answer.degraded == {Degradation.SEMANTIC_ONLY}
        assert served.answer.left_out == (LeftOut("text", "UPSTREAM_UNAVAILABLE"),)


async def test_words_alone_are_whole_where_words_were_asked_for(world: World) -> None:
    served = await world.search(mode=Mode.LEXICAL)
    assert ids(served) == LAMPS
    assert not served.answer.degraded
    assert world.embedder.trouble.calls == world.index.trouble.calls == 0


async def test_a_revision_that_nobody_reaches_is_a_clear_error(world: World) -> None:
    with pytest.raises(DeadlineExceeded) as failure:
        await world.search(min_revision=99, budget_seconds=0.3)
    assert failure.value.reason == "REVISION_NOT_REACHED"
    assert failure.value.metadata == {"revision": "1"}


async def test_a_revision_that_words_reach_before_the_index_is_answered_by_words(
    world: World,
) -> None:
    world.catalog.revision = 5
    served = await world.search(min_revision=5, budget_seconds=0.3)
    assert served.answer.revision == 5
    assert Degradation.LEXICAL_ONLY in served.answer.degraded


async def test_with_the_catalog_gone_a_cached_answer_is_served_and_labelled(world: World) -> None:
    await world.search()
    world.catalog.trouble.error = Unavailable("gone")
    world.changes.is_following = False
    served = await world.search()
    assert ids(served) == LAMPS
    assert served.degraded == {Degradation.UNVERIFIED_CACHE}


async def test_when_no_stage_can_answer_the_error_says_to_retry(world: World) -> None:
    world.catalog.trouble.error = Unavailable("gone")
    with pytest.raises(Unavailable):
        await world.search()


async def test_a_wrong_argument_is_not_taken_for_an_outage(world: World) -> None:
    world.index.trouble.error = InvalidArgument("category", "no")
    with pytest.raises(InvalidArgument):
        await world.search()


@pytest.mark.parametrize("broken", ["embedder", "index", "words"])
async def test_a_part_that_fails_again_and_again_is_not_asked(world: World, broken: str) -> None:
    if broken == "words":
        world.catalog.words_trouble.error = Unavailable("gone")
    part = {
        "embedder": world.embedder.trouble,
        "index": world.index.trouble,
        "words": world.catalog.words_trouble,
    }[broken]
    part.error = Unavailable("gone")
    for _ in range(FAILURES_UNTIL_OPEN):
        await world.search(skip_cache=True)
    calls = part.calls
    served = await world.search(skip_cache=True)
    assert part.calls == calls
    assert [each.reason for each in served.answer.left_out] == ["CIRCUIT_OPEN"]
    assert ids(served) == LAMPS


async def test_mistakes_of_callers_do_not_stop_others(world: World) -> None:
    world.index.trouble.error = InvalidArgument("filter", "no")
    for _ in range(2 * FAILURES_UNTIL_OPEN):
        with pytest.raises(InvalidArgument):
            await world.search(skip_cache=True)
    world.index.trouble.error = FailedPrecondition("another space", reason="SPACE_MISMATCH")
    for _ in range(2 * FAILURES_UNTIL_OPEN):
        await world.search(skip_cache=True)
    world.index.trouble.error = None
    assert not (await world.search()).answer.left_out


async def test_an_answer_without_one_of_its_stages_is_not_kept(world: World) -> None:
    world.index.vectors_trouble.error = Unavailable("gone")
    served = await world.search(diversity=0.5)
    assert served.answer.left_out == (LeftOut("diversity", "UPSTREAM_UNAVAILABLE"),)
    # Without the words nothing is known of the shop's rules.
    world.catalog.words_trouble.error = Unavailable("gone")
    served = await world.search(mode=Mode.SEMANTIC)
    assert served.answer.left_out == (LeftOut("text", "UPSTREAM_UNAVAILABLE"),)
    assert not served.answer.degraded
    assert world.cache.memory.entry_count == 1  # the vector


async def test_a_later_page_tells_what_its_result_lacks(world: World) -> None:
    world.embedder.trouble.error = Unavailable("gone")
    first = await world.search(page_size=2)
    world.embedder.trouble.error = None
    second = await world.search(page_size=2, page_token=first.answer.next_page_token)
    assert ids(second) == LAMPS[2:]
    assert second.answer.left_out == (LeftOut("embed", "UPSTREAM_UNAVAILABLE"),)


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_catalog_that_hangs_ends_a_query_in_time(world: World, mode: Mode) -> None:
    world.catalog.trouble.hangs = True
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await world.search(budget_seconds=0.4, mode=mode)
    assert time.monotonic() - began < 0.4 + MARGIN_SECONDS


async def test_however_many_stages_hang_words_and_products_have_their_time(world: World) -> None:
    world.embedder.trouble.hangs = world.index.trouble.hangs = True
    began = time.monotonic()
    for mode in Mode:
        assert ids(await world.search(budget_seconds=0.4, mode=mode, skip_cache=True)) == LAMPS
    assert time.monotonic() - began < 3 * (0.4 + MARGIN_SECONDS)


async def test_beyond_the_bound_searches_are_refused_and_kept_answers_are_served() -> None:
    world = World(max_searches_in_flight=2)
    kept = await world.search(text="lamp-1")
    world.index.may_answer = asyncio.Event()
    calls = world.index.trouble.calls
    # Two are computed and two wait; they have more time than the test takes.
    under_way = [
        asyncio.create_task(world.search(text=f"lamp-{number}", budget_seconds=60.0))
        for number in (2, 3, 4, 5)
    ]
    await until(lambda: world.index.trouble.calls == calls + 2)
    with pytest.raises(Overloaded):
        await world.search(text="lamp")
    assert (await world.search(text="lamp-1")).answer == kept.answer
    world.index.may_answer.set()
    await asyncio.gather(*under_way)
    assert (await world.search(text="lamp")).provenance is Provenance.COMPUTED


async def test_who_waits_for_a_place_in_vain_is_told_in_time() -> None:
    world = World(max_searches_in_flight=1)
    world.index.may_answer = asyncio.Event()
    first = asyncio.create_task(world.search(text="lamp-1", budget_seconds=60.0))
    await until(lambda: world.index.trouble.calls == 1)
    with pytest.raises(Overloaded):
        await world.search(text="lamp-2", budget_seconds=0.2)
    world.index.may_answer.set()
    await first


async def test_similar_products_leave_out_the_product(world: World) -> None:
    served = await world.searching.similar(SimilarQuery("lamp-1", 10, 0, 1.0))
    assert ids(served) == ["lamp-2", "lamp-3"]


async def test_without_an_index_similar_products_are_found_by_name(world: World) -> None:
    world.index.trouble.error = Unavailable("gone")
    world.catalog.add("lamp-9", "a lamp lamp-1 deluxe", "Home > Lamps")
    served = await world.searching.similar(SimilarQuery("lamp-1", 10, 0, 1.0))
    assert ids(served) == ["lamp-9"]
    assert served.answer.degraded == {Degradation.LEXICAL_ONLY}


async def test_products_like_an_unknown_one_are_not_found(world: World) -> None:
    world.index.trouble.error = NotFound("no", reason="PRODUCT_NOT_FOUND")
    with pytest.raises(NotFound):
        await world.searching.similar(SimilarQuery("nothing", 10, 0, 1.0))
