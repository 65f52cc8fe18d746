import pytest

from services.gateway.rest.__main__ import SERVICES
from services.gateway.rest.bindings import Routes, bindings_of
from services.gateway.rest.errors import HttpError
from tests.rest_schema import EXAMPLES, PROTO, compile_schema

SHOP = Routes(bindings_of(SERVICES))
EXAMPLE = Routes(bindings_of([EXAMPLES]))


@pytest.mark.parametrize(
    ("method", "path", "rpc", "variables"),
    [
        ("GET", "/v1/products:search", "Search", {}),
        ("HEAD", "/v1/products:search", "Search", {}),
        ("POST", "/v1/products:search", "Search", {}),
        ("POST", "/v1/products:batchUpsert", "BatchUpsertProducts", {}),
        ("GET", "/v1/products/a:similar", "Similar", {"product_id": "a"}),
        ("GET", "/v1/products/a%3Asimilar", "GetProduct", {"id": "a:similar"}),
        ("GET", "/v1/products/a:other", "GetProduct", {"id": "a:other"}),
        ("GET", "/v1/products/a%2Fb", "GetProduct", {"id": "a/b"}),
        ("GET", "/v1/products", "ListProducts", {}),
        ("POST", "/v1/products", "UpsertProduct", {}),
        ("PUT", "/v1/products/a", "UpsertProduct", {"product.id": "a"}),
        ("DELETE", "/v1/products/a", "DeleteProduct", {"id": "a"}),
        ("DELETE", "/v1/products/a%3Asimilar", "DeleteProduct", {"id": "a:similar"}),
        ("GET", "/v1/categories", "ListCategories", {}),
        ("GET", "/v1/changes", "WatchChanges", {}),
        ("GET", "/v1/status", "GetStatus", {}),
    ],
)
def test_every_annotation_of_the_shop_is_a_route(
    method: str, path: str, rpc: str, variables: dict[str, str]
) -> None:
    binding, values = SHOP.find(method, path.encode())
    assert binding.rpc.name == rpc
    assert {".".join(field): value for field, value in values.items()} == variables


@pytest.mark.parametrize(
    ("method", "path", "rpc"),
    [
        ("PURGE", "/v1/things/a", "Purge"),
        ("GET", "/v1/anyhow", "Anyhow"),
        ("BREW", "/v1/anyhow", "Anyhow"),
        ("GET", "/v1/shelves/3/things", "Get"),
        ("GET", "/v1/files/a/b/c", "Get"),
    ],
)
def test_custom_methods_and_long_variables_are_routes(method: str, path: str, rpc: str) -> None:
    assert EXAMPLE.find(method, path.encode())[0].rpc.name == rpc


def test_an_rpc_without_annotation_is_not_a_route() -> None:
    assert "Hidden" not in {binding.rpc.name for binding in EXAMPLE.bindings}


def test_additional_bindings_have_bodies_of_their_own() -> None:
    assert EXAMPLE.find("PATCH", b"/v1/things/a")[0].body == "part"
    assert EXAMPLE.find("PUT", b"/v1/things/a")[0].body == "*"
    assert EXAMPLE.find("GET", b"/v1/files/a")[0].response_body == "part"
    assert EXAMPLE.find("GET", b"/v1/files/a:size")[0].response_body == "words"


@pytest.mark.parametrize("path", ["/v2/products", "/v1", "/v1/products/a/b", "/v1/products/"])
def test_an_unknown_path_is_404(path: str) -> None:
    with pytest.raises(HttpError) as caught:
        SHOP.find("GET", path.encode())
    assert caught.value.http_status == 404


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PATCH", "/v1/products", "GET, HEAD, POST"),
        ("GET", "/v1/products:batchUpsert", "POST"),
        ("HEAD", "/v1/products:batchUpsert", "POST"),
        # a verb is a verb for every method: this removes no product "a:similar"
        ("DELETE", "/v1/products/a:similar", "GET, HEAD"),
        ("PATCH", "/v1/products/a", "DELETE, GET, HEAD, PUT"),
    ],
)
def test_a_known_path_with_another_method_is_405(method: str, path: str, allow: str) -> None:
    with pytest.raises(HttpError) as caught:
        SHOP.find(method, path.encode())
    assert caught.value.http_status == 405
    assert caught.value.headers == {"allow": allow}


@pytest.mark.parametrize(
    ("annotation", "problem"),
    [
        ('get: "/v1/{missing}"', r'path: "missing" is not a single plain field'),
        ('get: "/v1/{part}"', r'path: "part" is not'),
        ('get: "/v1/{words}"', r'path: "words" is not'),
        ('get: "/v1/{parts.name}"', r'path: "parts.name" is not'),
        ('get: "/v1/{a_string.x}"', r'path: "a_string.x" is not'),
        ('get: "/v1/{aString}"', r'path: "aString" is not'),
        ('get: "/v1/{a_string"', "is not a path template"),
        ('post: "/v1/x" body: "missing"', 'body: no field "missing"'),
        ('get: "/v1/x" response_body: "missing"', 'response_body: no field "missing"'),
        ('body: "*"', "no HTTP method and path"),
    ],
)
def test_a_wrong_annotation_is_refused_at_start(annotation: str, problem: str) -> None:
    service = (
        "service Wrong { rpc Do(Everything) returns (Everything) "
        f"{{ option (google.api.http) = {{ {annotation} }}; }} }}"
    )
    wrong = compile_schema(PROTO + service).FindServiceByName("example.v1.Wrong")
    with pytest.raises(ValueError, match=problem) as caught:
        list(bindings_of([wrong]))
    assert str(caught.value).startswith("example.v1.Wrong.Do: ")


def test_a_stream_of_requests_is_refused_at_start() -> None:
    service = (
        "service Wrong { rpc Do(stream Part) returns (Part) "
        '{ option (google.api.http) = { get: "/v1/x" }; } }'
    )
    wrong = compile_schema(PROTO + service).FindServiceByName("example.v1.Wrong")
    with pytest.raises(ValueError, match="a stream of requests has no HTTP form"):
        list(bindings_of([wrong]))
