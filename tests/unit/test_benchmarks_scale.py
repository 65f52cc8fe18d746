"""The synthetic shop that growth is measured with, its vectors, and the laws that are fitted."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.scale.drawing import Drawing, code_of
from benchmarks.scale.exact import nearest
from benchmarks.scale.growth import between, logarithmic, power_law
from benchmarks.scale.shop import FRACTIONS, Shop

DIMENSIONS, NEIGHBOURS, ANCHORS = 16, 8, 60
PRODUCTS = [
    {
        "id": f"real-{n}",
        "name": f"Toner {n}",
        "brand": "Xerox",
        "price": n * 1.25,
        "currency": "EUR",
    }
    for n in range(1, 41)
] + [{"id": "free", "name": "No price", "attributes": {"colour": "black", "usb": True, "cm": 3}}]


def unit(rows: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> Drawing:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ rows.T
    np.fill_diagonal(cosines, -2)
    return Drawing(rows, np.argsort(-cosines, axis=1)[:, :NEIGHBOURS].astype(np.int32))


def drawing() -> Drawing:
    random = np.random.default_rng(1)
    return unit(random.standard_normal((ANCHORS, DIMENSIONS)).astype(np.float32))


def at(number: int, version: int = 0) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    return drawing().draw(np.array([number]), np.array([version]))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30), st.integers(0, 1000))
def test_a_product_has_the_same_vector_in_whatever_company(
    numbers: list[int], version: int
) -> None:
    together = drawing().draw(np.array(numbers), np.full(len(numbers), version))
    for number, vector in zip(numbers, together, strict=True):
        np.testing.assert_allclose(vector, at(number, version)[0], atol=1e-6)


def test_the_text_of_a_product_tells_its_vector_by_the_code_in_it() -> None:
    texts = [f"Toner {code_of(12, 3)}. Xerox", f"Toner {code_of(12, 4)}. Xerox", "toner"]
    vectors = drawing().vectors_of(texts)
    np.testing.assert_allclose(vectors[0], at(12, 3)[0], atol=1e-6)
    np.testing.assert_allclose(vectors[1], at(12, 4)[0], atol=1e-6)
    assert abs(vectors @ vectors.T - np.eye(3)).max() > 0.01
    assert vectors[0] @ vectors[1] < 0.9999
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_drawn_vectors_lie_around_their_anchors() -> None:
    random = np.random.default_rng(2)
    centres = np.repeat(np.eye(DIMENSIONS, dtype=np.float32)[:4], 15, axis=0)
    clusters = unit(centres + 0.1 * random.standard_normal((ANCHORS, DIMENSIONS), dtype=np.float32))
    numbers = np.arange(10 * ANCHORS)
    drawn = clusters.draw(numbers, np.zeros_like(numbers))
    assert (np.argmax(drawn[:, :4], axis=1) == numbers % ANCHORS // 15).all()


@given(st.integers(0, 2**32), st.sampled_from([None, 0.5, 0.1, 0.01]))
def test_the_nearest_are_those_that_sorting_finds(seed: int, fraction: float | None) -> None:
    random = np.random.default_rng(seed)
    versions = random.integers(0, 3, size=200)
    queries = random.standard_normal((3, DIMENSIONS)).astype(np.float32)
    mask = None if fraction is None else random.random(200) < fraction
    (truth,) = nearest(drawing(), versions, queries, [mask], 5)
    cosines = queries @ drawing().draw(np.arange(200), versions).T
    passing = np.arange(200) if mask is None else np.flatnonzero(mask)
    for query in range(3):
        wanted = passing[np.argsort(-cosines[query, passing], kind="stable")[:5]]
        found = truth.numbers[query]
        assert found[found >= 0].tolist() == wanted.tolist()
        assert truth.share_of(query, wanted[:3]) == pytest.approx(
            min(3, len(wanted)) / len(wanted) if len(wanted) else 1
        )


def test_filters_pass_the_products_that_they_say() -> None:
    shop = Shop(PRODUCTS, 20_000)
    products = [shop.product(number) for number in range(shop.size)]
    filters = shop.filters()
    assert [round(f.count(shop.size) / shop.size, 2) for f in filters] == [*FRACTIONS, *FRACTIONS]
    for passing in filters:
        field, operator, limit = passing.text.split()
        assert passing.mask is not None
        for product, passes in zip(products, passing.mask.tolist(), strict=True):
            if field == "price":
                assert operator == "<="
                assert passes == (bool(product.price) and Decimal(product.price) <= Decimal(limit))
            else:
                assert operator == "<"
                assert passes == (product.stock < int(limit))


def test_products_are_shaped_like_real_ones_and_no_two_have_the_same_text() -> None:
    shop = Shop(PRODUCTS, 100)
    names = {shop.product(number, version).name for number in range(100) for version in (0, 1)}
    assert len(names) == 200
    like_the_last = shop.product(40 + len(PRODUCTS))
    assert like_the_last.name.startswith("No price ")
    assert like_the_last.price == ""
    assert like_the_last.attributes["colour"].string_value == "black"
    assert like_the_last.attributes["usb"].bool_value is True
    assert [len(batch.products) for batch in shop.batches(30)] == [30, 30, 30, 10]


def test_a_changed_price_is_another_one_and_the_text_is_as_before() -> None:
    shop = Shop(PRODUCTS, 100)
    before, after = shop.product(7), shop.product(7, price_change_e4=100)
    assert Decimal(after.price) - Decimal(before.price) == Decimal("0.01")
    assert after.name == before.name


def test_a_power_law_is_told_by_its_exponent() -> None:
    law = power_law([10, 100, 1000], [3 * n**0.25 for n in (10, 100, 1000)])
    assert law.exponent == pytest.approx(0.25)
    assert law.r_squared == pytest.approx(1)
    assert law.at(np.array([16.0]))[0] == pytest.approx(6)


def test_logarithmic_growth_is_told_by_what_each_tenfold_adds() -> None:
    law = logarithmic([10, 100, 1000], [2.0, 3.5, 5.0])
    assert law.at_one == pytest.approx(0.5)
    assert law.per_tenfold == pytest.approx(1.5)


def test_what_no_law_explains_has_a_low_r_squared() -> None:
    assert power_law([10, 100, 1000, 10_000], [1, 3, 1, 3]).r_squared < 0.5


def test_between_two_sizes_is_a_figure_between_theirs_and_beyond_them_none() -> None:
    assert between([10_000, 40_000], [2.0, 8.0], 20_000) == pytest.approx(4.0)
    assert between([10_000, 40_000], [2.0, 8.0], 50_000) is None
