"""TuningService over gRPC: rules and synonyms, what searches make of them, and their log."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.catalog_support import Stubs, field_of, message, reason_of, serving_catalog
from vitrina.catalog.v1 import catalog_pb2, retrieval_pb2
from vitrina.catalog.v1 import tuning_pb2 as pb

PRODUCTS = [
    message("disk", name="Disco duro externo 1 TB"),
    message("hdd", name="HDD externo 2 TB"),
    message("record", name="Disco de vinilo"),
    message("case", name="Funda externa"),
    message("laptop", name="Laptop Dell"),
]


@pytest.fixture
async def stubs(tmp_path: Path) -> AsyncIterator[Stubs]:
    async with serving_catalog(tmp_path) as running:
        await fill(running)
        yield running


async def fill(stubs: Stubs) -> None:
    await stubs.catalog.BatchUpsertProducts(
        catalog_pb2.BatchUpsertProductsRequest(products=PRODUCTS)
    )


async def search(stubs: Stubs, query: str, **fields: Any) -> retrieval_pb2.SearchTextResponse:
    return await stubs.retrieval.SearchText(
        retrieval_pb2.SearchTextRequest(query=query, limit=fields.pop("limit", 10), **fields)
    )


async def put_rule(
    stubs: Stubs, rule_id: str, *queries: str, author: str = "", **fields: Any
) -> pb.PutRuleResponse:
    rule = pb.Rule(id=rule_id, queries=queries, **fields)
    return await stubs.tuning.PutRule(pb.PutRuleRequest(rule=rule, author=author))


async def put_synonyms(
    stubs: Stubs, synonyms_id: str, *phrases: str, one_way_from: str = "", author: str = ""
) -> pb.PutSynonymsResponse:
    synonyms = pb.Synonyms(id=synonyms_id, phrases=phrases, one_way_from=one_way_from)
    return await stubs.tuning.PutSynonyms(pb.PutSynonymsRequest(synonyms=synonyms, author=author))


def ids(entries: Sequence[Any]) -> list[str]:
    return [entry.id for entry in entries]


async def test_a_rule_comes_back_as_it_is_stored(stubs: Stubs) -> None:
    rule = pb.Rule(
        id="camaras",
        queries=["cámara réflex"],
        pins=[pb.Pin(product_id="disk", position=1)],
        bury_product_ids=["hdd"],
        boosts=[pb.Boost(filter="price<100 brand='HP'", factor=1.5)],
        description="Verano",
        revision=99,
    )
    put = await stubs.tuning.PutRule(pb.PutRuleRequest(rule=rule))
    assert put.revision == put.rule.revision == len(PRODUCTS) + 1
    assert put.rule.update_time.seconds > 1_700_000_000
    assert put.rule.match == pb.QUERY_MATCH_EXACT
    assert put.rule.active
    assert put.rule.boosts[0].filter == 'price < 100 AND brand = "HP"'
    listed = await stubs.tuning.ListRules(pb.ListRulesRequest())
    assert list(listed.rules) == [put.rule]
    assert listed.revision == put.revision
    again = await stubs.tuning.PutRule(pb.PutRuleRequest(rule=put.rule))
    assert again == put


async def test_synonyms_come_back_as_they_are_stored(stubs: Stubs) -> None:
    put = await put_synonyms(stubs, "b", "ps5", "playstation 5", one_way_from="consola")
    other = await put_synonyms(stubs, "a", "x", "y")
    listed = await stubs.tuning.ListSynonyms(pb.ListSynonymsRequest())
    assert list(listed.synonyms) == [other.synonyms, put.synonyms]
    assert listed.revision == other.revision == put.revision + 1
    assert await put_synonyms(stubs, "a", "x", "y") == other


async def test_both_outlive_the_process(tmp_path: Path) -> None:
    async with serving_catalog(tmp_path) as stubs:
        await fill(stubs)
        await put_rule(stubs, "r", "hdd")
        await put_synonyms(stubs, "s", "disco duro", "hdd")
        before = await search(stubs, "hdd")
        rules = await stubs.tuning.ListRules(pb.ListRulesRequest())
    async with serving_catalog(tmp_path) as stubs:
        assert await search(stubs, "hdd") == before
        assert ids(before.rules) == ["r"]
        assert before.synonym_ids == ["s"]
        assert await stubs.tuning.ListRules(pb.ListRulesRequest()) == rules


async def test_what_is_wrong_is_named(stubs: Stubs) -> None:
    pins = [pb.Pin(product_id="a", position=1), pb.Pin(product_id="b", position=101)]
    for call, field in (
        (put_rule(stubs, "r", pins=pins), "rule.pins[1].position"),
        (put_rule(stubs, "r", boosts=[pb.Boost(filter="x", factor=1)]), "rule.boosts[0].filter"),
        (put_rule(stubs, ""), "rule.id"),
        (put_rule(stubs, "r", author="x" * 201), "author"),
        (put_synonyms(stubs, "s", "a"), "synonyms.phrases"),
        (put_synonyms(stubs, "s", "a", one_way_from="!"), "synonyms.one_way_from"),
        (stubs.tuning.DeleteRule(pb.DeleteRuleRequest(id="a b")), "id"),
        (stubs.tuning.ListTuningChanges(pb.ListTuningChangesRequest(page_size=501)), "page_size"),
        (stubs.tuning.ListTuningChanges(pb.ListTuningChangesRequest(page_size=-1)), "page_size"),
        (stubs.tuning.ListTuningChanges(pb.ListTuningChangesRequest(page_token="x")), "page_token"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (reason_of(refused.value), field_of(refused.value)) == ("INVALID_FIELD", field)
    log = await stubs.tuning.ListTuningChanges(pb.ListTuningChangesRequest())
    assert not log.changes


async def test_what_is_not_there_is_deleted_only_if_it_may_be_missing(stubs: Stubs) -> None:
    for call, reason in (
        (stubs.tuning.DeleteRule(pb.DeleteRuleRequest(id="x")), "RULE_NOT_FOUND"),
        (stubs.tuning.DeleteSynonyms(pb.DeleteSynonymsRequest(id="x")), "SYNONYMS_NOT_FOUND"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert reason_of(refused.value) == reason
    allowed = pb.DeleteRuleRequest(id="x", allow_missing=True)
    assert (await stubs.tuning.DeleteRule(allowed)).revision == len(PRODUCTS)
    missing = pb.DeleteSynonymsRequest(id="x", allow_missing=True)
    assert (await stubs.tuning.DeleteSynonyms(missing)).revision == len(PRODUCTS)


async def test_the_log_comes_in_pages_with_what_was_before_and_after(stubs: Stubs) -> None:
    one = (await put_rule(stubs, "r", "x", author="ana")).rule
    two = (await put_rule(stubs, "r", "y", author="eva")).rule
    await stubs.tuning.DeleteRule(pb.DeleteRuleRequest(id="r", author="ana"))
    synonyms = (await put_synonyms(stubs, "s", "a", "b", author="eva")).synonyms
    changes: list[pb.TuningChange] = []
    request = pb.ListTuningChangesRequest(page_size=3)
    while not changes or request.page_token:
        page = await stubs.tuning.ListTuningChanges(request)
        changes += page.changes
        request.page_token = page.next_page_token
        assert len(page.changes) in (3, 1)
    for change in changes:
        assert change.time.seconds > 1_700_000_000
        change.ClearField("time")
    first = len(PRODUCTS) + 1
    assert changes == [
        pb.TuningChange(revision=first + 3, author="eva", synonyms_after=synonyms),
        pb.TuningChange(revision=first + 2, author="ana", rule_before=two),
        pb.TuningChange(revision=first + 1, author="eva", rule_before=one, rule_after=two),
        pb.TuningChange(revision=first, author="ana", rule_after=one),
    ]


async def test_watchers_are_told_of_every_change(stubs: Stubs, subtests: pytest.Subtests) -> None:
    for omit_products in (True, False):
        with subtests.test(omit_products=omit_products):
            head = (await search(stubs, "x")).revision
            request = catalog_pb2.WatchChangesRequest(
                after_revision=head, omit_products=omit_products
            )
            watching = stubs.catalog.WatchChanges(request)
            responses = aiter(watching)
            assert not (await anext(responses)).changes
            await put_rule(stubs, "r", f"query {head}")
            (change,) = (await anext(responses)).changes
            assert change == catalog_pb2.Change(
                revision=head + 1, kind=catalog_pb2.CHANGE_KIND_TUNING
            )
            watching.cancel()


async def test_a_search_says_which_rules_are_for_it(stubs: Stubs) -> None:
    await put_rule(stubs, "z-exact", "discos duros")
    await put_rule(stubs, "contains", "DISCO", match=pb.QUERY_MATCH_CONTAINS)
    await put_rule(stubs, "all")
    await put_rule(stubs, "off", active=False)
    found = await search(stubs, "disco duro")
    assert ids(found.rules) == ["all", "contains", "z-exact"]
    listed = (await stubs.tuning.ListRules(pb.ListRulesRequest())).rules
    assert list(found.rules) == [rule for rule in listed if rule.id != "off"]
    assert ids((await search(stubs, "disco duro externo")).rules) == ["all", "contains"]
    assert ids((await search(stubs, "disco duro", limit=0)).rules) == ids(found.rules)
    await stubs.tuning.DeleteRule(pb.DeleteRuleRequest(id="contains"))
    assert ids((await search(stubs, "disco duro")).rules) == ["all", "z-exact"]


async def test_a_misspelt_query_has_the_rules_of_what_was_searched(stubs: Stubs) -> None:
    await put_rule(stubs, "right", "laptop dell")
    await put_rule(stubs, "wrong", "lpatop dell")
    found = await search(stubs, "lpatop dell")
    assert found.corrected_query == "laptop dell"
    assert ids(found.rules) == ["right", "wrong"]
    assert ids((await search(stubs, "lpatop dell", literal=True)).rules) == ["wrong"]


async def test_synonyms_are_searched_by_at_once(stubs: Stubs) -> None:
    assert (await search(stubs, "hdd")).product_ids == ["hdd"]
    put = await put_synonyms(stubs, "disks", "disco duro", "HDD")
    found = await search(stubs, "hdd")
    assert found.product_ids == ["hdd", "disk"]
    assert found.synonym_ids == ["disks"]
    assert found.revision == put.revision
    found = await search(stubs, "Discos duros externos")
    # What holds one word of three is no better than before.
    assert found.product_ids[:2] == ["disk", "hdd"]
    assert list(found.scores) == sorted(found.scores, reverse=True)
    await stubs.tuning.DeleteSynonyms(pb.DeleteSynonymsRequest(id="disks"))
    found = await search(stubs, "hdd")
    assert found.product_ids == ["hdd"]
    assert not found.synonym_ids


async def test_what_holds_the_typed_words_comes_before_what_holds_their_synonyms(
    stubs: Stubs,
) -> None:
    # Rarer, so that it would score higher.
    await put_synonyms(stubs, "s", "externo", "vinilo")
    found = await search(stubs, "externo")
    assert set(found.product_ids[:2]) == {"disk", "hdd"}
    assert list(found.product_ids[2:]) == ["record"]
    assert list(found.scores) == sorted(found.scores, reverse=True)
    assert (await search(stubs, "externo", limit=2)).product_ids == found.product_ids[:2]


async def test_part_of_a_synonym_is_no_synonym(stubs: Stubs) -> None:
    await put_synonyms(stubs, "disks", "disco duro", "hdd")
    assert "record" not in (await search(stubs, "hdd")).product_ids
    assert "hdd" not in (await search(stubs, "disco")).product_ids


async def test_one_way_synonyms_are_found_one_way(stubs: Stubs) -> None:
    await put_synonyms(stubs, "s", "hdd", one_way_from="funda")
    assert (await search(stubs, "funda")).product_ids == ["case", "hdd"]
    assert (await search(stubs, "hdd")).product_ids == ["hdd"]


async def test_a_word_that_only_synonyms_know_is_not_corrected_away(stubs: Stubs) -> None:
    # One letter away from what a product has.
    assert (await search(stubs, "fundo externa")).corrected_query == "funda externa"
    await put_synonyms(stubs, "s", "hdd", one_way_from="fundo")
    found = await search(stubs, "fundo externo")
    assert found.corrected_query == ""
    assert found.product_ids[0] == "hdd"
    # Another word of the query still is.
    found = await search(stubs, "fundo exterrno")
    assert found.corrected_query == "fundo externo"
    assert found.synonym_ids == ["s"]
    assert found.product_ids[0] == "hdd"


async def test_a_misspelt_synonym_widens_as_the_right_one_does(stubs: Stubs) -> None:
    await put_synonyms(stubs, "disks", "disco duro", "hdd")
    found = await search(stubs, "dicso duro")
    assert found.corrected_query == "disco duro"
    assert found.product_ids[:2] == ["disk", "hdd"]
    assert found.synonym_ids == ["disks"]


async def test_quoted_words_are_found_by_themselves_alone(stubs: Stubs) -> None:
    await put_synonyms(stubs, "disks", "disco duro", "hdd")
    found = await search(stubs, '"disco duro"')
    assert found.product_ids == ["disk"]
    assert not found.synonym_ids
