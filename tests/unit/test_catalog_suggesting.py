"""What suggestions are made of: labels, popular queries, spellings, beginnings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.holdings import Difference, Holdings
from services.catalog.suggesting import popular as popular_module
from services.catalog.suggesting.labels import Labels
from services.catalog.suggesting.popular import (
    PopularQueries,
    PopularQuery,
    QueryCount,
    checked,
)
from services.catalog.suggesting.typed import Typed
from services.catalog.text import Beginnings, Rules, Vocabulary
from services.common.errors import InvalidArgument
from tests.catalog_support import product

RULES = Rules()
NOW_US = 1_700_000_000_000_000
DAY_US = 24 * 3_600 * 1_000_000


def typed(query: str) -> Typed:
    found = Typed.parse(query, RULES)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("query", "earlier", "last", "before_last", "joined"),
    [
        ("Jamó", (), "jamo", "", ""),
        ("Auriculares  Sonáv", ("auriculares",), "sonav", "Auriculares  ", ""),
        ("funda para el m", ("funda",), "m", "funda para el ", ""),
        ("Brother TN-21", ("brother", "tn"), "21", "Brother TN-", "tn21"),
        ("memoria 8 g", ("memoria",), "8g", "memoria 8 ", ""),
        ("usb ?", (), "usb", "", ""),
        (' "Apple wat', ("apple",), "wat", "Apple ", ""),
    ],
)
def test_what_was_typed_is_whole_words_and_a_beginning(
    query: str, earlier: tuple[str, ...], last: str, before_last: str, joined: str
) -> None:
    assert typed(query) == Typed(earlier, last, before_last, joined)


@pytest.mark.parametrize("query", ["", " ", "?!", "😀", "_"])
def test_what_has_no_word_begins_nothing(query: str) -> None:
    assert Typed.parse(query, RULES) is None


def labels_of(**weights: float) -> Labels:
    labels = Labels()
    for text, weight in weights.items():
        labels.put(text.replace("_", " "), weight)
    return labels


def test_labels_that_begin_as_typed_come_first_then_the_weightiest() -> None:
    labels = labels_of(audio_cable=1, cable=5, cable_audio=2, red_cable=9, cabin=3)
    assert labels.found(typed("cab"), 9) == [
        "cable",
        "cabin",
        "cable audio",
        "red cable",
        "audio cable",
    ]
    assert labels.found(typed("cab"), 2) == ["cable", "cabin"]
    assert labels.found(typed("cable a"), 9) == ["cable audio", "audio cable"]
    assert labels.found(typed("cabl a"), 9) == []
    assert labels.found(typed("cab"), 9, least_weight=3) == ["cable", "cabin", "red cable"]


LABELS = st.lists(
    st.tuples(st.sampled_from(["a", "ab", "abc", "b"]), st.sampled_from(["", " a", " bcd", "-b"])),
    max_size=8,
).map(lambda pairs: ["".join(pair) for pair in pairs])


@given(LABELS, LABELS, st.sampled_from(["a", "ab", "b", "bcd", "a b", "ab bc"]))
def test_labels_are_found_by_what_is_there_and_nothing_else(
    added: list[str], removed: list[str], query: str
) -> None:
    labels = Labels()
    for text in added:
        labels.add(text, 1)
    for text in removed:
        labels.discard(text)
    *earlier, last = query.split()
    expected = {
        text
        for text in set(added) - set(removed)
        for words in [{*text.replace("-", " ").split(), *text.replace("-", "").split()}]
        if words.issuperset(earlier) and any(word.startswith(last) for word in words)
    }
    assert set(labels.found(typed(query), 100)) == expected
    assert labels.weights().keys() == set(added) - set(removed)


@given(st.sets(st.text("ab", min_size=1, max_size=5)), st.text("ab", min_size=1, max_size=4))
def test_words_are_found_by_any_beginning(words: set[str], beginning: str) -> None:
    beginnings = Beginnings()
    for word in (*words, "gone"):
        beginnings.add(word)
    beginnings.discard("gone")
    assert set(beginnings.of(beginning)) == {word for word in words if word.startswith(beginning)}
    assert not beginnings.of("g")
    assert not beginnings.of("")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("aurri", "auri"),
        ("uari", "auri"),
        ("suri", "auri"),
        ("uri", "auri"),
        ("cabke", "cable"),
        ("cabble", "cable"),
        ("xyzzy", None),
        ("ca", None),
    ],
)
def test_a_beginning_may_be_wrong_by_one_letter(wrong: str, meant: str | None) -> None:
    vocabulary = Vocabulary()
    vocabulary.change({"auriculares": 5, "cable": 3, "sonavel": 1})
    assert vocabulary.beginning_like(wrong) == meant


def test_of_the_beginnings_nearby_the_commonest_is_meant_with_the_same_first_letter() -> None:
    vocabulary = Vocabulary()
    vocabulary.change({"monitor": 1, "mobitel": 5, "nonitor": 90})
    assert vocabulary.beginning_like("mopitor") == "monitor"
    vocabulary.change({"mobitor": 7})
    assert vocabulary.beginning_like("mopitor") == "mobitor"


def counted(popular: PopularQueries, now_us: int, **counts: int) -> None:
    asked = [QueryCount(query.replace("_", " "), count) for query, count in counts.items()]
    popular.apply(popular.planned(asked, now_us))


def texts(queries: list[PopularQuery]) -> list[str]:
    return [query.query for query in queries]


def test_a_query_is_popular_once_it_was_asked_three_times() -> None:
    popular = PopularQueries()
    counted(popular, NOW_US, red_shoes=2)
    assert popular.most_asked(9, NOW_US) == []
    counted(popular, NOW_US + 1_000, Red_Shoes=1, blue=7)
    assert texts(popular.most_asked(9, NOW_US + 1_000)) == ["blue", "Red Shoes"]
    assert texts(popular.found(typed("sho"), 9, NOW_US + 1_000)) == ["Red Shoes"]
    (found,) = popular.found(typed("red"), 9, NOW_US)
    assert round(found.count_at(NOW_US + 1_000)) == 3


def test_a_count_halves_in_two_weeks_and_what_is_new_passes_it() -> None:
    popular = PopularQueries()
    counted(popular, NOW_US, old=16)
    later_us = NOW_US + 14 * DAY_US
    (old,) = popular.most_asked(9, later_us)
    assert math.isclose(old.count_at(later_us), 8)
    counted(popular, later_us, new=9)
    assert texts(popular.most_asked(9, later_us)) == ["new", "old"]
    counted(popular, later_us, old=2)
    assert texts(popular.most_asked(9, later_us)) == ["old", "new"]
    assert popular.most_asked(9, NOW_US + 140 * DAY_US) == []


def test_a_clock_that_goes_back_takes_no_count_away() -> None:
    popular = PopularQueries()
    counted(popular, NOW_US, shoes=3)
    counted(popular, NOW_US - 100 * DAY_US, shoes=1)
    (shoes,) = popular.most_asked(9, NOW_US - 100 * DAY_US)
    assert (shoes.count, shoes.time_us) == (4, NOW_US)


def test_spellings_that_fold_alike_are_one_query_shown_as_it_was_last_written() -> None:
    popular = PopularQueries()
    asked = [QueryCount("JAMON", 1), QueryCount(" jamón\u0301 ".replace("\u0301", ""), 2)]
    popular.apply(popular.planned(asked, NOW_US))
    (jamon,) = popular.most_asked(9, NOW_US)
    assert (jamon.query, jamon.count) == ("jamón", 3)
    assert len(popular) == 1


def test_the_least_counted_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(popular_module, "MAX_POPULAR_QUERIES", 2)
    popular = PopularQueries()
    counted(popular, NOW_US, a=3, b=5, c=4)
    assert texts(popular.most_asked(9, NOW_US)) == ["b", "c"]
    recording = popular.planned([QueryCount("d", 9), QueryCount("e", 1)], NOW_US)
    assert {query.folded for query in recording.counted} == {"d"}
    popular.apply(recording)
    assert texts(popular.most_asked(9, NOW_US)) == ["d", "b"]
    assert popular.found(typed("c"), 9, NOW_US) == []


def test_what_has_no_word_is_not_counted() -> None:
    popular = PopularQueries()
    asked = [QueryCount("?!", 5), QueryCount("\x00\n", 5), QueryCount("a\x00b", 5)]
    popular.apply(popular.planned(asked, NOW_US))
    assert texts(popular.most_asked(9, NOW_US)) == ["a b"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ([QueryCount("a", 1), QueryCount("", 1)], "queries[1].query"),
        ([QueryCount("x" * 101, 1)], "queries[0].query"),
        ([QueryCount("a", 0)], "queries[0].count"),
        ([QueryCount("a", -1)], "queries[0].count"),
        ([QueryCount("a", 1)] * 1_001, "queries"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_name(asked: list[QueryCount], field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        checked(asked)
    assert refused.value.field == field
    checked([QueryCount("x" * 100, 2**62)] * 1_000)


def held(*changes: tuple[int, dict[str, str]]) -> Holdings:
    holdings = Holdings()
    for by, fields in changes:
        difference = Difference()
        difference.count(product(**fields), by)
        holdings.apply(difference)
    return holdings


def test_a_word_is_spelt_as_half_of_the_products_spell_it() -> None:
    accented, plain = {"name": "Jamón Ibérico"}, {"name": "JAMON iberico"}
    assert held((1, accented)).spelt("jamon") == "jamón"
    assert held((1, accented), (1, plain)).spelt("iberico") == "ibérico"
    assert held((1, accented), (1, plain), (1, plain)).spelt("jamon") == "jamon"
    assert held((1, accented), (1, plain), (-1, accented)).spelt("jamon") == "jamon"
    assert held((1, {"name": "Jamo\u0301n"})).spelt("jamon") == "jamón"
    assert held().spelt("jamon") == "jamon"


def test_a_category_counts_those_below_it_and_goes_with_its_last_product() -> None:
    below, above = {"category": "A > B"}, {"category": "A"}
    holdings = held((1, below), (1, above), (1, above))
    assert [holdings.categories.weight(path) for path in ("A", "A > B", "")] == [3, 1, 0]
    emptied = held((1, below), (1, above), (-1, below))
    assert emptied.categories.found(typed("b"), 9) == []
    assert emptied.categories.found(typed("a"), 9) == ["A"]


def test_the_languages_are_those_of_the_products() -> None:
    spanish = {"language": "es"}
    assert held((1, spanish), (1, {}), (1, {"language": "fr"})).languages == {"es", "", "fr"}
    assert held((1, spanish), (1, {}), (-1, spanish)).languages == {""}
