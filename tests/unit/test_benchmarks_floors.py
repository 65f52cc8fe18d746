"""The floors answer the same questions as the product."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.floors import BareTables
from benchmarks.one_process import OneProcess
from services.catalog.products import ProductDraft
from services.embedder.spaces import Purpose
from services.index.model import Batch, Columns

NAMES = {"1": "red kettle of steel", "2": "garden chair", "3": "electric kettle"}
PRICES = {"1": 20.0, "2": 35.0, "3": 50.0}


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[BareTables]:
    products = [
        {"id": id_, "name": name, "price": PRICES[id_], "attributes": {"colour": "red"}}
        for id_, name in NAMES.items()
    ]
    with BareTables(tmp_path / "floor.db", products) as tables:
        yield tables


def test_bare_full_text_finds_what_holds_any_word(tables: BareTables) -> None:
    assert {key for key, _ in tables.words("kettle, electric")} == {1, 3}
    assert tables.words("electric kettle")[0][0] == 3
    assert not tables.words("sofa")


def test_bare_rows_are_whole_products(tables: BareTables) -> None:
    (row,) = tables.rows(["2", "no such product"])
    assert {"2", "garden chair", "35.0", '{"colour": "red"}'} <= set(row)


async def test_one_process_finds_by_words_and_by_meaning(tmp_path: Path) -> None:
    async with OneProcess(tmp_path) as one:
        for id_, name in NAMES.items():
            await one.catalog.upsert(_draft(id_, name))
        embedded = await one.embedder.embed(list(NAMES.values()), [], Purpose.DOCUMENT)
        rows = [
            (
                Columns(
                    id_, b"", "", "", int(PRICES[id_] * 10_000), None, is_active=True, revision=n
                ),
                embedded.vectors[n - 1],
            )
            for n, id_ in enumerate(NAMES, start=1)
        ]
        await one.collection.apply(Batch(len(rows), "catalog", is_at_head=True, embedded=rows))
        seconds, ids = await one.search("electric kettle", "")
        _, cheap = await one.search("electric kettle", "price < 40")
    assert (ids[0], set(ids)) == ("3", set(NAMES))
    assert set(cheap) == {"1", "2"}
    assert {"text", "embed", "index", "fuse", "hydrate", "total"} < seconds.keys()
    assert seconds["total"] >= max(seconds["text"], seconds["embed"] + seconds["index"])


def _draft(id_: str, name: str) -> ProductDraft:
    return ProductDraft(
        id=id_, name=name, description="", category="", brand="", price=str(PRICES[id_]),
        currency="EUR", stock=None, attributes={}, image_url="", active=True,
    )  # fmt: skip
