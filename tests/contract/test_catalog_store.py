"""What every store of the catalog does. A new technology joins `stores`."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from services.catalog.changes import Change, ChangeKind, Outcome
from services.catalog.products import Product
from services.catalog.stores import MAX_PAGE_BYTES, MAX_PAGE_CHANGES, Store, TextHit
from services.catalog.text import Rules, TextQuery, parsed, vocabulary_words
from services.common import categories, filters
from tests.catalog_support import open_store, product

NOW_US = 1_700_000_000_000_000
RULES = Rules()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path) as opened:
        yield opened


async def all_changes(store: Store, after: int = 0) -> list[Change]:
    changes: list[Change] = []
    while True:
        page = await store.changes_after(after, with_products=True)
        if not page.changes:
            return changes
        changes += page.changes
        after = changes[-1].revision


async def hits_of(store: Store, query: str, passing: str = "", limit: int = 10) -> list[TextHit]:
    found = await store.search_text(parsed(query, RULES), filters.parse(passing), limit)
    scores = [hit.score for hit in found.hits]
    assert all(score > 0 for score in scores)
    assert scores == sorted(scores, reverse=True)
    return found.hits


async def found(store: Store, query: str, passing: str = "", limit: int = 10) -> list[str]:
    return [hit.product_id for hit in await hits_of(store, query, passing, limit)]


async def named(store: Store, query: str) -> list[str]:
    found = await store.search_text(parsed(query, RULES), None, 10)
    return [hit.product_id for hit in found.hits[: found.exact_identifiers]]


async def test_a_new_catalog_is_at_revision_zero(store: Store) -> None:
    state = await store.state()
    assert (state.revision, state.product_count) == (0, 0)
    assert state.catalog_id


async def test_a_product_comes_back_as_it_went_in(store: Store) -> None:
    full = product(
        "a/b ñ 😀",
        description='x\n\t"',
        category="A > B",
        brand="B",
        price="0.0001",
        currency="EUR",
        stock=2**63 - 1,
        attributes={"s": "ñ", "n": 0.1, "t": True},
        image_url="https://x/y",
        active=False,
        language="es",
    )
    await store.upsert([full, product("p2", price="999999999999.9999", currency="USD")], NOW_US)
    read = await store.get(["a/b ñ 😀", "absent", "p2"])
    by_id = {stored.product.id: stored for stored in read.products}
    assert by_id.keys() == {"a/b ñ 😀", "p2"}
    assert by_id["a/b ñ 😀"].product == full
    assert by_id["a/b ñ 😀"].create_time_us == by_id["a/b ñ 😀"].update_time_us == NOW_US
    assert str(by_id["p2"].product.price) == "999999999999.9999"
    assert read.revision == 2


async def test_an_equal_product_takes_no_revision(store: Store) -> None:
    first = await store.upsert([product("a"), product("b")], NOW_US)
    assert [result.outcome for result in first.results] == [Outcome.CREATED] * 2
    again = await store.upsert([product("a"), product("b", stock=1), product("c")], NOW_US + 5)
    assert [(r.outcome, r.stored.revision) for r in again.results] == [
        (Outcome.UNCHANGED, 1),
        (Outcome.UPDATED, 3),
        (Outcome.CREATED, 4),
    ]
    updated = again.results[1].stored
    assert (updated.create_time_us, updated.update_time_us) == (NOW_US, NOW_US + 5)
    assert again.revision == (await store.state()).revision == 4
    assert (await store.state()).product_count == 3


async def test_an_upsert_of_nothing_changes_nothing(store: Store) -> None:
    await store.upsert([product()], NOW_US)
    assert await store.upsert([], NOW_US) is not None
    assert (await store.state()).revision == 1


async def test_a_deletion_takes_a_revision_only_if_there_was_a_product(store: Store) -> None:
    await store.upsert([product("a")], NOW_US)
    gone = await store.delete("a")
    assert (gone.was_there, gone.revision) == (True, 2)
    absent = await store.delete("a")
    assert (absent.was_there, absent.revision) == (False, 2)
    assert (await store.get(["a"])).products == []
    assert (await store.state()).product_count == 0
    back = await store.upsert([product("a")], NOW_US + 9)
    assert back.results[0].outcome is Outcome.CREATED
    assert back.results[0].stored.create_time_us == NOW_US + 9


async def test_a_change_carries_its_product_only_while_it_is_the_last(store: Store) -> None:
    await store.upsert([product("a", category="A"), product("b")], NOW_US)
    await store.upsert([product("a", category="B")], NOW_US)
    await store.delete("b")
    changes = await all_changes(store)
    assert [
        (c.revision, c.kind, c.product_id, c.category_before, c.category_after) for c in changes
    ] == [
        (1, ChangeKind.UPSERT, "a", None, "A"),
        (2, ChangeKind.UPSERT, "b", None, ""),
        (3, ChangeKind.UPSERT, "a", "A", "B"),
        (4, ChangeKind.DELETE, "b", "", None),
    ]
    assert [c.product.product.category if c.product else None for c in changes] == [
        None,
        None,
        "B",
        None,
    ]
    bare = await store.changes_after(0, with_products=False)
    assert [c.revision for c in bare.changes] == [1, 2, 3, 4]
    assert all(c.product is None for c in bare.changes)


async def test_changes_come_in_pages(store: Store) -> None:
    await store.upsert([product(f"p{i}") for i in range(MAX_PAGE_CHANGES)], NOW_US)
    await store.upsert([product(f"q{i}") for i in range(3)], NOW_US)
    for with_products in (True, False):
        first = await store.changes_after(0, with_products=with_products)
        assert [c.revision for c in first.changes] == list(range(1, MAX_PAGE_CHANGES + 1))
        rest = await store.changes_after(MAX_PAGE_CHANGES, with_products=with_products)
        assert len(rest.changes) == 3
        end = await store.changes_after(rest.head_revision, with_products=with_products)
        assert end.changes == []
        assert end.head_revision == MAX_PAGE_CHANGES + 3
        assert end.catalog_id == (await store.state()).catalog_id


async def test_pages_of_large_products_are_cut_and_miss_nothing(store: Store) -> None:
    large = {f"n{i}": "x" * 10_000 for i in range(300)}
    huge = {f"n{i}": "é" * 10_000 for i in range(500)}
    assert product(attributes=huge).size_bytes > MAX_PAGE_BYTES
    sizes = [large, {}, large, huge, large, large, {}]
    for number, attributes in enumerate(sizes):
        await store.upsert([product(f"p{number}", attributes=attributes)], NOW_US)
    ids = [f"p{number}" for number in range(len(sizes))]

    listed: list[str] = []
    while True:
        page = await store.page(listed[-1] if listed else "", "", 1_000)
        assert page.products
        assert (
            len(page.products) == 1
            or sum(s.product.size_bytes for s in page.products) <= MAX_PAGE_BYTES
        )
        listed += [stored.product.id for stored in page.products]
        if not page.has_more:
            break
    assert listed == ids
    assert [c.product_id for c in await all_changes(store) if c.product] == ids


async def test_a_listing_sees_each_product_once_in_the_order_of_ids(store: Store) -> None:
    ids = ["", "B", "a", "a/b", "ab", "é", "😀", "z"][1:]
    await store.upsert([product(i) for i in random.Random(1).sample(ids, len(ids))], NOW_US)
    listed: list[str] = []
    has_more = True
    while has_more:
        page = await store.page(listed[-1] if listed else "", "", 2)
        assert 1 <= len(page.products) <= 2
        listed += [stored.product.id for stored in page.products]
        has_more = page.has_more
    assert listed == sorted(ids)
    assert (await store.page("", "", len(ids))).has_more is False
    assert (await store.page("😀", "", 5)).products == []


async def test_a_category_holds_those_below_it_and_no_namesakes(store: Store) -> None:
    paths = {
        "a": "Audio",
        "b": "Audio > Hi-Fi",
        "c": "Audio > Hi-Fi > Tuners",
        "d": "Audiobooks",
        "e": "Audio & Video",
        "f": "audio",
        "g": "",
        "h": "100% _wool_",
        "i": "100% _wool_ > Socks",
        "j": "100x xwoolx > Socks",
    }
    await store.upsert([product(i, category=path) for i, path in paths.items()], NOW_US)
    for category, expected in [
        ("Audio", "abc"),
        ("Audio > Hi-Fi", "bc"),
        ("Audio > Hi", ""),
        ("100% _wool_", "hi"),
        ("'; DROP TABLE products; --", ""),
        ("", "abcdefghij"),
    ]:
        page = await store.page("", category, 100)
        assert "".join(s.product.id for s in page.products) == expected
        passing = f'category = "{category}"' if category else ""
        assert sorted(await found(store, "lámpara", passing)) == list(expected)
    counts = await store.category_counts()
    assert counts.counts == dict.fromkeys(paths.values(), 1)
    assert counts.revision == len(paths)


async def test_counts_of_an_empty_catalog(store: Store) -> None:
    assert (await store.category_counts()).counts == {}
    page = await store.page("", "", 10)
    assert (page.products, page.has_more, page.revision) == ([], False, 0)


async def test_words_follow_their_product(store: Store) -> None:
    await store.upsert([product("a", name="Silla roja"), product("b", name="Mesa roja")], NOW_US)
    assert await found(store, "sillas rojas") == ["a", "b"]
    await store.upsert([product("a", name="Sillón azul")], NOW_US)
    assert await found(store, "silla") == []
    assert await found(store, "SILLÓN") == ["a"]
    await store.upsert([product("a", name="Sillón azul", active=False)], NOW_US)
    assert await found(store, "sillón") == []
    await store.upsert([product("a", name="Sillón azul", stock=1)], NOW_US)
    assert await found(store, "sillones") == ["a"]
    await store.delete("a")
    assert await found(store, "sillón") == []
    assert await found(store, "roja") == ["b"]


async def test_a_name_counts_more_than_a_description(store: Store) -> None:
    await store.upsert(
        [
            product("a", name="Funda", description="Para su cámara"),
            product("b", name="Cámara", description="Con su funda"),
        ],
        NOW_US,
    )
    assert await found(store, "cámaras") == ["b", "a"]


async def test_products_with_all_words_come_before_those_with_some(store: Store) -> None:
    await store.upsert(
        [
            product("some", name="raton raton raton", brand="raton", category="raton"),
            product("all", name="Almohadilla", description="para un raton y un teclado, sin gel"),
            *(product(f"x{i}", name="teclado") for i in range(5)),
        ],
        NOW_US,
    )
    ids = await found(store, "ratón teclado", limit=3)
    assert ids[:2] == ["all", "some"]
    assert len(ids) == 3


async def test_model_numbers_are_found_however_they_are_written(store: Store) -> None:
    await store.upsert(
        [
            product("a", name="Brother TN-2110 toner"),
            product("b", name="Brother TN2110 toner"),
            product("c", name="Xerox 006R90321 toner"),
            product("d", name="Brother 2110 toner"),
        ],
        NOW_US,
    )
    assert set((await found(store, "tn-2110"))[:2]) == {"a", "b"}
    assert set(await found(store, "TN2110")) == {"a", "b"}
    assert await found(store, "006r90321") == ["c"]


async def test_what_bears_an_identifier_comes_first_however_it_is_written(store: Store) -> None:
    await store.upsert(
        [
            product("a", name="Toner for HL, TN-2110", attributes={"ean": 4977766654142.0}),
            product("b", name="TN 2110 toner, tn 2110 toner", brand="tn", category="2110"),
            product("ELEC/CABLE 3M", name="Cable"),
            product("d", name="Cable", attributes={"part_number": "WH1000-XM4, WH1000XM5"}),
            product("e", name="Cable", attributes={"colour": "WH1000XM4"}),
        ],
        NOW_US,
    )
    for query in ("TN-2110", "tn2110", "toner TN 2110", "4977766654142", "04977766654142"):
        assert await named(store, query) == ["a"], query
        assert (await found(store, query))[0] == "a"
    assert await named(store, "elec/cable 3m") == ["ELEC/CABLE 3M"]
    assert await named(store, "wh 1000xm5") == ["d"]
    assert await named(store, "toner") == []
    assert (await found(store, "cable WH1000XM4"))[0] == "d"


async def test_an_identifier_of_many_products_is_none(store: Store) -> None:
    many = [product(f"p{i}", name=f"Rtx2060 {i}") for i in range(20)]
    await store.upsert(many, NOW_US)
    assert len(await named(store, "rtx2060")) == 10
    await store.upsert([product("one more", name="RTX2060", category="A")], NOW_US)
    assert await named(store, "rtx2060") == []
    only = await store.search_text(parsed("rtx2060", RULES), filters.parse('category="A"'), 10)
    assert [hit.product_id for hit in only.hits] == ["one more"]
    assert only.exact_identifiers == 0


async def test_identifiers_follow_their_product_and_the_filter(store: Store) -> None:
    await store.upsert([product("a", name="TN2110", brand="B"), product("b")], NOW_US)
    assert await hits_of(store, "tn2110", 'brand = "C"') == []
    of_brand = await store.search_text(parsed("tn2110", RULES), filters.parse('brand = "B"'), 10)
    assert of_brand.exact_identifiers == 1
    await store.upsert([product("a", name="TN2220", brand="B")], NOW_US)
    assert await named(store, "tn2110") == []
    assert await named(store, "TN-2220") == ["a"]
    await store.upsert([product("a", name="TN2220", active=False)], NOW_US)
    assert await named(store, "tn2220") == []
    await store.upsert([product("a", name="TN2220")], NOW_US)
    await store.delete("a")
    assert await named(store, "tn2220") == []


async def test_a_quantity_is_found_however_it_is_written_and_only_as_a_whole(store: Store) -> None:
    await store.upsert(
        [
            product("joined", name="Memory 8GB"),
            product("apart", name="Memory 8 GB"),
            product("far", name="Memory GB, 8 pieces"),
        ],
        NOW_US,
    )
    for query in ("8GB", "8 gb", "8-GB", "8 gigabytes"):
        assert sorted(await found(store, query)) == ["apart", "joined"], query


async def test_a_phrase_is_required_as_adjacent_words(store: Store) -> None:
    await store.upsert(
        [
            product("a", name="Red apple watch"),
            product("b", name="Watch of apple"),
            product("c", name="Watch", description="Apple watches are others"),
            product("d", name="TN2110", attributes={"note": "an apple watch"}),
            product("e", name="TN2110"),
        ],
        NOW_US,
    )
    for query in ('"apple watch"', "“Apple Watch”", "«apple watches»"):
        assert sorted(await found(store, query)) == ["a", "c", "d"], query
    assert (await found(store, '"apple watch" red'))[0] == "a"
    assert len(await found(store, '"apple watch" red')) == 3
    assert (await found(store, 'tn2110 "apple watch"'))[0] == "d"
    assert await named(store, 'tn2110 "apple watch"') == ["d"]


async def test_indexed_words_are_those_that_an_active_product_holds(store: Store) -> None:
    await store.upsert(
        [
            product("a", name="Silla", description="comoda"),
            product("b", name="Mesa", active=False),
        ],
        NOW_US,
    )
    assert await store.indexed(["silla", "comoda", "mesa", "otra"]) == {"silla", "comoda"}
    assert await store.indexed([]) == set()


def recount(products: Iterable[Product]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for each in products:
        if each.active:
            counts.update(vocabulary_words(each.name, each.brand, each.category))
    return counts


def recount_labels(products: Iterable[Product]) -> list[object]:
    """Return categories with those below them, brands and languages of active products."""
    active = [each for each in products if each.active]
    paths = (path for each in active for path in categories.self_and_ancestors(each.category))
    brands = Counter(each.brand for each in active)
    return [Counter(paths), brands, {each.language for each in active}]


def labels_of(store: Store) -> list[object]:
    held = store.holdings
    return [held.categories.weights(), held.brands.weights(), held.languages]


async def test_what_is_held_equals_a_recount_after_any_writes(tmp_path: Path) -> None:
    chance = random.Random(11)
    words = ["Silla", "mesa", "SILLA", "cámara", "wi-fi", "8 GB", "x", "roja"]
    held: dict[str, Product] = {}
    async with open_store(tmp_path) as store:
        for _ in range(120):
            ids = chance.sample("abcdefgh", chance.randint(1, 4))
            if chance.random() < 0.3:
                held.pop(ids[0], None)
                await store.delete(ids[0])
            else:
                batch = [
                    product(
                        product_id,
                        name=" ".join(chance.choices(words, k=2)),
                        brand=chance.choice(words),
                        category=chance.choice([*words, "mesa > roja"]),
                        language=chance.choice(["", "", "es", "fr"]),
                        active=chance.random() < 0.8,
                        stock=chance.randint(0, 1),
                    )
                    for product_id in ids
                ]
                held |= {each.id: each for each in batch}
                await store.upsert(batch, NOW_US)
            expected = recount(held.values())
            assert {word: store.vocabulary.count(word) for word in store.vocabulary} == expected
            assert labels_of(store) == recount_labels(held.values())
    async with open_store(tmp_path) as again:
        assert {word: again.vocabulary.count(word) for word in again.vocabulary} == expected
        assert labels_of(again) == recount_labels(held.values())


async def found_in_languages(store: Store, query: str) -> list[str]:
    rules = RULES.reading(store.holdings.languages)
    hits = await store.search_text(parsed(query, rules), None, 10)
    return sorted(hit.product_id for hit in hits.hits)


async def test_a_product_is_found_by_the_inflections_of_its_language(store: Store) -> None:
    await store.upsert(
        [
            product("en", name="Running shoes", language="en"),
            product("es", name="Zapatillas para correr", language="es"),
            product("none", name="Running: correr"),
            product("hidden", name="Running", language="en", active=False),
        ],
        NOW_US,
    )
    assert await found_in_languages(store, "runs") == ["en"]
    assert await found_in_languages(store, "corriendo") == ["es"]
    assert await found_in_languages(store, "running") == ["en", "none"]
    assert await found_in_languages(store, "correr") == ["es", "none"]
    assert await found_in_languages(store, '"running shoe"') == ["en"]
    assert await found_in_languages(store, '"shoe running"') == []


async def test_another_language_indexes_a_product_anew(store: Store) -> None:
    await store.upsert([product("a", name="Running")], NOW_US)
    assert await found_in_languages(store, "runs") == []
    await store.upsert([product("a", name="Running", language="en")], NOW_US)
    assert await found_in_languages(store, "runs") == ["a"]
    await store.upsert([product("a", name="Running", language="fr")], NOW_US)
    assert await found_in_languages(store, "runs") == []
    assert (await store.state()).revision == 3


@pytest.mark.parametrize(
    "query",
    [
        '" OR *',
        '"',
        "lampara*",
        "NEAR(lampara mesa, 2)",
        "name:lampara",
        "{name brand} : lampara",
        "lampara NOT mesa",
        "lampara AND",
        "^lampara",
        "-lampara",
        "lampara' OR '1'='1",
        "(((lampara",
        "lampara\0mesa",
        "lampara + mesa",
        "lampara;DROP TABLE words",
    ],
)
async def test_no_syntax_reaches_the_index(store: Store, query: str) -> None:
    await store.upsert([product("a"), product("b", name="Silla")], NOW_US)
    assert await found(store, query) in ([], ["a"])
    assert await found(store, "mesa") == ["a"]


@pytest.mark.parametrize(
    "query", ["𞤀𞤁", "ꟺ", "ガラス", "हिन्दी", "电脑", "ꬰ-ꬱ", "\U0001e290", "½", "٣"]
)
async def test_words_of_any_script_are_found(store: Store, query: str) -> None:
    await store.upsert([product("a", name=f"x {query} y"), product("b", name="z")], NOW_US)
    # FTS5 knows the letters of Unicode 6.1: newer ones are not found, but harm nobody.
    assert await found(store, query) in (["a"], [])
    assert await found(store, f"{query} x") == ["a"]


async def test_a_query_of_no_words_finds_nothing_and_says_the_revision(store: Store) -> None:
    await store.upsert([product()], NOW_US)
    hits = await store.search_text(TextQuery(), None, 10)
    assert (hits.hits, hits.revision) == ([], 1)
    hits = await store.search_text(parsed("nada", RULES), None, 10)
    assert (hits.hits, hits.revision) == ([], 1)


async def test_revisions_have_no_gaps_under_concurrent_writers(store: Store) -> None:
    chance = random.Random(7)

    async def write(writer: int) -> None:
        for _ in range(15):
            ids = chance.sample(range(12), chance.randint(1, 4))
            if chance.random() < 0.3:
                await store.delete(f"p{ids[0]}")
            else:
                await store.upsert(
                    [product(f"p{i}", stock=chance.randint(0, 2)) for i in ids], NOW_US + writer
                )

    await asyncio.gather(*(write(writer) for writer in range(8)))
    changes = await all_changes(store)
    state = await store.state()
    assert [change.revision for change in changes] == list(range(1, state.revision + 1))
    # Replayed, the feed gives what the store holds.
    replayed = {c.product_id: c.product for c in changes if c.kind is ChangeKind.UPSERT}
    for change in changes:
        if change.kind is ChangeKind.DELETE:
            replayed.pop(change.product_id, None)
        elif change.product:
            replayed[change.product_id] = change.product
    held = (await store.page("", "", 100)).products
    assert {p.product.id: p for p in held} == replayed
    assert state.product_count == len(held)
    assert sorted(await found(store, "lámpara", limit=100)) == sorted(replayed)


async def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    await store.upsert([product("first")], NOW_US)
    writing = asyncio.ensure_future(
        store.upsert([product(f"p{i}", description="x y z " * 500) for i in range(500)], NOW_US)
    )
    reads = 0
    while not writing.done():
        read = await store.get(["first", "p499"])
        assert len(read.products) == (2 if read.revision == 501 else 1)
        reads += 1
    await writing
    assert reads > 3


async def test_a_cancelled_write_is_done_wholly_or_not_at_all(tmp_path: Path) -> None:
    announced: list[int] = []
    async with open_store(tmp_path, announced.append) as store:
        for round_number in range(30):
            before = (await store.state()).revision
            batch = [product(f"r{round_number}-{i}") for i in range(20)]
            writing = asyncio.ensure_future(store.upsert(batch, NOW_US))
            for _ in range(round_number):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            # The next write is not locked out, and comes after what became of the last.
            after = await store.upsert([product(f"then-{round_number}")], NOW_US)
            assert after.revision - before in (1, 21)
        assert [c.revision for c in await all_changes(store)] == list(range(1, after.revision + 1))
        assert announced[-1] == after.revision
        assert announced == sorted(announced)


async def test_cancelled_reads_leave_connections_for_others(store: Store) -> None:
    await store.upsert([product(f"p{i}") for i in range(200)], NOW_US)
    for round_number in range(40):
        reading = [asyncio.ensure_future(store.page("", "", 100)) for _ in range(4)]
        for _ in range(round_number % 15):
            await asyncio.sleep(0)
        for read in reading:
            read.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    async with asyncio.timeout(10):
        pages = await asyncio.gather(*(store.page("", "", 100) for _ in range(8)))
    assert all(len(page.products) == 100 for page in pages)


async def test_what_was_written_is_there_when_it_opens_again(tmp_path: Path) -> None:
    announced: list[int] = []
    async with open_store(tmp_path) as store:
        await store.upsert([product("a"), product("b")], NOW_US)
        state = await store.state()
    async with open_store(tmp_path, announced.append) as again:
        assert await again.state() == state
        assert announced == [2]
        assert await found(again, "lámpara") == ["a", "b"]
