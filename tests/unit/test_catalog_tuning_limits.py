"""What may stand in rules and synonyms: everything up to its limit, and nothing beyond."""

from typing import Any

import pytest

from services.catalog.tuning import Boost, Pin, QueryMatch, Rule, Synonyms
from services.common.errors import InvalidArgument


def rule(**fields: Any) -> Rule:
    given: dict[str, Any] = {
        "id_text": "r",
        "queries": [],
        "match": 0,
        "pins": [],
        "buried_ids": [],
        "boosts": [],
        "active": True,
        "description": "",
    }
    return Rule.parse(**given | fields)


def synonyms(*phrases: str, id_text: str = "s", one_way_from: str = "") -> Synonyms:
    return Synonyms.parse(id_text=id_text, phrases=phrases, one_way_from=one_way_from)


def test_a_rule_may_reach_every_limit() -> None:
    full = rule(
        id_text="Z.9_-" * 20,
        queries=[f"{i:0200}" for i in range(50)],
        match=2,
        pins=[Pin(f"p{i}", 100 - i) for i in range(50)],
        buried_ids=["ñ" * 512] * 500,
        boosts=[Boost("price<5", 0.01), Boost("brand:*", 100.0)] * 10,
        description="\n" * 1_000,
    )
    assert full.match is QueryMatch.CONTAINS
    assert (len(full.queries), len(full.pins), len(full.buried_ids)) == (50, 50, 500)
    assert full.boosts[0] == Boost("price < 5", 0.01)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"id_text": ""}, "id"),
        ({"id_text": "x" * 101}, "id"),
        ({"id_text": "a b"}, "id"),
        ({"id_text": "ñ"}, "id"),
        ({"id_text": "a\n"}, "id"),
        ({"queries": ["x"] * 51}, "queries"),
        ({"queries": ["x", ""]}, "queries[1]"),
        ({"queries": ["x" * 201]}, "queries[0]"),
        ({"queries": ["x", "y", " - "]}, "queries[2]"),
        ({"queries": ["a\x00b"]}, "queries[0]"),
        ({"match": 3}, "match"),
        ({"match": -1}, "match"),
        ({"pins": [Pin(f"p{i}", i + 1) for i in range(51)]}, "pins"),
        ({"pins": [Pin("a", 1), Pin("b", 0)]}, "pins[1].position"),
        ({"pins": [Pin("a", 101)]}, "pins[0].position"),
        ({"pins": [Pin("a", 7), Pin("b", 7)]}, "pins[1].position"),
        ({"pins": [Pin("a", 7), Pin("a", 8)]}, "pins[1].product_id"),
        ({"pins": [Pin("", 1)]}, "pins[0].product_id"),
        ({"buried_ids": ["x"] * 501}, "bury_product_ids"),
        ({"buried_ids": ["x", " x"]}, "bury_product_ids[1]"),
        ({"boosts": [Boost("price<5", 2.0)] * 21}, "boosts"),
        ({"boosts": [Boost("", 2.0)]}, "boosts[0].filter"),
        ({"boosts": [Boost("price<5", 2.0), Boost("colour = red", 2.0)]}, "boosts[1].filter"),
        ({"boosts": [Boost("price<5", 0.0)]}, "boosts[0].factor"),
        ({"boosts": [Boost("price<5", 100.1)]}, "boosts[0].factor"),
        ({"boosts": [Boost("price<5", float("nan"))]}, "boosts[0].factor"),
        ({"description": "x" * 1_001}, "description"),
    ],
)
def test_a_field_of_a_rule_beyond_its_limit_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        rule(**fields)
    assert refused.value.field == named


def test_synonyms_may_reach_every_limit() -> None:
    longest = f"a b c d {'x' * 92}"
    assert len(longest) == 100
    full = synonyms(*(f"w{i}" for i in range(49)), longest, one_way_from=longest)
    assert len(full.phrases) == 50
    assert synonyms("x", one_way_from="y").phrases == ("x",)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (lambda: synonyms("a", "b", id_text="a/b"), "id"),
        (synonyms, "phrases"),
        (lambda: synonyms("a"), "phrases"),
        (lambda: synonyms(one_way_from="a"), "phrases"),
        (lambda: synonyms(*(f"w{i}" for i in range(51))), "phrases"),
        (lambda: synonyms("a", "..."), "phrases[1]"),
        (lambda: synonyms("a", "x" * 101), "phrases[1]"),
        (lambda: synonyms("a", "a b c d e f"), "phrases[1]"),
        (lambda: synonyms("sofá", "b", "SOFA"), "phrases[2]"),
        (lambda: synonyms("a", one_way_from="a b c d e f"), "one_way_from"),
        (lambda: synonyms("a", one_way_from="?"), "one_way_from"),
    ],
)
def test_a_field_of_synonyms_beyond_its_limit_is_named(given: Any, named: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        given()
    assert refused.value.field == named
