"""What the shop's own HTTP requests mean, by the annotations of its public services."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from google.protobuf.message import Message

from services.common.errors import InvalidArgument
from services.gateway.rest.__main__ import SERVICES
from services.gateway.rest.bindings import Routes, bindings_of
from services.gateway.rest.requests import build_request
from vitrina.catalog.v1 import suggestion_pb2, tuning_pb2
from vitrina.search.v1 import search_pb2

ROUTES = Routes(bindings_of(SERVICES))
RULE = tuning_pb2.Rule(
    id="summer",
    queries=["piscina", "playa"],
    match=tuning_pb2.QUERY_MATCH_CONTAINS,
    pins=[tuning_pb2.Pin(product_id="A/1", position=1)],
    bury_product_ids=["B"],
    boosts=[tuning_pb2.Boost(filter='brand = "Acme"', factor=1.5)],
    active=False,
)
RULE_JSON: dict[str, Any] = {
    "queries": ["piscina", "playa"],
    "match": "contains",
    "pins": [{"productId": "A/1", "position": 1}],
    "buryProductIds": ["B"],
    "boosts": [{"filter": 'brand = "Acme"', "factor": 1.5}],
    "active": False,
}


def built(method: str, target: str, body: object = None) -> Message:
    path, _, query = target.partition("?")
    binding, variables = ROUTES.find(method, path.encode())
    text = "" if body is None else json.dumps(body)
    return build_request(binding, variables, query.encode(), text.encode())


def refusal(method: str, target: str, body: object = None) -> str:
    with pytest.raises(InvalidArgument) as caught:
        built(method, target, body)
    return caught.value.message


@pytest.mark.parametrize(
    ("method", "path", "rpc", "variables"),
    [
        ("PUT", "/v1/rules/summer", "PutRule", {"rule.id": "summer"}),
        ("GET", "/v1/rules", "ListRules", {}),
        ("DELETE", "/v1/rules/summer.2", "DeleteRule", {"id": "summer.2"}),
        ("PUT", "/v1/synonyms/tv", "PutSynonyms", {"synonyms.id": "tv"}),
        ("GET", "/v1/synonyms", "ListSynonyms", {}),
        ("DELETE", "/v1/synonyms/tv", "DeleteSynonyms", {"id": "tv"}),
        ("GET", "/v1/tuningChanges", "ListTuningChanges", {}),
        ("GET", "/v1/suggestions", "Suggest", {}),
        ("HEAD", "/v1/suggestions", "Suggest", {}),
    ],
)
def test_tuning_and_suggestions_have_routes(
    method: str, path: str, rpc: str, variables: dict[str, str]
) -> None:
    binding, values = ROUTES.find(method, path.encode())
    assert binding.rpc.name == rpc
    assert {".".join(field): value for field, value in values.items()} == variables


def test_what_a_search_asks_for_can_be_parameters_or_a_body() -> None:
    expected = search_pb2.SearchRequest(
        query="lámpara",
        facets=["brand", "price(0,50,100)", "attributes.color(limit=5, ignore_own_filter)"],
        order_by="price desc, name",
        page_token="abc=",
        highlight=True,
        diversity=0.3,
        without_rules=True,
    )
    parameters = {
        "query": "lámpara",
        "facets": list(expected.facets),
        "order_by": "price desc, name",
        "page_token": "abc=",
        "highlight": "true",
        "diversity": "0.3",
        "without_rules": "1",
    }
    body = {
        "query": "lámpara",
        "facets": list(expected.facets),
        "orderBy": "price desc, name",
        "pageToken": "abc=",
        "highlight": True,
        "diversity": 0.3,
        "withoutRules": True,
    }
    query = urlencode(parameters, doseq=True)
    assert built("GET", f"/v1/products:search?{query}") == expected
    assert built("POST", "/v1/products:search", body) == expected


def test_facets_and_order_may_be_typed_without_escapes_of_commas_and_parentheses() -> None:
    target = "/v1/products:search?query=x&facets=brand&facets=price(0,50,100)&order_by=price%20desc"
    assert built("GET", target) == search_pb2.SearchRequest(
        query="x", facets=["brand", "price(0,50,100)"], order_by="price desc"
    )


def test_suggestions_are_asked_for_by_parameters() -> None:
    expected = suggestion_pb2.SuggestRequest(query="lap", limit=5)
    assert built("GET", "/v1/suggestions?query=lap&limit=5") == expected
    assert built("GET", "/v1/suggestions") == suggestion_pb2.SuggestRequest()


@pytest.mark.parametrize("match", ["contains", "Contains", "QUERY_MATCH_CONTAINS", 2])
def test_a_rule_is_the_body_and_its_id_the_path(match: object) -> None:
    body = RULE_JSON | {"match": match}
    assert built("PUT", "/v1/rules/summer", body) == tuning_pb2.PutRuleRequest(rule=RULE)


def test_who_changes_a_rule_is_a_parameter() -> None:
    assert built("PUT", "/v1/rules/summer?author=Ana+P.", RULE_JSON) == tuning_pb2.PutRuleRequest(
        rule=RULE, author="Ana P."
    )
    assert built(
        "DELETE", "/v1/rules/summer?allow_missing=true&author=Ana"
    ) == tuning_pb2.DeleteRuleRequest(id="summer", allow_missing=True, author="Ana")


def test_a_rule_that_was_listed_can_be_put_again() -> None:
    listed = RULE_JSON | {"id": "summer", "revision": "7", "updateTime": "2030-01-01T00:00:00Z"}
    request: Any = built("PUT", "/v1/rules/summer", listed)
    assert (request.rule.id, request.rule.revision) == ("summer", 7)


def test_synonyms_are_the_body_and_their_id_the_path() -> None:
    body = {"phrases": ["laptop", "notebook"], "oneWayFrom": "portátil"}
    assert built("PUT", "/v1/synonyms/laptop", body) == tuning_pb2.PutSynonymsRequest(
        synonyms=tuning_pb2.Synonyms(
            id="laptop", phrases=["laptop", "notebook"], one_way_from="portátil"
        )
    )


def test_the_log_is_read_page_by_page() -> None:
    target = "/v1/tuningChanges?page_size=20&pageToken=abc"
    assert built("GET", target) == tuning_pb2.ListTuningChangesRequest(
        page_size=20, page_token="abc"
    )


@pytest.mark.parametrize(
    ("target", "body", "problem"),
    [
        ("/v1/rules/a", {"id": "b"}, "rule.id: the body and the path disagree"),
        ("/v1/rules/a", {"match": "fuzzy"}, "rule.match: must be one of exact, contains"),
        ("/v1/rules/a", {"pins": [{"position": "first"}]}, "rule.pins[0].position: must be"),
        ("/v1/rules/a", {"boosts": [{}, {"factor": "1,5"}]}, "rule.boosts[1].factor: must be"),
        ("/v1/rules/a", {"rule": {}}, 'rule.rule: no such field: "rule"'),
        ("/v1/rules/a", [], "rule: must be an object"),
        ("/v1/rules/a?rule.match=exact", {}, "rule.match: belongs in the body"),
        ("/v1/synonyms/a", {"phrases": "tv, tele"}, "synonyms.phrases: must be an array"),
    ],
)
def test_a_wrong_rule_or_synonyms_are_refused_by_field(
    target: str, body: object, problem: str
) -> None:
    assert refusal("PUT", target, body).startswith(problem)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ("highlight=yes", "highlight: must be true or false"),
        ("diversity=much", "diversity: must be a number"),
        ("order_by=price&order_by=name", "order_by: 2 values given, at most 1"),
        ("facet=brand", 'facet: no such parameter: "facet"'),
    ],
)
def test_a_wrong_parameter_of_a_search_is_refused(parameters: str, problem: str) -> None:
    assert refusal("GET", f"/v1/products:search?query=x&{parameters}") == problem
