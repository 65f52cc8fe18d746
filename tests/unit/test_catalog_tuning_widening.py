"""What synonyms do to a query."""

from services.catalog.text import Language, Rules, Term, TextQuery, parsed
from services.catalog.tuning import Stored, Synonyms, Thesaurus, Widened
from services.catalog.tuning.widening import MAX_ALTERNATIVES

RULES = Rules()


def thesaurus_of(*sets: Synonyms) -> Thesaurus:
    thesaurus = Thesaurus(RULES)
    for synonyms in sets:
        thesaurus.put(Stored(synonyms, 1, 0))
    return thesaurus


DISKS = Synonyms("disks", ("disco duro", "HDD", "hard disk"))
CONSOLES = Synonyms("consoles", ("playstation 5", "ps5"), one_way_from="consola")
THESAURUS = thesaurus_of(DISKS, CONSOLES)


def widened(query: str, thesaurus: Thesaurus = THESAURUS, reading: Rules = RULES) -> Widened:
    return thesaurus.widened(parsed(query, reading), query, reading)


def alternatives(found: Widened) -> list[tuple[tuple[str, ...], ...]]:
    return [term.alternatives for term in found.query.terms]


def term(text: str) -> Term:
    """Return what one word, or words that count as one, is found by alone."""
    return Term((tuple(map(RULES.stem, text.split())),))


def test_a_word_is_found_by_every_other_phrase_and_its_own_comes_first() -> None:
    found = widened("hdd externo")
    assert alternatives(found) == [
        (("hdd",), ("disco", "duro"), ("hard", "disk")),
        (("externo",),),
    ]
    assert found.synonym_ids == ("disks",)
    assert found.query.typed_terms == parsed("hdd externo", RULES).terms


def test_words_side_by_side_become_one_term() -> None:
    found = widened("comprar DISCOS duros externos")
    (buy, disk, external) = found.query.terms
    assert (buy, external) == (term("comprar"), term("externos"))
    assert disk.alternatives == (("disco", "duro"), ("hdd",), ("hard", "disk"))


def test_words_that_do_not_stand_side_by_side_are_left_alone() -> None:
    for query in ("disco externo duro", "duro disco", "disco", '"disco duro"', 'x "hdd"'):
        assert widened(query) == Widened(parsed(query, RULES)), query


def test_one_way_synonyms_widen_one_way() -> None:
    found = widened("consola barata")
    assert alternatives(found)[0] == (("consola",), ("playstation", "5"), ("ps5",))
    assert found.synonym_ids == ("consoles",)
    assert widened("ps5").synonym_ids == ()


def test_the_longest_phrase_comes_first_and_nothing_is_widened_twice() -> None:
    records = Synonyms("records", ("disco", "cd"))
    drives = Synonyms("drives", ("hdd", "unidad"))
    thesaurus = thesaurus_of(DISKS, records, drives)
    found = widened("disco duro", thesaurus)
    assert alternatives(found) == [(("disco", "duro"), ("hdd",), ("hard", "disk"))]
    assert found.synonym_ids == ("disks",)
    assert widened("disco blando", thesaurus).synonym_ids == ("records",)
    # A member of two sets has the phrases of both.
    both = widened("hdd", thesaurus)
    assert both.synonym_ids == ("disks", "drives")
    assert ("unidad",) in alternatives(both)[0]


def test_hyphens_and_function_words_do_not_matter() -> None:
    thesaurus = thesaurus_of(Synonyms("s", ("usb-c", "tipo c", "conector de la tarjeta")))
    for query in ("usb-c", "usb c", "usbc", "tipo c", "conector de la tarjeta"):
        found = widened(query, thesaurus)
        (only,) = alternatives(found)
        assert found.synonym_ids == ("s",), query
        assert {("usbc",), ("usb", "c"), ("tipo", "c"), ("conector", "tarjeta")} <= set(only)


def test_synonyms_are_read_in_each_language_that_products_have() -> None:
    thesaurus = thesaurus_of(Synonyms("s", ("funda", "running shoes")))
    reading = RULES.reading(["en"])
    (only,) = alternatives(widened("funda", thesaurus, reading))
    assert set(reading.forms("running", "shoes")) <= set(only)
    assert Rules(Language.ENGLISH).forms("running", "shoes")[0] in only


def test_words_that_synonyms_know_are_told() -> None:
    assert THESAURUS.known_words("Disco duro para la CONSOLA") == {"disco", "duro", "consola"}
    assert THESAURUS.known_words("disco ps5") == set()


def test_synonyms_that_are_replaced_or_removed_widen_no_more() -> None:
    thesaurus = thesaurus_of(DISKS, Synonyms("disks", ("hdd", "ssd")))
    assert widened("disco duro", thesaurus).synonym_ids == ()
    assert alternatives(widened("hdd", thesaurus)) == [(("hdd",), ("ssd",))]
    thesaurus.remove("disks")
    thesaurus.remove("never there")
    assert widened("hdd", thesaurus).synonym_ids == ()
    assert thesaurus.entries() == []


def test_the_work_of_one_query_is_bound() -> None:
    many = [Synonyms(f"s{i:02}", ("x", *(f"w{i}q{n}" for n in range(49)))) for i in range(10)]
    found = widened("x y", thesaurus_of(*many))
    assert 50 < len(found.query.terms[0].alternatives) <= MAX_ALTERNATIVES
    assert found.query.terms[0].alternatives[0] == ("x",)


def test_a_query_without_words_is_left_alone() -> None:
    assert widened("???") == Widened(TextQuery())
