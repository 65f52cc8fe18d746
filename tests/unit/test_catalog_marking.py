"""Highlights: what a search looks for is marked in the text as it was written."""

import html
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.text import (
    Highlights,
    Language,
    Marker,
    Rules,
    marked_beginnings,
    parsed,
    tokens_of,
    without_accents,
)
from services.catalog.text.located import Folded

RULES = Rules()


def highlights(
    query: str, name: str, description: str = "", rules: Rules = RULES, language: str = ""
) -> Highlights:
    return Marker(parsed(query, rules), rules).highlights(name, description, language)


def marked(query: str, name: str) -> str:
    """Return a name with the marks of a query as brackets."""
    written = highlights(query, name).name
    return html.unescape(written.replace("<mark>", "[").replace("</mark>", "]"))


def unmarked(written: str) -> str:
    return html.unescape(re.sub("</?mark>", "", written))


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("auricular", "Auriculares Sonavel", "[Auriculares] Sonavel"),
        ("jamon", "Jamón ibérico", "[Jamón] ibérico"),
        ("jamón", "Jamo\u0301n", "[Jamo\u0301n]"),
        ("nino", "Silla de NIÑO", "Silla de [NIÑO]"),
        ("strasse", "Die Straße 7", "Die [Straße] 7"),
        ("istanbul", "Té de İSTANBUL", "Té de [İSTANBUL]"),
        ("filtro", "Un ﬁltro", "Un [ﬁltro]"),
        ("8gb", "Memoria 8 GB DDR", "Memoria [8 GB] DDR"),
        ("8 gb", "Memoria 8GB", "Memoria [8GB]"),
        ("1500 ml", "Botella 1,5 L", "Botella [1,5 L]"),
        ("64", "iPhone 64 GB", "iPhone [64 GB]"),
        ("tn2110", "Brother TN-2110", "Brother [TN-2110]"),
        ("tn-2110", "Brother TN2110", "Brother [TN2110]"),
        ("tn 2110", "Brother TN2110", "Brother [TN2110]"),
        ("tn-2110", "Brother TN-2110", "Brother [TN-2110]"),
        ("wi-fi", "Sci-fi", "Sci-fi"),
        ("wi-fi", "Wi fi", "[Wi] [fi]"),
        ('"apple watch"', "Apple Watch, for the apple", "[Apple Watch], for the apple"),
        ('"apple watch"', "Apple 8 GB Watch", "Apple 8 GB Watch"),
        ('"memoria 8 gb"', "Memoria 8GB", "[Memoria 8GB]"),
        ("usb", '<b>USB</b> & "co"', '<b>[USB]</b> & "co"'),
        ("ガラス", "ガラス", "[ガラス]"),
        ("", "Nothing", "Nothing"),
        ("?!", "Nothing?!", "Nothing?!"),
    ],
)
def test_what_was_looked_for_is_marked(query: str, name: str, expected: str) -> None:
    assert marked(query, name) == expected


def test_what_is_not_marked_is_no_markup() -> None:
    written = highlights("usb", "<script>\"USB\" & 'co'").name
    assert written == "&lt;script&gt;&quot;<mark>USB</mark>&quot; &amp; &#x27;co&#x27;"


def test_words_that_count_only_together_may_be_in_two_texts() -> None:
    both = highlights("wi-fi", "Wi", "fi")
    assert (both.name, both.description) == ("<mark>Wi</mark>", "<mark>fi</mark>")


def test_a_product_is_stemmed_by_its_own_language() -> None:
    rules = RULES.reading({"en", "es"})
    assert highlights("run", "Running", "", rules, "en").name == "<mark>Running</mark>"
    assert highlights("run", "Running", "", rules).name == "Running"
    english = Rules(Language.ENGLISH)
    assert highlights("run", "Running", "", english).name == "<mark>Running</mark>"


def test_a_description_without_the_words_gives_no_snippet() -> None:
    assert highlights("usb", "USB", "A cable.").description == ""
    assert highlights("cable", "USB", "A <cable>.").description == "A &lt;<mark>cable</mark>&gt;."


def test_a_snippet_is_about_the_place_with_most_of_the_words() -> None:
    filler = "lorem ipsum dolor " * 40
    text = f"{filler} red one. {filler} red and blue shoes, really blue. {filler}"
    snippet = highlights("red blue shoes", "x", text).description
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert snippet.count("<mark>") == 4
    shown = unmarked(snippet).strip("…")
    assert shown in text
    assert 150 <= len(shown) <= 200
    # It is cut between words.
    assert {*shown.split()} <= {*text.split()}


def test_a_snippet_is_cut_only_where_there_is_more() -> None:
    rest = " word" * 100
    begins = highlights("blue", "x", f"Blue{rest}").description
    assert begins.startswith("<mark>Blue</mark>")
    assert begins.endswith("…")
    ends = highlights("blue", "x", f"{rest} blue").description
    assert ends.startswith("…")
    assert ends.endswith("<mark>blue</mark>")


LETTERS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("aeñßİÉ8\"'-., <>&;gbGB\u0301\u0308\u00adﬁ½\u3099か"),
    ),
    max_size=60,
)
WORDS = st.lists(
    st.sampled_from(["8 GB", "8gb", "tn-2110", "Jamón", "jamo\u0301n", "&amp;", "<mark>", "ß"]),
    max_size=40,
).map(" ".join)


@given(st.one_of(LETTERS, WORDS), st.one_of(LETTERS, WORDS))
def test_without_its_marks_a_text_is_unchanged(query: str, text: str) -> None:
    found = highlights(query, text, text * 12)
    assert unmarked(found.name) == text
    assert unmarked(found.description).removeprefix("…").removesuffix("…") in text * 12
    assert unmarked(marked_beginnings(text, tokens_of(query).words, "j")) == text


# The letters that shops write with. Of other scripts some marks may be lost.
LATIN = st.text(
    st.one_of(
        st.characters(max_codepoint=0x24F, exclude_categories=["Cc"]),
        st.sampled_from("\u0301\u0303\u0308 -.8g\u2013\u2019\u201d™ﬁ²½"),
    ),
    max_size=60,
)


@given(LATIN)
def test_the_words_that_are_marked_are_those_that_are_indexed(text: str) -> None:
    located = list(Folded(text).words())
    tokens = tokens_of(text)
    assert Folded(text).plain == without_accents(text)
    assert tuple(each.word for each in located if each.is_in_order) == tokens.words
    besides = sorted(each.word for each in located if not each.is_in_order)
    assert besides == sorted((*tokens.compounds, *tokens.numbers))


@given(LATIN)
def test_a_text_is_marked_by_itself(text: str) -> None:
    query = parsed(text.replace('"', " "), RULES)
    if query.terms:
        assert "<mark>" in Marker(query, RULES).highlights(text.replace('"', " "), "", "").name


@pytest.mark.parametrize("unit", ["a ", "a\u0301", "8 gb ", "a-", "ñ", "\u0301", "1.", '"'])
def test_a_long_text_takes_time_by_its_length(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        # Of this thread alone: others may be busy.
        began = time.thread_time()
        highlights('a 8gb ñ "a a a a"', "x", text)
        return time.thread_time() - began

    seconds(1_000)
    short, long = (min(seconds(length) for _ in range(3)) for length in (2_000, 20_000))
    # Quadratic it would be 100 times as long.
    assert long < 40 * max(short, 0.000_5)


@pytest.mark.parametrize(
    ("words", "beginning", "text", "expected"),
    [
        ((), "jamo", "Jamón ibérico", "<mark>Jamó</mark>n ibérico"),
        ((), "jamo", "Jamo\u0301n", "<mark>Jamo\u0301</mark>n"),
        (("usb",), "ca", "USB cable", "<mark>USB</mark> <mark>ca</mark>ble"),
        ((), "tn21", "TN-2110", "<mark>TN-21</mark>10"),
        ((), "8g", "8 GB", "<mark>8 G</mark>B"),
        ((), "st", "a & Straße", "a &amp; <mark>St</mark>raße"),
        ((), "stras", "Straße", "<mark>Straß</mark>e"),
        (("auricular",), "x", "Auriculares", "<mark>Auricular</mark>es"),
        (("a",), "x", "a apple", "<mark>a</mark> apple"),
        ((), "", "apple", "apple"),
    ],
)
def test_of_a_suggestion_what_was_typed_is_marked(
    words: tuple[str, ...], beginning: str, text: str, expected: str
) -> None:
    assert marked_beginnings(text, words, beginning) == expected
