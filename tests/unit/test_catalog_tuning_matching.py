"""Which rules are for a query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.text import Rules
from services.catalog.tuning import QueryMatch, Rule, RuleBook, Stored


def book_of(*rules: Rule) -> RuleBook:
    book = RuleBook(Rules())
    for rule in rules:
        book.put(Stored(rule, 1, 0))
    return book


def ids(book: RuleBook, *queries: str) -> list[str]:
    return [stored.entry.id for stored in book.matching(*queries)]


def is_for(rule_query: str, query: str, match: QueryMatch = QueryMatch.EXACT) -> bool:
    return ids(book_of(Rule("r", (rule_query,), match)), query) == ["r"]


@pytest.mark.parametrize(
    ("rule_query", "query"),
    [
        ("cámara réflex", "CAMARA reflex"),
        ("zapato rojo", "zapatos rojos"),
        ("batteries", "battery"),
        ("disco duro", " disco,  duro! "),
        ("wi-fi", "wifi"),
        ("wi-fi", "wi fi"),
        ("wi fi", "wi-fi"),
        ("wifi", "Wi-Fi"),
        ("tv 55 pulgadas", 'tv 55"'),
        ("monitor 27", '"monitor 27"'),
        ("funda de móvil", "funda de movil"),
    ],
)
def test_how_a_query_is_written_does_not_matter(rule_query: str, query: str) -> None:
    assert is_for(rule_query, query)
    assert is_for(rule_query, query, QueryMatch.CONTAINS)


@pytest.mark.parametrize("query", ["duro disco", "disco duro ssd", "disco", "disco disco duro", ""])
def test_exact_wants_the_same_words_in_order_and_no_others(query: str) -> None:
    assert not is_for("disco duro", query)


@pytest.mark.parametrize(
    ("query", "contains"),
    [
        ("disco duro", True),
        ("un disco duro externo", True),
        ("comprar discos duros", True),
        ("duro disco", False),
        ("disco muy duro", False),
        ("disco", False),
        ("disco durona", False),
    ],
)
def test_contains_wants_the_words_side_by_side(query: str, contains: bool) -> None:
    assert is_for("disco duro", query, QueryMatch.CONTAINS) is contains


def test_a_rule_without_queries_is_for_every_query() -> None:
    book = book_of(Rule("all"), Rule("one", ("x",)))
    assert ids(book, "x") == ["all", "one"]
    assert ids(book, "y") == ids(book, "???") == ["all"]


def test_a_rule_that_is_not_active_is_listed_and_for_no_query() -> None:
    book = book_of(Rule("a", active=False), Rule("b", ("x",), active=False))
    assert ids(book, "x") == []
    assert [stored.entry.id for stored in book.entries()] == ["a", "b"]


def test_any_way_to_write_the_query_will_do_and_no_rule_comes_twice() -> None:
    book = book_of(Rule("z", ("laptop", "lapto")), Rule("a", ("lapto",)))
    assert ids(book, "lapto", "laptop") == ["a", "z"]


words = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)
texts = words.map(" ".join)
rules = st.builds(
    Rule,
    id=st.sampled_from(["r1", "r2", "r3", "r4"]),
    queries=st.lists(texts, max_size=3).map(tuple),
    match=st.sampled_from(QueryMatch),
    active=st.booleans(),
)


def is_meant(rule: Rule, query: str) -> bool:
    """Tell it by looking at each query of the rule; words are single letters."""
    if not rule.active:
        return False
    if rule.match is QueryMatch.EXACT:
        return not rule.queries or query in rule.queries
    return not rule.queries or any(f" {text} " in f" {query} " for text in rule.queries)


@given(st.lists(st.one_of(rules, st.sampled_from(["r1", "r2"])), max_size=12), texts)
def test_the_index_finds_what_a_scan_finds(writes: list[Rule | str], query: str) -> None:
    book = RuleBook(Rules())
    there: dict[str, Rule] = {}
    for write in writes:
        if isinstance(write, str):
            book.remove(write)
            there.pop(write, None)
        else:
            book.put(Stored(write, 1, 0))
            there[write.id] = write
    assert ids(book, query) == sorted(i for i, rule in there.items() if is_meant(rule, query))
