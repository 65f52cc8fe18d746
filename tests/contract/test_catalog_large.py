"""What the SQLite store does differently where there is much: bounds made small for the test."""

import asyncio
import os
import random
import sqlite3
import threading
from collections import Counter
from pathlib import Path

import pytest

from services.catalog.holdings import Difference
from services.catalog.products import Product
from services.catalog.stores import TextHits, frequencies, learning, ranking, searching, soundness
from services.catalog.stores.sqlite import SqliteStore
from services.catalog.text import Rules, parsed
from services.common import filters, ordering
from services.common.errors import StartRefused, Unavailable
from tests.catalog_support import open_store, product
from tests.faults.storage_support import overwrite, root_page
from tests.support import until

RULES = Rules()


async def search(store: SqliteStore, query: str, limit: int = 10, passing: str = "") -> TextHits:
    return await store.search_text(parsed(query, RULES), filters.parse(passing), limit)


def ids_of(hits: TextHits) -> set[str]:
    return {hit.product_id for hit in hits.hits}


# words that many products hold


def red_things_and_cables() -> list[Product]:
    """Twelve red cables, thirty red things, and three hundred cables."""
    return [
        *(product(f"both{n}", name="cable rojo") for n in range(12)),
        *(product(f"red{n}", name="silla rojo", brand="Acme") for n in range(30)),
        *(product(f"cable{n}", name="cable") for n in range(300)),
    ]


async def test_common_words_alone_are_no_hits_where_rare_ones_give_enough(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert(red_things_and_cables(), 0)
        found = await search(store, "cable rojo", limit=20)
        assert {hit.product_id for hit in found.hits[:12]} == {f"both{n}" for n in range(12)}
        assert all(hit.product_id.startswith("red") for hit in found.hits[12:])
        assert len(found.hits) == 20
        assert not found.is_complete


async def test_common_words_count_for_what_rare_ones_find(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert(
            [
                *(product(f"all{n}", name="cable rojo mesa") for n in range(12)),
                *(product(f"rare{n}", name="mesa") for n in range(30)),
                *(product(f"two{n}", name="mesa cable") for n in range(5)),
                *(product(f"common{n}", name="cable rojo") for n in range(300)),
                *(product(f"other{n}", name="silla") for n in range(600)),
            ],
            0,
        )
        few = await search(store, "cable rojo mesa", limit=30)
        everything = await search(store, "cable rojo mesa", limit=1_000)
        assert not any(hit.product_id.startswith("common") for hit in few.hits)
        assert {hit.product_id for hit in few.hits[12:17]} == {f"two{n}" for n in range(5)}
        # No word counts twice, or not at all.
        scores = {hit.product_id: hit.score for hit in everything.hits}
        ratios = [hit.score / scores[hit.product_id] for hit in few.hits[12:]]
        assert ratios == pytest.approx([ratios[0]] * len(ratios))


async def test_where_rare_words_do_not_give_enough_common_ones_fill_up(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert(red_things_and_cables(), 0)
        everything = {each.id for each in red_things_and_cables()}
        found = await search(store, "cable rojo", limit=400)
        assert ids_of(found) == everything
        assert found.is_complete
        # The rare word has enough products, but not enough that pass.
        found = await search(store, "cable rojo", limit=20, passing='NOT brand = "Acme"')
        assert len(found.hits) == 20
        assert not any(hit.product_id.startswith("red") for hit in found.hits)


async def test_of_too_many_documents_those_with_the_word_in_their_name_are_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MAX_RANKED", 20)
    async with open_store(tmp_path) as store:
        await store.upsert(
            [product(f"named{n}", name="Cable") for n in range(5)]
            + [product(f"other{n}", name="Silla", description="cable") for n in range(50)],
            0,
        )
        found = await search(store, "cable", limit=30)
        assert ids_of(found) == {f"named{n}" for n in range(5)}
        # It would be a lie to say that there are no others.
        assert not found.is_complete


async def test_of_too_many_names_the_newest_products_are_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MAX_RANKED", 20)
    async with open_store(tmp_path) as store:
        await store.upsert([product(f"p{n:03}", name="Cable") for n in range(100)], 0)
        found = await search(store, "cable", limit=30)
        assert ids_of(found) == {f"p{n:03}" for n in range(80, 100)}
        assert not found.is_complete


async def test_an_order_is_of_more_products_than_are_ranked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MAX_RANKED", 20)
    monkeypatch.setattr(searching, "MAX_ORDERED", 60)
    async with open_store(tmp_path) as store:
        names = [product(f"p{n:03}", name=f"Cable {'rojo' * (n < 50)}", stock=n) for n in range(90)]
        await store.upsert(names, 0)
        rising = ordering.parse("stock")
        for query, first in (("cable rojo", 0), ("cable", 30)):
            found = await store.search_text(parsed(query, RULES), None, 5, rising)
            expected = [f"p{n:03}" for n in range(first, first + 5)]
            assert [hit.product_id for hit in found.hits] == expected


async def test_the_commonest_words_are_not_asked_for_where_all_would_be_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "MAX_SCANNED", 40)
    async with open_store(tmp_path) as store:
        await store.upsert(red_things_and_cables(), 0)
        found = await search(store, "cable rojo", limit=20)
        assert all(hit.product_id.startswith(("red", "both")) for hit in found.hits)
        assert len(found.hits) == 20


async def test_words_are_counted_anew_once_much_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frequencies, "_FRESH_REVISIONS", 50)
    async with open_store(tmp_path) as store:
        await store.upsert([product(f"both{n}", name="cable rojo") for n in range(12)], 0)
        assert len((await search(store, "cable rojo")).hits) == 10
        await store.upsert([product(f"cable{n}", name="cable") for n in range(300)], 0)
        await store.upsert([product(f"red{n}", name="silla rojo") for n in range(30)], 0)
        found = await search(store, "cable rojo", limit=20)
        assert not any(hit.product_id.startswith("cable") for hit in found.hits)


# products that are learned while the catalog serves


def counts(store: SqliteStore) -> Counter[str]:
    vocabulary = store.vocabulary
    return Counter({word: vocabulary.count(word) for word in vocabulary})


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_written_while_products_are_learned_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    words = ["mesa", "silla", "cable", "lampara", "taza"]

    def any_product(number: int) -> Product:
        name = " ".join(chance.sample(words, 2))
        return product(f"p{number}", name=name, active=chance.random() < 0.8)

    there = {f"p{n}": any_product(n) for n in range(60)}
    async with open_store(tmp_path) as store:
        await store.upsert(list(there.values()), 0)
    monkeypatch.setattr(learning, "LEARNED_BEFORE_SERVING", 0)
    monkeypatch.setattr(learning, "_PAGE_PRODUCTS", 3)
    async with open_store(tmp_path) as store:
        assert not store.holdings.is_complete
        assert {"es", "en"} <= store.holdings.languages
        for _ in range(15):
            changed = [any_product(chance.randrange(80)) for _ in range(3)]
            changed = list({each.id: each for each in changed}.values())
            await store.upsert(changed, 0)
            there |= {each.id: each for each in changed}
            gone = f"p{chance.randrange(80)}"
            await store.delete(gone)
            there.pop(gone, None)
        await until(lambda: store.holdings.is_complete, what="all is learned")
        expected = Difference()
        for each in there.values():
            if each.active:
                expected.count(each, 1)
        assert counts(store) == expected.words
        assert store.holdings.languages == {""}


# a database that is checked while it serves


async def large_and_damaged(folder: Path, table: str, patch: pytest.MonkeyPatch) -> Path:
    async with open_store(folder) as store:
        await store.upsert([product(f"p{n}", name=f"Lámpara {n}") for n in range(300)], 0)
    file = folder / "catalog.db"
    overwrite(file, root_page(file, table))
    patch.setattr(soundness, "CHECKED_BEFORE_SERVING_BYTES", 0)
    return file


async def test_a_large_catalog_serves_before_it_is_checked_and_no_longer_once_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await large_and_damaged(tmp_path, "products_by_category", monkeypatch)

    async with open_store(tmp_path) as store:

        async def is_refused() -> bool:
            try:
                await store.state()
            except Unavailable as error:
                return error.reason == "STORAGE_DAMAGED"
            return False

        await until(is_refused, what="reads are refused")
        with pytest.raises(Unavailable, match="start it again"):
            await store.upsert([product("new")], 0)
    # What is known to be damaged is not served again, not even for a moment.
    with pytest.raises(StartRefused, match="restore a backup"):
        async with open_store(tmp_path):
            pass
    assert file.exists()


async def test_a_large_catalog_whose_words_are_damaged_is_mended_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await large_and_damaged(tmp_path, "identifiers_by_product", monkeypatch)
    async with open_store(tmp_path) as store:
        while True:
            try:
                await store.state()
            except Unavailable:
                break
            await asyncio.sleep(0)
    for _ in range(2):
        async with open_store(tmp_path) as store:
            assert len((await search(store, "lámpara", limit=400)).hits) == 300
    assert not (tmp_path / "catalog.db-damaged").exists()


async def test_closing_does_not_wait_for_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(tmp_path) as store:
        await store.upsert([product("a")], 0)
    monkeypatch.setattr(soundness, "CHECKED_BEFORE_SERVING_BYTES", 0)
    has_begun = threading.Event()

    def check_without_end(_: Path, database: sqlite3.Connection) -> bool:
        has_begun.set()
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        database.execute(f"{endless} SELECT max(i) FROM n").fetchone()
        return True

    monkeypatch.setattr(soundness, "is_damaged", check_without_end)
    async with asyncio.timeout(10):
        async with open_store(tmp_path) as store:
            await asyncio.to_thread(has_begun.wait, 10)
            assert (await store.state()).product_count == 1
    assert os.listdir(tmp_path) == ["catalog.db"]  # noqa: PTH208
