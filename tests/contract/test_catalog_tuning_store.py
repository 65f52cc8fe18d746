"""What every store of rules and synonyms does. A new technology joins `opened`."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.catalog.catalog import Catalog
from services.catalog.changes import ChangeKind
from services.catalog.feed import ChangeFeed
from services.catalog.stores import Store
from services.catalog.stores.sqlite_tuning import SqliteTuning
from services.catalog.text import Rules
from services.catalog.tuning import (
    Boost,
    Kind,
    Pin,
    QueryMatch,
    Rule,
    Stored,
    Synonyms,
    TuningChange,
    TuningStore,
)
from services.common.errors import Overloaded
from tests.catalog_support import open_store, product

FULL = Rule(
    "full",
    queries=("cámara réflex", '"x" \\'),
    match=QueryMatch.CONTAINS,
    pins=(Pin("a/b ñ 😀", 3), Pin("c", 1)),
    buried_ids=("d",),
    boosts=(Boost('brand = "HP"', 1.1), Boost("price < 5", 0.01)),
    active=False,
    description="línea\notra",
)
DISKS = Synonyms("disks", ("disco duro", "hdd"))
ONE_WAY = Synonyms("one-way", ("ps5",), one_way_from="play")


@asynccontextmanager
async def opened(
    folder: Path, on_commit: Callable[[int], None] = lambda _: None
) -> AsyncIterator[tuple[TuningStore, Store]]:
    async with (
        open_store(folder, on_commit) as store,
        SqliteTuning(store.database, on_commit=on_commit, text_rules=Rules()) as tuning,
    ):
        yield tuning, store


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[TuningStore, Store]]:
    async with opened(tmp_path) as running:
        yield running


Both = tuple[TuningStore, Store]


async def log_of(store: TuningStore, before: int = 2**62) -> list[TuningChange]:
    return list((await store.changes_before(before, 100)).changes)


async def test_what_was_put_is_in_force_and_outlives_the_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, _):
        stored = [await store.put(FULL, "ana", 7), await store.put(Rule("a"), "", 8)]
        others = [await store.put(ONE_WAY, "", 9), await store.put(DISKS, "", 10)]
        assert [rule.revision for rule in stored] == [1, 2]
        assert [synonyms.revision for synonyms in others] == [3, 4]
        assert store.in_force.rules.entries() == [stored[1], stored[0]]
    async with opened(tmp_path) as (store, products):
        assert store.in_force.rules.entries() == [stored[1], stored[0]]
        assert store.in_force.synonyms.entries() == [others[1], others[0]]
        assert stored[0] == Stored(FULL, 1, 7)
        assert (await products.state()).revision == 4
        assert store.in_force.synonyms.known_words("hdd") == {"hdd"}


async def test_an_equal_put_takes_no_revision_and_leaves_no_trace(both: Both) -> None:
    store, products = both
    first = await store.put(FULL, "ana", 7)
    assert await store.put(FULL, "eva", 8) == first
    assert (await products.state()).revision == 1
    assert len(await log_of(store)) == 1


async def test_rules_and_synonyms_of_one_id_are_different_things(both: Both) -> None:
    store, _ = both
    rule = await store.put(Rule("same"), "", 1)
    await store.put(Synonyms("same", ("a", "b")), "", 2)
    assert (await store.delete(Kind.SYNONYMS, "same", "", 3)).was_there
    assert store.in_force.rules.entries() == [rule]
    assert store.in_force.synonyms.entries() == []


async def test_a_deletion_takes_a_revision_only_if_there_was_something(both: Both) -> None:
    store, products = both
    await store.put(DISKS, "", 1)
    gone = await store.delete(Kind.SYNONYMS, "disks", "", 2)
    assert (gone.was_there, gone.revision) == (True, 2)
    absent = await store.delete(Kind.SYNONYMS, "disks", "", 3)
    assert (absent.was_there, absent.revision) == (False, 2)
    assert (await products.state()).revision == 2
    assert len(await log_of(store)) == 2


async def test_the_log_says_who_did_what_and_when_the_newest_first(both: Both) -> None:
    store, products = both
    one = await store.put(Rule("r", ("x",)), "ana", 10)
    await products.upsert([product("p")], 11)
    two = await store.put(Rule("r", ("y",)), "eva", 12)
    await store.delete(Kind.RULE, "r", "", 13)
    synonyms = await store.put(ONE_WAY, "ana", 14)
    assert await log_of(store) == [
        TuningChange(5, 14, "ana", None, synonyms),
        TuningChange(4, 13, "", two, None),
        TuningChange(3, 12, "eva", one, two),
        TuningChange(1, 10, "ana", None, one),
    ]
    page = await store.changes_before(4, 1)
    assert ([change.revision for change in page.changes], page.has_more) == ([3], True)
    page = await store.changes_before(3, 1)
    assert ([change.revision for change in page.changes], page.has_more) == ([1], False)
    assert await log_of(store, before=1) == []


async def test_a_page_of_the_log_fits_in_a_message(both: Both) -> None:
    store, _ = both
    for number in range(12):
        buried = tuple(f"{number}{'ñ' * 500}{place}" for place in range(500))
        await store.put(Rule("r", buried_ids=buried), "", number)
    first = await store.changes_before(13, 12)
    assert 1 < len(first.changes) < 12
    assert first.has_more
    rest = await store.changes_before(first.changes[-1].revision, 12)
    assert rest.changes[0].revision == first.changes[-1].revision - 1


async def test_each_change_is_in_the_feed_without_a_product(both: Both) -> None:
    store, products = both
    await products.upsert([product("p", category="A")], 0)
    await store.put(DISKS, "", 1)
    await store.delete(Kind.SYNONYMS, "disks", "", 2)
    await products.upsert([product("q")], 3)
    for with_products in (True, False):
        page = await products.changes_after(0, with_products=with_products)
        assert [(change.revision, change.kind) for change in page.changes] == [
            (1, ChangeKind.UPSERT),
            (2, ChangeKind.TUNING),
            (3, ChangeKind.TUNING),
            (4, ChangeKind.UPSERT),
        ]
        tuned = page.changes[1]
        assert (tuned.product_id, tuned.product) == ("", None)
        assert (tuned.category_before, tuned.category_after) == (None, None)
        assert page.head_revision == 4
    assert (await products.state()).product_count == 2


async def test_a_write_is_in_force_when_it_is_announced(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def note(revision: int) -> None:
        if stores:
            seen.append((revision, len(stores[0].in_force.rules.entries())))

    stores: list[TuningStore] = []
    async with opened(tmp_path, note) as (store, _):
        stores.append(store)
        await store.put(Rule("a"), "", 1)
        await store.put(Rule("b"), "", 1)
        await store.delete(Kind.RULE, "a", "", 1)
    assert seen == [(1, 1), (2, 2), (3, 1)]


async def test_a_search_claims_no_revision_whose_rules_it_may_not_know(both: Both) -> None:
    store, products = both
    feed = ChangeFeed()
    catalog = Catalog(products, feed, store.in_force, default_currency="", text_rules=Rules())
    await products.upsert([product("p", name="x")], 0)
    await store.put(Rule("r"), "", 1)
    feed.announce(1)
    assert (await catalog.search_text("x", 10, "", literal=False)).revision == 1
    feed.announce(2)
    assert (await catalog.search_text("x", 10, "", literal=False)).revision == 2


async def test_writes_at_once_take_a_revision_each(both: Both) -> None:
    store, products = both
    await asyncio.gather(
        *(store.put(Rule(f"r{number}"), "", 1) for number in range(20)),
        *(products.upsert([product(f"p{number}")], 1) for number in range(20)),
    )
    page = await products.changes_after(0, with_products=False)
    assert [change.revision for change in page.changes] == list(range(1, 41))
    assert len(store.in_force.rules.entries()) == 20


async def test_there_may_be_so_many_and_no_more(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = both
    monkeypatch.setattr(Kind, "limit", 2)
    for rule in (Rule("a"), Rule("b")):
        await store.put(rule, "", 1)
    for synonyms in (DISKS, ONE_WAY):
        await store.put(synonyms, "", 1)
    with pytest.raises(Overloaded) as refused:
        await store.put(Rule("c"), "", 2)
    assert refused.value.reason == "TOO_MANY_RULES"
    with pytest.raises(Overloaded) as refused:
        await store.put(Synonyms("c", ("x", "y")), "", 2)
    assert refused.value.reason == "TOO_MANY_SYNONYMS"
    changed = await store.put(Rule("a", ("x",)), "", 2)
    assert changed.revision == 5
    await store.delete(Kind.RULE, "b", "", 3)
    assert (await store.put(Rule("c"), "", 4)).revision == 7
