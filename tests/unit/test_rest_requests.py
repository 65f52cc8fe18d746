import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidArgument
from services.gateway.rest.bindings import Routes, bindings_of
from services.gateway.rest.fields import Typed, scalar
from services.gateway.rest.messages import fill
from services.gateway.rest.requests import build_request
from tests.rest_schema import EXAMPLES, POOL, Everything

ROUTES = Routes(bindings_of([EXAMPLES]))


def build(method: str, path: str, query: str = "", body: str = "") -> Message:
    binding, variables = ROUTES.find(method, path.encode())
    return build_request(binding, variables, query.encode(), body.encode())


def refusal(method: str, path: str, query: str = "", body: str = "") -> tuple[str, str]:
    with pytest.raises(InvalidArgument) as caught:
        build(method, path, query, body)
    return caught.value.field, caught.value.problem


def everything(tree: dict[str, Any]) -> Message:
    message = Everything()
    json_format.ParseDict(tree, message, descriptor_pool=POOL)
    return message


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
REAL = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["Infinity", "-Infinity"])
MOMENT = st.datetimes().map(lambda moment: moment.isoformat() + "Z")
SECONDS = st.integers(-(10**11), 10**11).map(lambda seconds: f"{seconds}s")
COLOR = st.sampled_from(["COLOR_UNSPECIFIED", "COLOR_RED", "COLOR_DARK"])
BYTES = st.binary(max_size=6).map(lambda data: json_format.MessageToDict(_bytes(data))["someBytes"])
NAMED_PART = st.fixed_dictionaries({"name": TEXT.filter(bool)}, optional={"sizeMm": INT32})


def _bytes(data: bytes) -> Message:
    return Everything(some_bytes=data)


IN_QUERY = {
    "aDouble": REAL,
    "aFloat": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "anInt32": INT32,
    "anInt64": INT64.map(str),
    "aUint32": st.integers(0, 2**32 - 1),
    "aUint64": st.integers(0, 2**64 - 1).map(str),
    "aSint32": INT32,
    "aFixed64": st.integers(0, 2**64 - 1).map(str),
    "aBool": st.booleans(),
    "aString": TEXT,
    "color": COLOR,
    "maybe": INT32,
    "part": NAMED_PART,
    "words": st.lists(TEXT, max_size=3),
    "numbers": st.lists(INT64.map(str), max_size=3),
    "colors": st.lists(COLOR, max_size=3),
    "time": MOMENT,
    "duration": SECONDS,
    "durations": st.lists(SECONDS, max_size=2),
    "mask": st.sampled_from(["a", "a,bC.d"]),
    "maybeString": TEXT,
    "maybeInt64": INT64.map(str),
    "maybeBool": st.booleans(),
    "strange": TEXT,
    "bools": st.lists(st.booleans(), max_size=2),
}
FREE = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ONLY_IN_BODY = {
    "parts": st.lists(NAMED_PART, max_size=2),
    "labels": st.dictionaries(TEXT, TEXT, max_size=2),
    "partsByNumber": st.dictionaries(INT32.map(str), NAMED_PART, max_size=2),
    "byBool": st.dictionaries(st.sampled_from(["true", "false"]), REAL, max_size=2),
    "tree": st.dictionaries(TEXT, FREE, max_size=3),
    "anything": FREE,
    "list": st.lists(FREE, max_size=3),
    "anythings": st.lists(FREE, max_size=3),
    "nothing": st.none(),
    "empty": st.just({}),
    "any": st.fixed_dictionaries(
        {"@type": st.just("type.googleapis.com/example.v1.Part")}, optional={"name": TEXT}
    ),
}


def in_query(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            pairs += in_query(value, f"{prefix}{key}.")
            continue
        for item in value if isinstance(value, list) else [value]:
            text = item if isinstance(item, str) else json.dumps(item)
            pairs.append((prefix + key, text))
    return pairs


@given(st.fixed_dictionaries({}, optional=IN_QUERY))
def test_any_message_comes_back_from_a_query_string(tree: dict[str, Any]) -> None:
    query = urlencode(in_query(tree))
    assert build("GET", "/v1/anyhow", query) == everything(tree)


@given(st.fixed_dictionaries({}, optional=IN_QUERY | ONLY_IN_BODY))
def test_a_body_means_what_protobuf_says_it_means(tree: dict[str, Any]) -> None:
    body = json.dumps(tree)
    assert build("PUT", "/v1/things/x", body=body).SerializeToString(
        deterministic=True
    ) == _with_name(everything(tree)).SerializeToString(deterministic=True)


def _with_name(message: Any) -> Message:
    message.part.part.name = "x"
    return message  # type: ignore[no-any-return]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*IN_QUERY, *ONLY_IN_BODY, "name"]), inner)
        ),
    ).map(json.dumps)
)
def test_any_json_is_read_or_refused(body: str) -> None:
    try:
        message = build("PUT", "/v1/things/x", body=body)
    except InvalidArgument:
        return
    message.SerializeToString()


@given(
    st.sampled_from([key for key, strategy in IN_QUERY.items() if key != "part"]),
    TEXT | st.from_regex(r"[-+0-9.eEsTZ:_,a-c]{0,30}", fullmatch=True),
)
def test_any_text_of_a_parameter_is_read_or_refused_by_its_name(key: str, text: str) -> None:
    try:
        message = build("GET", "/v1/anyhow", urlencode({key: text}))
    except InvalidArgument as error:
        refused = error.field.partition("[")[0]
    else:
        assert Everything.FromString(message.SerializeToString()) == message
        return
    assert Everything.DESCRIPTOR.fields_by_name[refused].json_name == key


@given(
    st.sampled_from(["Part", "Everything"]).map("type.googleapis.com/example.v1.".__add__)
    | st.sampled_from(["Timestamp", "Value", "Struct", "Any", "Empty", "Int64Value"]).map(
        "type.googleapis.com/google.protobuf.".__add__
    )
    | FREE,
    st.dictionaries(st.sampled_from(["value", "name", "aString", "anything", "any"]), FREE),
)
def test_any_any_is_read_or_refused(kind: Any, members: dict[str, Any]) -> None:
    body = json.dumps({"any": {"@type": kind} | members})
    try:
        message = build("PUT", "/v1/things/x", body=body)
    except InvalidArgument:
        return
    message.SerializeToString()


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(query: bytes, body: bytes) -> None:
    for method, path in (("GET", "/v1/anyhow"), ("PUT", "/v1/things/x")):
        binding, variables = ROUTES.find(method, path.encode())
        try:
            build_request(binding, variables, query, body)
        except InvalidArgument as error:
            error.message.encode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a_string=1&an_int64=2", {"aString": "1", "anInt64": "2"}),
        ("aString=1&anInt64=2", {"aString": "1", "anInt64": "2"}),
        ("strange=a", {"strange": "a"}),
        ("odd_name=a", {"strange": "a"}),
        ("part.size_mm=3&part.part.name=x", {"part": {"sizeMm": 3, "part": {"name": "x"}}}),
        ("words=a&words=&words=b%20c+d", {"words": ["a", "", "b c d"]}),
        ("color=1&colors=COLOR_RED&colors=-3", {"color": 1, "colors": [1, -3]}),
        ("an_int32=1e2&a_double=-1.5E-3", {"anInt32": 100, "aDouble": -0.0015}),
        ("a_double=Infinity&a_float=-Infinity", {"aDouble": "Infinity", "aFloat": "-Infinity"}),
        ("some_bytes=_-8", {"someBytes": "/+8="}),
        ("duration=1.5s&mask=a,bC", {"duration": "1.5s", "mask": "a,bC"}),
        ("time=2030-01-01T00:00:00%2B01:00", {"time": "2029-12-31T23:00:00Z"}),
        ("maybe=0", {"maybe": 0}),
        ("color=red&colors=Dark&colors=color_red", {"color": 1, "colors": [-3, 1]}),
        ("color=unspecified&colors=COLOR_UNSPECIFIED", {"colors": [0]}),
        ("a_bool=1&maybe_bool=0&bools=true", {"aBool": True, "maybeBool": False, "bools": [True]}),
        ("a_string=1&words=0", {"aString": "1", "words": ["0"]}),
        ("a_string=price%3C=500&words=a=b", {"aString": "price<=500", "words": ["a=b"]}),
        ("maybe_bool=false&maybe_int64=0", {"maybeBool": False, "maybeInt64": "0"}),
        ("a_string=cañón", {"aString": "cañón"}),
        ("", {}),
        ("&&", {}),
    ],
)
def test_parameters_become_fields(query: str, expected: dict[str, Any]) -> None:
    assert build("GET", "/v1/anyhow", query) == everything(expected)


@pytest.mark.parametrize(
    ("query", "field", "problem"),
    [
        ("nope=1", "nope", 'no such parameter: "nope"'),
        ("part.nope=1", "part.nope", 'no such parameter: "part.nope"'),
        ("=1", "", 'no such parameter: ""'),
        ("part..name=1", "part..name", 'no such parameter: "part..name"'),
        ("an_int32=x", "an_int32", "must be an integer"),
        ("an_int32=", "an_int32", "must be an integer"),
        ("an_int32=1.5", "an_int32", "must be an integer"),
        ("an_int32=1_0", "an_int32", "must be an integer"),
        ("an_int32=%D9%A1", "an_int32", "must be an integer"),
        ("an_int32=2147483648", "an_int32", "must be from -2147483648 to 2147483647"),
        ("an_int32=1e999999999999", "an_int32", "must be from -2147483648 to 2147483647"),
        ("a_uint64=-1", "a_uint64", "must be from 0 to 18446744073709551615"),
        ("a_double=1,5", "a_double", "must be a number"),
        ("a_double=inf", "a_double", "must be a number"),
        ("a_double=1e999", "a_double", "is out of range"),
        ("a_float=1e39", "a_float", "is out of range"),
        ("a_bool=2", "a_bool", "must be true or false"),
        ("a_bool=True", "a_bool", "must be true or false"),
        ("maybe_bool=yes", "maybe_bool", "must be true or false"),
        ("some_bytes=*", "some_bytes", "must be base64"),
        ("some_bytes=a", "some_bytes", "must be base64"),
        ("color=", "color", "must be one of red, dark"),
        ("color=green", "color", "must be one of red, dark"),
        ("color=OLOR_RED", "color", "must be one of red, dark"),
        ("color=--1", "color", "must be one of red, dark"),
        ("color=7", "color", "must be one of red, dark"),
        ("color=red&color=red", "color", "2 values given, at most 1"),
        ("colors=red&colors=x", "colors[1]", "must be one of red, dark"),
        ("time=today", "time", "must be a time such as 2030-01-31T10:00:00Z"),
        ("duration=5", "duration", "must be seconds such as 1.5s"),
        ("duration=1e3s", "duration", "must be seconds such as 1.5s"),
        ("a_string=a&a_string=b", "a_string", "2 values given, at most 1"),
        ("a_string=a&aString=b", "a_string", "2 values given, at most 1"),
        ("left=a&right=1", "right", "excludes left, which is given too"),
        ("part=1", "part", "cannot be a query parameter, only a field of a body"),
        ("parts=1", "parts", "cannot be a query parameter, only a field of a body"),
        ("parts.name=1", "parts.name", "parts has no fields to set here"),
        ("a_string.x=1", "a_string.x", "a_string has no fields to set here"),
        ("duration.seconds=1", "duration.seconds", "duration has no fields to set here"),
        ("labels=1", "labels", "cannot be a query parameter, only a field of a body"),
        ("labels.a=1", "labels.a", "labels has no fields to set here"),
        ("anything=1", "anything", "cannot be a query parameter, only a field of a body"),
        ("tree.a=1", "tree.a", 'no such parameter: "tree.a"'),
        ("any=1", "any", "cannot be a query parameter, only a field of a body"),
        ("a_string=%FF", "query string", "must be UTF-8"),
        ("a=1&" * 1001, "query string", "has more than 1000 parameters"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(query: str, field: str, problem: str) -> None:
    assert refusal("GET", "/v1/anyhow", query) == (field, problem)


@pytest.mark.parametrize(
    ("values", "typed", "expected"),
    [
        # "1" would be the number 1, and so another value.
        ({"V_1": 5, "V_2": 1}, "v_1", 5),
        ({"V_1": 5, "V_2": 1}, "1", 1),
        ({"FULL_TEXT": 0, "FULL_TEXT_ONLY": 1}, "text_only", 1),
        ({"LIGHT_RED": 0, "LIGHT_BLUE": 1, "DARK": 2}, "light_blue", 1),
        ({"A_B": 0, "A_A_B": 1}, "a_b", 0),
        ({"ONLY": 0}, "only", 0),
    ],
)
def test_the_prefix_of_an_enum_is_what_all_its_names_share(
    values: dict[str, int], typed: str, expected: int
) -> None:
    assert scalar(enum_field(values), Typed(typed), "e") == expected


def enum_field(values: dict[str, int]) -> FieldDescriptor:
    file = descriptor_pb2.FileDescriptorProto(name="e.proto", syntax="proto2")
    enum = file.enum_type.add(name="E")
    for name, number in values.items():
        enum.value.add(name=name, number=number)
    file.message_type.add(name="M").field.add(
        name="e", number=1, label="LABEL_OPTIONAL", type="TYPE_ENUM", type_name=".E"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool.FindMessageTypeByName("M").fields_by_name["e"]


def test_a_parameter_that_is_too_deep_is_refused() -> None:
    assert build("GET", "/v1/anyhow", "part." * 20 + "name=x")
    field, problem = refusal("GET", "/v1/anyhow", "part." * 5000 + "name=x")
    assert len(field) == 100
    assert problem == "is nested deeper than 32 levels"


def test_a_parameter_of_the_path_or_body_is_refused() -> None:
    assert refusal("PURGE", "/v1/things/a", "a_string=b") == (
        "a_string",
        "is given by the path already",
    )
    assert refusal("PUT", "/v1/things/a", "a_string=b", "{}") == (
        "a_string",
        "belongs in the body, not in the query",
    )
    assert refusal("PATCH", "/v1/things/a", "part.size_mm=1", "{}") == (
        "part.size_mm",
        "belongs in the body, not in the query",
    )


def test_path_body_and_query_make_one_message() -> None:
    built = build("PATCH", "/v1/things/a", "a_string=b&words=c", '{"size_mm": 3}')
    assert built == everything({"part": {"name": "a", "sizeMm": 3}, "aString": "b", "words": ["c"]})


@given(st.tuples(INT64, st.booleans(), COLOR, MOMENT))
def test_path_variables_of_all_kinds_are_read(values: tuple[int, bool, str, str]) -> None:
    number, flag, color, moment = values
    path = f"/v1/numbers/{number}/{str(flag).lower()}/{color}/{quote(moment)}"
    expected = everything({"anInt64": str(number), "aBool": flag, "color": color, "time": moment})
    assert build("GET", path) == expected
    typed = f"/v1/numbers/{number}/{flag:d}/{color[6:].lower()}/{quote(moment)}"
    assert build("GET", typed) == expected


def test_a_wrong_path_variable_is_refused_by_name() -> None:
    time = "2030-01-01T00:00:00Z"
    assert refusal("GET", f"/v1/numbers/x/true/0/{time}") == ("an_int64", "must be an integer")
    assert refusal("GET", "/v1/numbers/1/true/0/now")[0] == "time"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/things/a", '{"part": {"part": {"name": "b"}}}', "part.part.name"),
        ("/v1/moments/2030-01-01T00:00:00Z", '{"time": "2031-01-01T00:00:00Z"}', "time"),
        ("/v1/maybes/1", '{"maybe": 0}', "maybe"),
    ],
)
def test_a_body_that_disagrees_with_the_path_is_refused(path: str, body: str, field: str) -> None:
    method = "PUT" if "things" in path else "POST"
    assert refusal(method, path, body=body) == (field, "the body and the path disagree")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/things/a", '{"part": {"part": {"name": "a", "sizeMm": 1}}}'),
        ("/v1/things/a", '{"part": {"part": {"name": ""}}}'),
        ("/v1/moments/2030-01-01T00:00:00Z", '{"time": "2030-01-01T01:00:00+01:00"}'),
        ("/v1/maybes/1", '{"maybe": 1}'),
    ],
)
def test_a_body_that_agrees_with_the_path_is_taken(path: str, body: str) -> None:
    assert build("PUT" if "things" in path else "POST", path, body=body)


def test_a_body_may_not_choose_another_of_a_oneof() -> None:
    assert refusal("POST", "/v1/choices/1", body='{"left": "a"}') == (
        "right",
        "excludes left, which is given too",
    )


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/words", '["a", 1.50]', {"words": ["a", "1.50"]}),
        ("/v1/labels", '{"a": "b"}', {"labels": {"a": "b"}}),
    ],
)
def test_a_body_may_be_any_field(path: str, body: str, expected: dict[str, Any]) -> None:
    assert build("POST", path, body=body) == everything(expected)


def test_a_value_of_an_enum_may_be_short_in_a_body_too() -> None:
    body = '{"color": "red", "colors": ["Dark", "COLOR_RED", "color_dark", 1]}'
    assert build("PUT", "/v1/things/x", body=body) == _with_name(
        everything({"color": "COLOR_RED", "colors": [-3, 1, -3, 1]})
    )


def test_an_unexpected_body_is_refused() -> None:
    assert refusal("GET", "/v1/anyhow", body="{}")[0] == "body"


def test_a_number_for_a_string_keeps_its_text() -> None:
    body = '{"aString": 9.90, "words": [10000000000000000000001, 1E2, -0.0]}'
    assert build("PUT", "/v1/things/x", body=body) == _with_name(
        everything({"aString": "9.90", "words": ["10000000000000000000001", "1E2", "-0.0"]})
    )


def test_a_number_of_a_free_form_value_stays_a_number() -> None:
    body = '{"anything": 1.50, "tree": {"a": [1, "1", 1e2]}, "anythings": [null]}'
    built: Any = build("PUT", "/v1/things/x", body=body)
    assert built.anything.number_value == 1.5
    assert [item.WhichOneof("kind") for item in built.tree["a"].values] == [
        "number_value",
        "string_value",
        "number_value",
    ]
    assert built.anythings[0].WhichOneof("kind") == "null_value"


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ("", "body", "is empty, must be JSON"),
        (" \n", "body", "is empty, must be JSON"),
        ("{", "body", "is not JSON: Expecting property name enclosed in double quotes at"),
        ("{}x", "body", "is not JSON: Extra data at line 1, column 3"),
        ("\ufeff{}", "body", "is not JSON"),
        ("NaN", "body", "NaN is not JSON"),
        ('{"aDouble": -Infinity}', "body", "-Infinity is not JSON"),
        ('{"a": 1, "a": 1}', "body", 'has "a" twice in one object'),
        ('{"anything": {"a": 1, "a": 1}}', "body", 'has "a" twice in one object'),
        ("[" * 100_000, "body", "is nested too deep"),
        ('{"a":' * 100_000, "body", "is nested too deep"),
        (r'{"aString": "\ud800"}', "body", "has half of a surrogate pair"),
        (r'{"\udc00": 1}', "body", "has half of a surrogate pair"),
        ("[]", "body", "must be an object"),
        ("null", "body", "must be an object"),
        ('"text"', "body", "must be an object"),
        ('{"nope": 1}', "nope", 'no such field: "nope"'),
        ('{"part": {"nope": 1}}', "part.nope", 'no such field: "nope"'),
        ('{"parts": [{}, {"a b": 1}]}', "parts[1].a b", 'no such field: "a b"'),
        ('{"a_string": "", "aString": ""}', "a_string", "is given by two of its names"),
        ('{"aString": true}', "a_string", "must be a string"),
        ('{"aString": {}}', "a_string", "must be a string"),
        ('{"aBool": "true"}', "a_bool", "must be true or false"),
        ('{"aBool": 1}', "a_bool", "must be true or false"),
        ('{"anInt32": true}', "an_int32", "must be an integer"),
        ('{"anInt32": 0.1}', "an_int32", "must be an integer"),
        ('{"color": null, "colors": [null]}', "colors[0]", "must be one of"),
        ('{"words": "a"}', "words", "must be an array"),
        ('{"words": [null]}', "words[0]", "must be a string"),
        ('{"parts": [{"sizeMm": "x"}]}', "parts[0].size_mm", "must be an integer"),
        ('{"parts": [null]}', "parts[0]", "must be an object"),
        ('{"part": []}', "part", "must be an object"),
        ('{"labels": [1]}', "labels", "must be an object"),
        ('{"labels": {"a": null}}', 'labels["a"]', "must be a string"),
        ('{"partsByNumber": {"x": {}}}', 'parts_by_number["x"]', "must be an integer"),
        ('{"partsByNumber": {"1": {"x": 1}}}', 'parts_by_number["1"].x', "no such field"),
        ('{"color": "green"}', "color", "must be one of red, dark"),
        ('{"color": ""}', "color", "must be one of red, dark"),
        ('{"color": true}', "color", "must be one of red, dark"),
        ('{"color": 7}', "color", "must be one of red, dark"),
        ('{"color": {"red": 1}}', "color", "must be one of red, dark"),
        ('{"aBool": "1"}', "a_bool", "must be true or false"),
        ('{"byBool": {"1": 1}}', 'by_bool["1"]', "must be true or false"),
        ('{"byBool": {"yes": 1}}', 'by_bool["yes"]', "must be true or false"),
        ('{"left": "", "right": 0}', "right", "excludes left, which is given too"),
        ('{"duration": 5}', "duration", "must be seconds such as 1.5s"),
        ('{"duration": {"seconds": 5}}', "duration", "must be seconds such as 1.5s"),
        ('{"duration": "99999999999999s"}', "duration", "must be seconds such as 1.5s"),
        ('{"time": "10000-01-01T00:00:00Z"}', "time", "must be a time such as"),
        ('{"maybeInt64": "x"}', "maybe_int64", "must be an integer"),
        ('{"maybeString": {"value": "x"}}', "maybe_string", "must be a string"),
        ('{"tree": 1}', "tree", "is not a google.protobuf.Struct"),
        ('{"list": {}}', "list", "is not a google.protobuf.ListValue"),
        ('{"any": {"@type": "x.org/None"}}', "any", "is not a google.protobuf.Any"),
        ('{"any": {"a": 1}}', "any", "is not a google.protobuf.Any"),
        ('{"any": []}', "any", "is not a google.protobuf.Any"),
        ('{"anything": 1e999}', "anything", "is out of range"),
        ('{"anything": ' + "[" * 40 + "]" * 40 + "}", "anything", "is nested deeper than"),
        ('{"part": ' * 40 + "1" + "}" * 40, "part" + ".part" * 31, "is nested deeper than"),
    ],
)
def test_a_wrong_body_is_refused_by_field(body: str, field: str, problem: str) -> None:
    refused_field, refused_problem = refusal("PUT", "/v1/things/x", body=body)
    assert refused_field == field
    assert problem in refused_problem


def test_a_field_body_of_null_is_refused() -> None:
    assert refusal("PATCH", "/v1/things/a", body="null") == ("body", "must not be null")


def test_errors_within_a_field_body_name_the_whole_path() -> None:
    assert refusal("PATCH", "/v1/things/a", body='{"sizeMm": []}')[0] == "part.size_mm"
    assert refusal("PATCH", "/v1/things/a", body="[]") == ("part", "must be an object")


def test_the_deepest_free_form_value_that_is_taken_survives_the_wire() -> None:
    depth = 32
    while True:
        message = Everything()
        try:
            fill(message, {"parts": [], "anything": _nested(depth)})
        except InvalidArgument:
            depth -= 1
            continue
        break
    assert depth > 20
    assert Everything.FromString(message.SerializeToString()) == message


def _nested(depth: int) -> Any:
    tree: Any = "leaf"
    for _ in range(depth):
        tree = {"a": tree}
    return tree
