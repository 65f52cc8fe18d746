"""Words: case, accents and plurals do not matter, model numbers are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.text import (
    MAX_QUERY_WORDS,
    Language,
    Rules,
    Term,
    TextQuery,
    parsed,
    tokens_of,
    without_accents,
)
from tests.catalog_support import product

RULES = Rules()


def indexed_words(text: str, rules: Rules = RULES) -> str:
    return rules.indexed(tokens_of(text))


def query_terms(query: str, rules: Rules = RULES) -> list[Term]:
    return list(parsed(query, rules).terms)


def word(text: str) -> Term:
    return Term(((text,),))


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
    assert query_terms(query)[0].words[0] in indexed


def test_a_hyphenated_query_is_found_in_parts_too() -> None:
    assert query_terms("wi-fi") == [Term((("wifi",), ("wi", "fi")))]


def test_of_the_attributes_what_people_search_for_is_indexed() -> None:
    words, _ = RULES.words_of(
        product(
            attributes={"colour": "Negro", "memory": 128.0, "wi_fi": True, "touch_screen": False}
        )
    )
    assert sorted(words.attributes.split()) == ["128", "fi", "negro", "wi"]


def test_words_that_say_nothing_are_left_out_unless_there_are_no_others() -> None:
    assert query_terms("zapatos para el niño") == query_terms("zapato nino")
    assert query_terms("sin gluten") != query_terms("gluten")
    assert query_terms("the") == [word("the")]


@pytest.mark.parametrize("query", ["", "!?", "😀 — …", '"*()^:', "___"])
def test_a_query_without_letter_or_digit_has_no_terms(query: str) -> None:
    assert parsed(query, RULES) == TextQuery()


def test_a_pasted_text_is_bounded() -> None:
    assert len(query_terms(" ".join(f"w{i}" for i in range(200)))) == MAX_QUERY_WORDS


@pytest.mark.parametrize(
    ("written", "others"),
    [
        ('17"', ["17 inch", "17 pulgadas", "17-inch", "17in", "17\u2033", "17''", "17 inches"]),
        ("8 GB", ["8gb", "8-GB", "8 gigabytes"]),
        ("1,5 L", ["1.5l", "1.5 litros", "150 cl", "1500 ml", "1.500 ml"]),
        ("0,5 kg", ["500 g", "500gr", "500 gramos"]),
        ("2TB", ["2 tb"]),
        ("144hz", ["144 Hz", "144 hercios"]),
        ("65w", ["65 W", "65 watts"]),
        ("10000 mAh", ["10.000mAh", "10,000 mah"]),
        ("15.6 inch", ['15,6"', "15.60 pulgadas"]),
    ],
)
def test_a_quantity_has_one_form(written: str, others: list[str]) -> None:
    (term,) = query_terms(written)
    for other in others:
        assert query_terms(other) == [term], other
        assert term.words[0] in indexed_words(f"x {other} y").split(), other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("8 GB", "8 TB"),
        ("1.5 l", "15 l"),
        ("1,125 kg", "1125 kg"),
        ("17 in black", "17in black"),
        ("TN-2110 g", "TN 2110g"),
        ("iphone 11 pro", "iphone 11pro"),
    ],
)
def test_different_quantities_and_other_words_stay_different(one: str, other: str) -> None:
    assert query_terms(one) != query_terms(other)


def test_a_number_is_found_without_its_unit() -> None:
    assert {"64", "64gb"} <= set(indexed_words("iPhone 64 GB").split())


@pytest.mark.parametrize(
    ("query", "phrases", "terms"),
    [
        ('"apple watch" case', [("appl", "watch")], ["case"]),
        ("“apple watch” case", [("appl", "watch")], ["case"]),
        ("case «apple watch»", [("appl", "watch")], ["case"]),
        ('"case of leather"', [("case", "of", "leather")], []),
        ('monitor 27" lg 24"', [], ["monitor", "27in", "lg", "24in"]),
        ('"monitor 27 inch"', [("monitor", "27in")], []),
        ('case "apple', [], ["case", "apple"]),
        ('"" case', [], ["case"]),
        ('"!?" case', [], ["case"]),
        ('"the case" of', [("the", "case")], []),
    ],
)
def test_phrases_stand_in_quotes(
    query: str, phrases: list[tuple[str, ...]], terms: list[str]
) -> None:
    found = parsed(query, RULES)
    stems = [tuple(RULES.stem(each) for each in phrase) for phrase in phrases]
    assert list(found.phrases) == stems
    assert list(found.terms) == [word(RULES.stem(term)) for term in terms]


@pytest.mark.parametrize(
    ("query", "identifiers"),
    [
        ("TN-2110", ["tn2110"]),
        ("toner tn 2110", ["tonertn2110", "tn2110"]),
        ("006R90321", ["006r90321"]),
        ("04977766654142", ["4977766654142"]),
        ("ELEC/CABLE 3M", ["eleccable3m"]),
        ("iphone 11", ["iphone11"]),
        ("monitor", ["monitor"]),
        ("gaming laptop", []),
        ("laptop 16 gb 1920x1080", ["laptop16gb1920x1080"]),
    ],
)
def test_what_looks_like_an_identifier_may_name_a_product(
    query: str, identifiers: list[str]
) -> None:
    assert set(identifiers) == set(parsed(query, RULES).identifiers)


def test_a_product_is_named_by_its_id_its_codes_and_its_model() -> None:
    _, identifiers = RULES.words_of(
        product(
            "A/1",
            name="Brother TN-2110 toner for HL2140, 8 GB, 500W, 1920x1080",
            attributes={
                "EAN Code": 4006381333931.0,
                "MPN": "006R90321, 006-R-90322",
                "model": "Pavilion",
                "colour": "RAL9010",
                "sku": True,
            },
        )
    )
    assert set(identifiers) - {"006r90321006r90322"} == {
        "a1",
        "tn2110",
        "hl2140",
        "4006381333931",
        "006r90321",
        "006r90322",
    }


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        (Language.SPANISH, "aplicación", "aplicaciones"),
        (Language.SPANISH, "inalámbrico", "inalambricas"),
        (Language.SPANISH, "cargador", "cargadores"),
        (Language.ENGLISH, "charging", "charged"),
        (Language.ENGLISH, "batteries", "battery"),
        (Language.ENGLISH, "cases", "case"),
    ],
)
def test_a_shop_of_one_language_has_its_inflections(
    language: Language, one: str, other: str
) -> None:
    rules = Rules(language)
    assert query_terms(one, rules) == query_terms(other, rules)
    assert indexed_words(one, rules) == indexed_words(other, rules)


def test_the_words_that_say_nothing_are_those_of_the_language() -> None:
    assert query_terms("the laptop", Rules(Language.SPANISH))[0] == word("the")
    assert len(query_terms("the laptop", Rules(Language.ENGLISH))) == 1
    assert Rules(Language.SPANISH).name != Rules(Language.ENGLISH).name


def test_a_query_is_read_in_the_languages_that_products_have() -> None:
    reading = RULES.reading({"", "en", "fr"})
    assert query_terms("running", reading) == [Term((("running",), ("run",)))]
    # Each form once, and a word is passed over only where it says nothing in the catalog's own.
    assert query_terms("zapato", reading) == query_terms("zapato")
    assert query_terms("the shoe", Rules(Language.SPANISH).reading({"en"}))[0] == word("the")
    assert parsed('"running shoes"', reading).phrase_forms == (
        (("running", "shoe"), ("run", "shoe")),
    )


@pytest.mark.parametrize("languages", [set(), {""}, {"fr"}, {"", "de"}])
def test_without_products_of_other_languages_a_query_is_read_as_ever(languages: set[str]) -> None:
    query = '"running shoes" wi-fi corriendo'
    assert parsed(query, RULES.reading(languages)) == parsed(query, RULES)
    spanish = Rules(Language.SPANISH)
    assert parsed(query, spanish.reading({*languages, "es"})) == parsed(query, spanish)


def test_the_words_of_a_product_are_stemmed_by_its_language() -> None:
    names = {
        language: RULES.words_of(product(name="Running", language=language))[0].name
        for language in ("", "en", "fr")
    }
    assert names == {"": "running", "en": "run", "fr": "running"}


@given(st.text(max_size=80))
def test_whatever_is_asked_its_words_are_letters_and_digits(query: str) -> None:
    found = parsed(query, RULES)
    for words in (*(term.words for term in found.terms), *found.phrases, found.identifiers):
        assert all(word.isalnum() for word in words)


@given(st.text(max_size=40).filter(lambda text: not set(text) & set('"“”„«»\u2033')))
def test_a_text_is_found_by_itself(text: str) -> None:
    indexed = set(indexed_words(text).split())
    for term in query_terms(text):
        assert any(set(words) <= indexed for words in term.alternatives)


QUANTITIES = st.builds(
    "{}{}{}".format,
    st.from_regex(r"[0-9]{1,4}([.,][0-9]{1,4})?", fullmatch=True),
    st.sampled_from(["", " ", "-"]),
    st.sampled_from(["gb", "GB", '"', "l", "kg", "in", "inch", "mAh", "x", "p"]),
)


@given(st.lists(st.one_of(QUANTITIES, st.sampled_from(["usb", "-", ",", "tn"])), max_size=6))
def test_a_text_with_quantities_is_found_by_itself(parts: list[str]) -> None:
    text = " ".join(parts)
    indexed = set(indexed_words(text).split())
    for term in query_terms(text):
        assert any(set(words) <= indexed for words in term.alternatives)
