from collections.abc import Mapping
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import InvalidArgument
from services.gateway.rest.templates import FieldPath, parse_template, split_path

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def matched(template: str, path: str) -> Mapping[FieldPath, str] | None:
    return parse_template(template).match(split_path(path.encode()))


@pytest.mark.parametrize(
    ("template", "path", "variables"),
    [
        ("/v1/products", "/v1/products", {}),
        ("/v1/products", "/v1/%70roducts", {}),
        ("/v1/products/{id}", "/v1/products/a", {("id",): "a"}),
        ("/v1/products/{id}", "/v1/products/a%2Fb%2fc", {("id",): "a/b/c"}),
        ("/v1/products/{id}", "/v1/products/a+b%20c%25", {("id",): "a+b c%"}),
        ("/v1/products/{id}", "/v1/products/..", {("id",): ".."}),
        ("/v1/products/{id}", "/v1/products/a:b", {("id",): "a:b"}),
        ("/v1/products/{product.id}", "/v1/products/%C3%B1", {("product", "id"): "ñ"}),
        ("/v1/{id}:similar", "/v1/a:similar", {("id",): "a"}),
        ("/v1/{id}:similar", "/v1/a%3Ab:c:similar", {("id",): "a:b:c"}),
        ("/v1/{id}:similar", "/v1/a:%73imilar", {("id",): "a"}),
        ("/v1/products:search", "/v1/products:search", {}),
        ("/v1/*/x", "/v1/anything/x", {}),
        ("/v1/**", "/v1/a/b", {}),
        ("/v1/{name=shelves}", "/v1/shelves", {("name",): "shelves"}),
        ("/v1/{name=*}", "/v1/a%2Fb", {("name",): "a/b"}),
        ("/v1/{name=shelves/*}/x", "/v1/shelves/7%20/x", {("name",): "shelves/7 "}),
        ("/v1/{name=shelves/*}", "/v1/shelves/a%2Fb", {("name",): "shelves/a%2Fb"}),
        ("/v1/{name=**}", "/v1/a/b%2F%C3%B1/c", {("name",): "a/b%2Fñ/c"}),
        ("/v1/{name=**}", "/v1", {("name",): ""}),
        ("/v1/{name=**}:go", "/v1/a/b:go", {("name",): "a/b"}),
        ("/v1/{name=a/**}", "/v1/a/b/c", {("name",): "a/b/c"}),
        ("/{a}/{b=x/*}/{c}", "/1/x/2/3", {("a",): "1", ("b",): "x/2", ("c",): "3"}),
    ],
)
def test_a_path_matches(template: str, path: str, variables: Mapping[FieldPath, str]) -> None:
    assert matched(template, path) == variables


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/products", "/v1/product"),
        ("/v1/products", "/v1/products/"),
        ("/v1/products", "/v1%2Fproducts"),
        ("/v1/products/{id}", "/v1/products"),
        ("/v1/products/{id}", "/v1/products/"),
        ("/v1/products/{id}", "/v1/products/a/b"),
        ("/v1/products/{id}", "/"),
        ("/v1/{id}:similar", "/v1/a%3Asimilar"),
        ("/v1/{id}:similar", "/v1/a:Similar"),
        ("/v1/{id}:similar", "/v1/:similar"),
        ("/v1/{id}:similar", "/v1/a"),
        ("/v1/products:search", "/v1/products%3Asearch"),
        ("/v1/{name=shelves/*}", "/v1/books/7"),
        ("/v1/{name=shelves/*}", "/v1/shelves/7/8"),
        ("/v1/a/{name=**}", "/v1"),
    ],
)
def test_a_path_does_not_match(template: str, path: str) -> None:
    assert matched(template, path) is None


@given(TEXT)
def test_any_id_comes_back_from_its_escaped_path(text: str) -> None:
    path = f"/v1/products/{quote(text, safe='')}"
    assert matched("/v1/products/{id}", path) == {("id",): text}
    assert matched("/v1/products/{id}:similar", f"{path}:similar") == {("id",): text}
    assert matched("/v1/products/{id}:similar", path) is None


@given(st.lists(TEXT.filter(lambda text: "/" not in text)))
def test_any_segments_come_back_from_a_path_of_many(texts: list[str]) -> None:
    path = "/".join(["/v1", *(quote(text, safe="") for text in texts)])
    assert matched("/v1/{name=**}", path) == {("name",): "/".join(texts)}


@pytest.mark.parametrize("path", ["/v1/%", "/v1/%2", "/v1/%zz", "/v1/%FF", "/v1/a%C3"])
def test_a_malformed_escape_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="path: "):
        matched("/v1/{id}", path)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "/",
        "v1",
        "/v1/",
        "/v1//a",
        "/v1/{}",
        "/v1/{a",
        "/v1/a}",
        "/v1/{a}b",
        "/v1/{a=}",
        "/v1/{a={b}}",
        "/v1/{a=x//y}",
        "/v1/{1a}",
        "/v1/{a.}",
        "/v1/{a}/{a}",
        "/v1/**/a",
        "/v1/{a=**}/b",
        "/v1/***",
        "/v1/a*",
        "/v1/a b",
        "/v1/a?b",
        "/v1/a:",
        "/v1/a:b:c",
        "/v1/a:b/c",
    ],
)
def test_what_is_not_a_template_is_refused_by_its_text(template: str) -> None:
    with pytest.raises(ValueError, match=r".*: ") as caught:
        parse_template(template)
    assert str(caught.value).startswith(f"{template}: ")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/v1/{id}:similar", "/v1/{id}"),
        ("/v1/{id}:similar", "/v1/products"),
        ("/v1/products", "/v1/{id}"),
        ("/v1/{id}", "/v1/**"),
        ("/v1/products", "/v1/products/**"),
        ("/v1/a/*", "/v1/*/b"),
        ("/v1/*/b", "/v1/**"),
    ],
)
def test_the_more_literal_template_comes_first(first: str, second: str) -> None:
    assert parse_template(first).precedence < parse_template(second).precedence
