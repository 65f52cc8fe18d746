"""Spelling: corrected by the catalog's own words, and only where none of them is meant."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from services.catalog.text import Correction, Rules, Vocabulary, corrected, spelt_words
from services.catalog.text.slips import likelihood

RULES = Rules()

COUNTS = {
    "laptop": 800,
    "lap": 4,
    "top": 6,
    "play": 5,
    "station": 7,
    "playstation": 300,
    "power": 90,
    "bank": 60,
    "powerbank": 20,
    "auriculares": 40,
    "auricular": 9,
    "inalambricos": 30,
    "monitor": 50,
    "monitors": 2,
    "dell": 70,
    "ball": 80,
    "keyboard": 30,
    "camara": 20,
    "sony": 60,
    "rack": 40,
    "pack": 70,
    "connector": 25,
}


def vocabulary_of(counts: dict[str, int]) -> Vocabulary:
    vocabulary = Vocabulary()
    vocabulary.change(counts)
    return vocabulary


VOCABULARY = vocabulary_of(COUNTS)


def correction(query: str) -> Correction:
    words = spelt_words(query, RULES)
    unknown = {word.folded for word in words} - set(VOCABULARY)
    return corrected(query, words, unknown, VOCABULARY)


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("lapto dell", "laptop dell"),
        ("latpop dell", "laptop dell"),
        ("  Lapto,  DELL ", "  laptop,  DELL "),
        ("monitro dell", "monitor dell"),
        ("keybord de dell", "keyboard de dell"),
        ("auricularez dell", "auriculares dell"),
        ("aurikulares inalanbricos", "auriculares inalambricos"),
        ("auricularesinalambricos", "auriculares inalambricos"),
        ("laptopp", "laptop"),
        ("lapp topp", "lap top"),
        ("lap tops dell", "lap top dell"),
        ("con nector dell", "connector dell"),
        ("dell de connec tor", "dell de connector"),
        ("ony dell", "sony dell"),
        ("rck", "rack"),
        ("playstatoin 4", "playstation 4"),
    ],
)
def test_a_misspelt_query_becomes_what_was_meant(query: str, meant: str) -> None:
    assert correction(query).query == meant


@pytest.mark.parametrize(
    "query",
    [
        "laptop dell",
        "cámara",
        "CÁMARA dell",
        "tn2l10 dell",
        "zzzzzz dell",
        "del dell",
        "mon dell",
        '"lapto dell" monitor',
        "lapto-dell monitor",
        "8 gigas",
        # Of three letters one is too many to replace, and "lap" too rare to be meant by two.
        "rad dell",
        "lp dell",
        "",
        "?!",
    ],
)
def test_what_is_right_or_like_nothing_stays(query: str) -> None:
    assert correction(query).query == query


def test_split_words_are_joined_where_one_is_unknown() -> None:
    vocabulary = vocabulary_of({"laptop": 3, "top": 2})
    words = spelt_words("the lap top dell", RULES)
    found = corrected("the lap top dell", words, {"lap", "dell"}, vocabulary)
    assert found.query == "the laptop dell"


def test_known_words_whose_join_is_much_commoner_are_searched_both_ways() -> None:
    found = correction("play station dell")
    assert found.query == "play station dell"
    assert found.joins == (("play", "station", "playstation"),)
    assert correction("power bank").joins == ()


def test_an_unknown_last_word_is_the_beginning_of_others_the_commonest_first() -> None:
    found = correction("dell moni")
    assert found.query == "dell moni"
    assert (found.unfinished, found.completions) == ("moni", ("monitor", "monitors"))
    assert correction("moni dell").completions == ()
    assert correction("monitor").completions == ()


def test_a_last_word_without_its_last_letter_is_spelt_out_and_still_a_beginning() -> None:
    found = correction("dell monito")
    assert found.query == "dell monitor"
    assert (found.unfinished, found.completions) == ("monitor", ("monitor", "monitors"))


def test_a_beginning_of_rare_words_is_a_slip_if_a_far_commoner_word_is_meant() -> None:
    def meant(counts: dict[str, int]) -> Correction:
        return corrected("smit", spelt_words("smit", RULES), {"smit"}, vocabulary_of(counts))

    assert meant({"smith": 1, "smint": 60}).query == "smint"
    beginning = meant({"smithson": 10, "smint": 60})
    assert (beginning.query, beginning.completions) == ("smit", ("smithson",))


@pytest.mark.parametrize(
    ("query", "guess"),
    [("dell sny pack", "dell sony pack"), ("dell mznitxr pack", "dell monitor pack")],
)
def test_a_guess_at_a_short_word_is_bold_and_can_be_forgone(query: str, guess: str) -> None:
    words = spelt_words(query, RULES)
    unknown = {word.folded for word in words} - set(VOCABULARY)
    assert corrected(query, words, unknown, VOCABULARY) == Correction(guess, is_bold=True)
    assert corrected(query, words, unknown, VOCABULARY, boldly=False) == Correction(query)


@pytest.mark.parametrize(
    ("written", "meant", "commoner"),
    [
        # A letter left out, two that change places, one hit twice: rather than any other letter.
        ("shlf", "shelf", "self"),
        ("pcak", "pack", "peak"),
        ("letterr", "letter", "letters"),
        # The key beside, and the letter of the same sound.
        ("camata", "camara", "camada"),
        ("inbierno", "invierno", "infierno"),
        # The first letter is seldom wrong.
        ("dell", "dull", "tell"),
    ],
)
def test_the_likelier_slip_is_taken_before_the_commoner_word(
    written: str, meant: str, commoner: str
) -> None:
    assert vocabulary_of({meant: 10, commoner: 15}).nearest(written, 1) == meant
    assert vocabulary_of({meant: 10, commoner: 15_000}).nearest(written, 1) == commoner


def test_one_edit_is_taken_before_two_however_common_the_word() -> None:
    assert vocabulary_of({"auricular": 1, "auriculares": 900}).nearest("auricula", 2) == "auricular"


WORDS = st.text("abc", min_size=3, max_size=6)
CHANGES = st.lists(st.dictionaries(WORDS, st.integers(1, 3), max_size=6), max_size=8)


@given(CHANGES, WORDS, st.integers(1, 2))
def test_a_vocabulary_knows_what_is_left_of_it(
    added: list[dict[str, int]], word: str, at_most: int
) -> None:
    vocabulary = Vocabulary()
    left: Counter[str] = Counter()
    for number, counts in enumerate(added):
        vocabulary.change(counts)
        left.update(counts)
        if number % 2:
            vocabulary.change({each: -count for each, count in counts.items()})
            left.subtract(counts)
    there = {each: count for each, count in left.items() if count}
    assert {each: vocabulary.count(each) for each in vocabulary} == there
    by_count = sorted(there, key=lambda each: (-there[each], each))
    beginning = word[:3]
    assert (
        vocabulary.completions(beginning, 3)
        == [each for each in by_count if each.startswith(beginning)][:3]
    )
    distances = {each: OSA.distance(word, each) for each in there}
    near = {each: d for each, d in distances.items() if d == min(distances.values()) <= at_most}
    nearest = vocabulary.nearest(word, at_most)
    assert nearest in near if near else nearest is None
    for other in near:
        assert nearest is not None
        is_likelier = likelihood(other, word) > likelihood(nearest, word)
        assert not (is_likelier and there[other] >= there[nearest])


def test_a_short_word_alone_is_not_taken_for_one_that_begins_otherwise() -> None:
    vocabulary = vocabulary_of({"box": 500, "leche": 300, "roja": 5})

    def corrected_query(query: str) -> str:
        words = spelt_words(query, RULES)
        unknown = {word.folded for word in words} - set(vocabulary)
        return corrected(query, words, unknown, vocabulary).query

    assert corrected_query("xbox") == "xbox"
    assert corrected_query("lehe") == "leche"
    assert corrected_query("xbox roja") == "box roja"
