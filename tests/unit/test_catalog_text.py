"""Words: case, accents and plurals do not matter, model numbers are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.text import (
    MAX_QUERY_WORDS,
    Term,
    indexed_words,
    query_terms,
    without_accents,
    words_of,
)
from tests.catalog_support import product


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("zapatos", "zapato"),
        ("auriculares", "auricular"),
        ("jamones", "jamón"),
        ("luces", "luz"),
        ("lápices", "lápiz"),
        ("leches", "leche"),
        ("panes", "pan"),
        ("leyes", "ley"),
        ("niños", "NIÑO"),
        ("batteries", "battery"),
        ("headphones", "headphone"),
        ("cases", "case"),
        ("tapes", "tape"),
        ("glasses", "glass"),
        ("boxes", "box"),
        ("keys", "key"),
        ("cookies", "cookie"),
        ("pies", "pie"),
        ("watches", "watch"),
    ],
)
def test_singular_and_plural_agree(plural: str, singular: str) -> None:
    assert query_terms(plural) == query_terms(singular)
    assert indexed_words(plural) == indexed_words(singular)


@pytest.mark.parametrize(
    ("one", "other"),
    [("tape", "tap"), ("glass", "glas"), ("ps4", "ps"), ("6s", "6"), ("note", "not")],
)
def test_different_words_stay_different(one: str, other: str) -> None:
    assert query_terms(one) != query_terms(other)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("CAFÉ", "cafe"),
        ("Straße", "strasse"),
        ("piñón", "pinon"),
        ("e\u0301te\u0301", "ete"),
        ("Core™2", "core 2"),
        ("ﬁltro", "filtro"),
        ("\uff11\uff12\uff18\uff27\uff22", "128gb"),
        ("ガラス", "ガラス"),
    ],
)
def test_accents_and_forms_are_folded(text: str, folded: str) -> None:
    assert without_accents(text) == folded


@pytest.mark.parametrize("query", ["TN-2110", "tn2110", "Tn\u20112110"])
def test_a_model_number_is_found_with_and_without_its_hyphen(query: str) -> None:
    indexed = set(indexed_words("Brother TN-2110 Toner").split())
    assert query_terms(query)[0].word in indexed


def test_a_hyphenated_query_is_found_in_parts_too() -> None:
    assert query_terms("wi-fi") == [Term("wifi", ("wi", "fi"))]


def test_of_the_attributes_what_people_search_for_is_indexed() -> None:
    words = words_of(
        product(
            attributes={"colour": "Negro", "memory": 128.0, "wi_fi": True, "touch_screen": False}
        )
    ).attributes
    assert sorted(words.split()) == ["128", "fi", "negro", "wi"]


def test_words_that_say_nothing_are_left_out_unless_there_are_no_others() -> None:
    assert query_terms("zapatos para el niño") == query_terms("zapato nino")
    assert query_terms("sin gluten") != query_terms("gluten")
    assert query_terms("the") == [Term("the")]


@pytest.mark.parametrize("query", ["", "!?", "😀 — …", '"*()^:', "___"])
def test_a_query_without_letter_or_digit_has_no_terms(query: str) -> None:
    assert query_terms(query) == []


def test_a_pasted_text_is_bounded() -> None:
    assert len(query_terms(" ".join(f"w{i}" for i in range(200)))) == MAX_QUERY_WORDS


@given(st.text(max_size=80))
def test_whatever_is_asked_its_words_are_letters_and_digits(query: str) -> None:
    for term in query_terms(query):
        assert all(word.isalnum() for word in (term.word, *term.parts))


@given(st.text(max_size=40))
def test_a_text_is_found_by_itself(text: str) -> None:
    indexed = set(indexed_words(text).split())
    assert all(term.word in indexed for term in query_terms(text))
