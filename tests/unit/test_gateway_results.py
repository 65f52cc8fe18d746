"""What becomes of candidates: pages, counts, the shop's rules, variety, and a second round."""

import asyncio
from dataclasses import replace

import pytest

from services.common import facets
from services.common.errors import FailedPrecondition, InvalidArgument, Unavailable
from services.gateway.answers import AppliedRule, Degradation, Provenance
from services.gateway.candidates import Boost, Rule
from services.gateway.popularity import Popularity
from services.gateway.queries import Filter, Mode
from services.gateway.validity import CategoryChange
from tests.gateway_world import LAMPS, World, ids
from tests.shown import Shown


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def shop() -> World:
    """Thirty lamps that words find, and thirty chairs near them."""
    world = World()
    for number in range(30):
        world.catalog.add(
            f"l{number:02}",
            f"a lamp {number}",
            "Home > Lamps",
            brand="Lux" if number % 3 else "Sol",
            price=f"{number}.00",
        )
        world.catalog.add(f"c{number:02}", f"a chair {number}", "Home > Chairs", brand="Sol")
    world.index.ranking = [f"c{number:02}" for number in range(30)]
    for product_id in LAMPS:
        del world.catalog.products[product_id]
    return world


async def all_pages(world: World, first: Shown, **arguments: object) -> list[Shown]:
    pages = [first]
    while token := pages[-1].answer.next_page_token:
        pages.append(await world.search(page_token=token, **arguments))
    return pages


def rule(**changes: object) -> Rule:
    return replace(Rule("summer", {}, frozenset(), ()), **changes)  # type: ignore[arg-type]


class TestPages:
    async def test_all_pages_together_are_the_result_once_each(self, shop: World) -> None:
        whole = await shop.search(page_size=100)
        pages = await all_pages(shop, await shop.search(page_size=7), page_size=7)
        assert [id_ for page in pages for id_ in ids(page)] == ids(whole)
        assert whole.answer.next_page_token == ""
        assert {page.answer.total_size for page in pages} == {60}
        assert all(page.answer.is_total_exact for page in pages)

    async def test_a_later_page_explains_its_results_as_a_whole_answer_does(
        self, shop: World
    ) -> None:
        whole = await shop.search(page_size=100)
        first = await shop.search(page_size=20)
        second = await shop.search(page_size=20, page_token=first.answer.next_page_token)
        expected = [result.explanation for result in whole.answer.results[20:40]]
        for result, as_whole in zip(second.answer.results, expected, strict=True):
            assert result.explanation[:-1] == pytest.approx(as_whole[:-1])
        assert second.provenance is Provenance.MEMORY
        assert second.answer.plan == whole.answer.plan

    async def test_what_is_written_between_pages_shifts_nothing(self, shop: World) -> None:
        first = await shop.search(page_size=10)
        shop.catalog.add("new", "a lamp that is new")
        expected = [f"l{number:02}" for number in range(30)]
        del shop.catalog.products["l15"]
        pages = await all_pages(shop, first, page_size=10)
        found = [id_ for page in pages for id_ in ids(page)]
        assert len(found) == len(set(found)) == 59
        assert [id_ for id_ in found if id_[0] == "l"] == [x for x in expected if x != "l15"]
        # The page with the gap is filled up by the next ones.
        assert [len(page.answer.results) for page in pages] == [10] * 5 + [9]

    async def test_a_token_with_other_arguments_is_refused(self, shop: World) -> None:
        token = (await shop.search()).answer.next_page_token
        for change in (
            {"text": "chair"},
            {"filter": Filter.parse("price < 5", "")},
            {"mode": Mode.LEXICAL},
            {"order_by": "price"},
            {"semantic_weight": 0.9},
            {"literal": True},
            {"diversity": 0.5},
            {"without_rules": True},
            {"highlight": True},
        ):
            with pytest.raises(InvalidArgument, match="page_token"):
                await shop.search(page_token=token, **change)

    async def test_another_page_size_goes_on_where_the_last_page_ended(self, shop: World) -> None:
        whole = await shop.search(page_size=100)
        token = (await shop.search(page_size=3)).answer.next_page_token
        assert ids(await shop.search(page_size=5, page_token=token)) == ids(whole)[3:8]

    @pytest.mark.parametrize("token", ["x", "AAAA", "ñ", "?" * 40, "A" * 32, "A" * 33])
    async def test_what_is_no_token_is_refused(self, shop: World, token: str) -> None:
        with pytest.raises(InvalidArgument, match="page_token"):
            await shop.search(page_token=token)

    async def test_a_result_that_is_lost_says_so(self, shop: World) -> None:
        token = (await shop.search()).answer.next_page_token
        shop.forget_everything()
        with pytest.raises(FailedPrecondition) as failure:
            await shop.search(page_token=token)
        assert failure.value.reason == "PAGE_TOKEN_EXPIRED"

    async def test_a_result_older_than_the_revision_asked_for_is_not_gone_on_with(
        self, shop: World
    ) -> None:
        token = (await shop.search()).answer.next_page_token
        with pytest.raises(FailedPrecondition) as failure:
            await shop.search(page_token=token, min_revision=2)
        assert failure.value.reason == "PAGE_TOKEN_EXPIRED"

    async def test_a_cached_answer_has_pages_too(self, shop: World) -> None:
        await shop.search()
        again = await shop.search()
        assert again.provenance is Provenance.MEMORY
        second = await shop.search(page_token=again.answer.next_page_token)
        assert not set(ids(second)) & set(ids(again))

    async def test_a_total_is_a_lower_bound_where_a_list_was_cut(self, shop: World) -> None:
        for number in range(300):
            shop.catalog.add(f"m{number}", f"another lamp {number}")
        assert not (await shop.search(mode=Mode.LEXICAL)).answer.is_total_exact
        ordered = await shop.search(mode=Mode.LEXICAL, order_by="price")
        assert ordered.answer.is_total_exact
        assert ordered.answer.total_size == 330


class TestFacets:
    async def test_counts_are_of_the_whole_result(self, shop: World) -> None:
        served = await shop.search(mode=Mode.LEXICAL, facets=facets.parse(["brand", "category"]))
        brand, category = served.answer.facets
        assert {value.value: value.count for value in brand.values} == {"Lux": 20, "Sol": 10}
        assert {value.value: value.count for value in category.values} == {"Home > Lamps": 30}
        assert brand.is_exact
        assert served.answer.total_size == 30

    async def test_a_facet_may_ignore_the_filter_on_its_own_field(self, shop: World) -> None:
        narrowed = Filter.parse('brand = "Lux" AND price < 10', "")
        served = await shop.search(
            mode=Mode.LEXICAL,
            filter=narrowed,
            facets=facets.parse(["brand(ignore_own_filter)", "category"]),
        )
        brand, category = served.answer.facets
        assert {value.value: value.count for value in brand.values} == {"Lux": 6, "Sol": 4}
        assert {value.value: value.count for value in category.values} == {"Home > Lamps": 6}
        assert served.answer.total_size == 6

    async def test_what_the_catalog_has_no_more_is_neither_counted_nor_in_the_total(
        self, shop: World
    ) -> None:
        shop.index.ranking.append("gone")
        served = await shop.search(facets=facets.parse(["category"]))
        assert served.answer.total_size == 60
        assert sum(value.count for value in served.answer.facets[0].values) == 60

    async def test_a_category_facet_beyond_its_filter_is_not_bounded_by_the_category(
        self, shop: World
    ) -> None:
        asked: dict[str, object] = {
            "filter": Filter.parse("", "Home > Lamps"),
            "facets": facets.parse(["category(ignore_own_filter)"]),
            "text": "zzz",
            "mode": Mode.LEXICAL,
        }
        await shop.search(**asked)
        assert (await shop.search(**asked)).provenance is Provenance.MEMORY
        shop.changes.apply([CategoryChange(2, None, "Home > Chairs")])
        assert (await shop.search(**asked)).provenance is Provenance.COMPUTED

    async def test_counting_widens_what_words_find(self, shop: World) -> None:
        await shop.search(facets=facets.parse(["brand"]))
        assert shop.catalog.limits == [1_000]


class TestSpelling:
    async def test_what_no_word_of_a_category_finds_falls_with_words_of_others(
        self, shop: World
    ) -> None:
        asked: dict[str, object] = {
            "text": "zzz",
            "filter": Filter.parse("", "Home > Lamps"),
            "mode": Mode.LEXICAL,
        }
        await shop.search(**asked)
        assert (await shop.search(**asked)).provenance is Provenance.MEMORY
        # Now another category's word is known, or is no more: a correction may be due.
        shop.changes.apply([CategoryChange(2, "Garden", None)])
        assert (await shop.search(**asked)).provenance is Provenance.COMPUTED


class TestOrder:
    async def test_an_order_is_over_what_words_find_alone(self, shop: World) -> None:
        served = await shop.search(order_by="price", page_size=100)
        assert ids(served) == [f"l{number:02}" for number in range(30)]
        assert shop.index.trouble.calls == 0

    async def test_where_words_find_nothing_there_is_nothing_to_order(self, shop: World) -> None:
        served = await shop.search(text="stool", order_by="price")
        assert ids(served) == []
        assert served.answer.is_total_exact

    async def test_by_meaning_alone_what_is_near_is_ordered(self, shop: World) -> None:
        shop.catalog.products["c07"].price = "1.00"
        served = await shop.search(order_by="price", mode=Mode.SEMANTIC)
        assert ids(served)[0] == "c07"

    async def test_rules_leave_an_order_alone(self, shop: World) -> None:
        shop.catalog.rules = [rule(pins={"l29": 1})]
        served = await shop.search(order_by="price")
        assert ids(served)[0] == "l00"
        assert served.answer.rule_ids == ()


class TestRules:
    async def test_pins_burials_and_boosts_move_products_and_say_so(self, shop: World) -> None:
        shop.catalog.rules = [
            rule(
                pins={"c29": 2},
                buried=frozenset({"l00"}),
                boosts=[Boost('brand = "Sol"', 10.0)],
            )
        ]
        served = await shop.search(page_size=100)
        found = ids(served)
        assert found[1] == "c29"
        assert found[-1] == "l00"
        brands = [shop.catalog.products[id_].brand for id_ in found if id_ not in ("c29", "l00")]
        assert brands == ["Sol"] * 38 + ["Lux"] * 20
        by_id = {result.product.id: result.explanation for result in served.answer.results}
        assert AppliedRule("summer", pinned_position=2) in by_id["c29"].rules
        assert AppliedRule("summer", is_buried=True) in by_id["l00"].rules
        assert by_id["l03"].rules == (AppliedRule("summer", factor=10.0),)
        assert by_id["l00"].score_rank == 1
        assert served.answer.rule_ids == ("summer",)

    async def test_a_pin_outside_of_the_result_is_brought_in_if_it_passes(
        self, shop: World
    ) -> None:
        shop.catalog.add("offer", "something else", "Garden", price="3.00")
        shop.catalog.rules = [rule(pins={"offer": 1, "nothing": 2})]
        assert ids(await shop.search())[0] == "offer"
        assert (await shop.search()).answer.total_size == 61
        cheap = Filter.parse("price < 2", "")
        assert "offer" not in ids(await shop.search(filter=cheap, mode=Mode.LEXICAL))

    async def test_rules_hold_in_every_mode_and_can_be_left_out(self, shop: World) -> None:
        shop.catalog.rules = [rule(pins={"c29": 1})]
        for mode in Mode:
            assert ids(await shop.search(mode=mode))[0] == "c29"
            served = await shop.search(mode=mode, without_rules=True)
            assert ids(served)[0] != "c29"
            assert served.answer.rule_ids == ()

    async def test_more_rules_than_the_catalog_is_asked_about_fail_no_search(
        self, shop: World
    ) -> None:
        many = [Boost(f"price < {number}", 1.01) for number in range(120)]
        shop.catalog.rules = [
            rule(id=f"r{number}", pins={f"x{number}-{n}": n + 1 for n in range(50)}, boosts=many)
            for number in range(60)
        ]
        served = await shop.search(facets=facets.parse(["brand"]))
        assert len(served.answer.results) == 10
        assert len(shop.catalog.conditions) == 100

    async def test_what_a_rule_did_is_told_on_later_pages_too(self, shop: World) -> None:
        shop.catalog.rules = [rule(pins={"c29": 15})]
        first = await shop.search()
        second = await shop.search(page_token=first.answer.next_page_token)
        assert second.answer.results[4].explanation.rules == (
            AppliedRule("summer", pinned_position=15),
        )
        assert second.answer.rule_ids == ("summer",)

    async def test_a_change_of_rules_ends_every_cached_answer(self, shop: World) -> None:
        await shop.search()
        assert (await shop.search()).provenance is Provenance.MEMORY
        shop.changes.apply([CategoryChange(2, None, None, changes_everything=True)])
        shop.catalog.revision = shop.index.revision = 2
        assert (await shop.search()).provenance is Provenance.COMPUTED
        assert (await shop.search()).provenance is Provenance.MEMORY


class TestVariety:
    async def test_what_is_like_those_above_makes_room(self, world: World) -> None:
        world.index.ranking = ["lamp-1", "lamp-2", "lamp-3"]
        world.index.rows = {"lamp-1": [1, 0], "lamp-2": [1, 0], "lamp-3": [0, 1]}
        assert ids(await world.search(diversity=0.8)) == ["lamp-1", "lamp-3", "lamp-2"]
        assert ids(await world.search(diversity=0.0)) == ["lamp-1", "lamp-2", "lamp-3"]

    async def test_without_vectors_the_answer_says_that_it_is_not_diverse(
        self, world: World
    ) -> None:
        world.index.vectors_trouble.error = Unavailable("gone")
        served = await world.search(diversity=0.8)
        assert ids(served) == LAMPS
        assert served.answer.degraded == {Degradation.NOT_DIVERSE}


class TestFeedback:
    async def test_only_beside_words_is_meaning_led_by_its_nearest(self) -> None:
        world = World(feedback_products=7)
        await world.search()
        assert world.index.feedback_products == 7
        await world.search(mode=Mode.SEMANTIC)
        assert world.index.feedback_products == 0


class TestHighlights:
    async def test_the_corrected_query_is_what_is_marked(self, world: World) -> None:
        world.catalog.corrections = {"lapm": "lamp"}
        served = await world.search(text="lapm", highlight=True)
        marked = served.answer.results[0].highlights
        assert marked is not None
        assert marked.name.startswith("<mark>lamp</mark>")
        assert (await world.search(text="lapm")).answer.results[0].highlights is None


class TestPopularity:
    async def test_queries_that_found_something_are_told_to_the_catalog(self, world: World) -> None:
        world.catalog.corrections = {"lapm": "lamp"}
        async with Popularity(world.catalog) as popularity:
            for text in ("lamp", "lapm"):
                popularity.count((await world.search(text=text)).popular)
            # Something is near everything.
            popularity.count((await world.search(text="zzz")).popular)
        assert world.catalog.asked == {"lamp": 2}

    async def test_what_could_not_be_told_is_told_later(self, world: World) -> None:
        served = await world.search()
        popularity = Popularity(world.catalog)
        async with popularity:
            popularity.count(served.popular)
            world.catalog.trouble.error = Unavailable("gone")
        world.catalog.trouble.error = None
        async with popularity:
            await asyncio.sleep(0)
        assert world.catalog.asked == {"lamp": 1}
