"""The queries that quality is measured with: made by rule, and the same for the same seed."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from benchmarks.quality.clean import Clean, Named, clean_queries
from benchmarks.quality.misspelling import KINDS, ONE_EDIT_KINDS, plain

PRODUCTS = [
    Named("1", "Dell Vostro 3350 laptop, 13-inch, silver", "Dell"),
    Named("2", "Cámara réflex digital Canon EOS 550D", "Canon"),
    Named("3", "TN-2110", "Brother"),
    Named("4", "Cámara réflex digital", ""),
]
WORDS = st.lists(st.text("abcdeñoáz", min_size=4, max_size=9), min_size=1, max_size=3)
SEEDS = st.integers(0, 10_000)


def queries(seed: int) -> list[Clean]:
    return list(clean_queries(PRODUCTS, Random(seed)))


@pytest.mark.parametrize("seed", range(20))
def test_clean_queries_are_of_words_of_their_product(seed: int) -> None:
    named = {product.product_id: plain(f"{product.name} {product.brand}") for product in PRODUCTS}
    found = queries(seed)
    assert found == queries(seed)
    assert len({query.query for query in found}) == len(found)
    assert "3" not in {query.product_id for query in found if len(query.words) > 1}
    for query in found:
        assert 1 <= len(query.words) <= 3
        assert all(word.isalpha() and len(word) >= 4 for word in query.words)
        assert all(plain(word) in named[query.product_id] for word in query.words)


@pytest.mark.parametrize("kind", [*ONE_EDIT_KINDS, "two edits"])
@given(words=WORDS, seed=SEEDS)
def test_an_edited_query_differs_in_one_word_by_so_many_edits(
    kind: str, words: list[str], seed: int
) -> None:
    misspelt = KINDS[kind](words, Random(seed))
    assert misspelt == KINDS[kind](words, Random(seed))
    if misspelt is None:  # letters that are all the same cannot change places
        return
    edited = misspelt.query.split(" ")
    changed = [at for at, word in enumerate(words) if word != edited[at]]
    assert changed == [misspelt.place]
    edits = 2 if kind == "two edits" else 1
    assert OSA.distance(plain(words[misspelt.place]), plain(edited[misspelt.place])) == edits


@given(words=WORDS, seed=SEEDS)
def test_joined_and_split_words_have_the_same_letters(words: list[str], seed: int) -> None:
    joined = KINDS["words joined"](words, Random(seed))
    split = KINDS["word split"](words, Random(seed))
    assert split is not None
    assert split.query.count(" ") == len(words)
    assert (joined is None) == (len(words) == 1)
    for misspelt in filter(None, (joined, split)):
        assert misspelt.query.replace(" ", "") == "".join(words)


def test_missing_accents_need_a_word_that_has_some() -> None:
    misspell = KINDS["accents missing"]
    without = misspell(["jamón", "serrano"], Random(1))
    assert without is not None
    assert without.query == "jamon serrano"
    assert misspell(["queso", "serrano"], Random(1)) is None
