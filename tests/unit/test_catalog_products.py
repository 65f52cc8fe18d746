"""Products are parsed once: every limit of the contract, and what is normalised."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.catalog.codec import draft_of, product_message
from services.catalog.products import (
    Attributes,
    Product,
    StoredProduct,
    price_of,
    price_text,
)
from services.common import categories
from services.common.errors import InvalidArgument
from tests.catalog_support import draft, product


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("product_id", "x" * 512),
        ("product_id", "a/b c\tñ"),
        ("name", "x" * 1_000),
        ("description", "é\t\r\n" * 5_000),
        ("category", " > ".join(["x"] * 10)),
        ("category", "x" * 500),
        ("brand", "x" * 200),
        ("image_url", "x" * 2_000),
        ("stock", 0),
        ("language", ""),
        ("language", "zz"),
        ("stock", 2**63 - 1),
        ("attributes", {f"n{i}": 1.0 for i in range(500)}),
        ("attributes", {"x" * 200: "x" * 10_000}),
        ("attributes", {"a": "", "b": True, "c": -1.5e300}),
    ],
)
def test_what_is_at_its_limit_is_accepted(field: str, value: Any) -> None:
    product(**{field: value})


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("product_id", "", "id"),
        ("product_id", "x" * 513, "id"),
        ("product_id", " x", "id"),
        ("product_id", "x\n", "id"),
        ("product_id", "x\u00a0", "id"),
        ("product_id", "x\0y", "id"),
        ("name", "", "name"),
        ("name", "x" * 1_001, "name"),
        ("name", "x\x1b[31m", "name"),
        ("description", "x" * 20_001, "description"),
        ("description", "\x7f", "description"),
        ("category", " > ".join(["x"] * 11), "category"),
        ("category", "x" * 501, "category"),
        ("category", "Audio > > Headphones", "category"),
        ("category", "> Audio", "category"),
        ("category", "Audio >", "category"),
        ("category", "Au\0dio", "category"),
        ("brand", "x" * 201, "brand"),
        ("brand", "\x00", "brand"),
        ("image_url", "x" * 2_001, "image_url"),
        ("image_url", "\x0b", "image_url"),
        ("stock", -1, "stock"),
        ("language", "ES", "language"),
        ("language", "spa", "language"),
        ("language", "e", "language"),
        ("language", "es\n", "language"),
        ("language", "ñu", "language"),
        ("currency", "eur", "currency"),
        ("currency", "EURO", "currency"),
        ("currency", "ÉUR", "currency"),
        ("currency", "EUR\n", "currency"),
        ("price", "1", "currency"),
        ("attributes", {f"n{i}": 1.0 for i in range(501)}, "attributes"),
        ("attributes", {"": 1.0}, "attributes"),
        ("attributes", {"x" * 201: 1.0}, "attributes"),
        ("attributes", {"a\nb\0": 1.0}, "attributes"),
        ("attributes", {"colour": "x" * 10_001}, "attributes.colour"),
        ("attributes", {"colour": "\0"}, "attributes.colour"),
        ("attributes", {"colour": None}, "attributes.colour"),
        ("attributes", {"colour": []}, "attributes.colour"),
        ("attributes", {"colour": {}}, "attributes.colour"),
        ("attributes", {"size": math.nan}, "attributes.size"),
        ("attributes", {"size": -math.inf}, "attributes.size"),
    ],
)
def test_what_is_beyond_its_limit_is_refused_by_name(field: str, value: Any, named: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        product(**{field: value})
    assert refused.value.field == named


@pytest.mark.parametrize(
    "text",
    ["1e3", "-1", "+1", "1,5", "1.", ".5", "1 ", " 1", "NaN", "Infinity", "0x1", "1_000", "١٢"],
)
def test_a_price_that_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        price_of(text)
    assert refused.value.field == "price"


@pytest.mark.parametrize("text", ["1.23456", "1234567890123", "1\n", "$1", "1.2.3"])
def test_a_price_of_too_many_digits_or_with_signs_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="at most 12 digits and 4 decimals"):
        price_of(text)


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [
        ("49.95", "49.95"),
        ("5", "5.00"),
        ("1.2345", "1.2345"),
        ("1.2340", "1.234"),
        ("0", "0.00"),
        ("007.1", "7.10"),
        ("999999999999.9999", "999999999999.9999"),
        ("", ""),
    ],
)
def test_a_price_is_written_canonically(given_text: str, canonical: str) -> None:
    assert price_text(price_of(given_text)) == canonical


@given(st.decimals(min_value=0, max_value=Decimal("999999999999.9999"), places=4))
def test_no_price_loses_a_digit(price: Decimal) -> None:
    assert price_of(price_text(price)) == price


def test_a_price_without_currency_takes_the_default() -> None:
    assert Product.parse(draft(price="1"), "EUR").currency == "EUR"
    assert Product.parse(draft(price="1", currency="USD"), "EUR").currency == "USD"
    assert Product.parse(draft(), "EUR").currency == ""


@pytest.mark.parametrize(
    ("given_path", "path"),
    [
        ("Audio>Headphones", "Audio > Headphones"),
        ("  Audio   >\tHeadphones ", "Audio > Headphones"),
        ("Audio & Hi-Fi", "Audio & Hi-Fi"),
        ("   ", ""),
        ("", ""),
    ],
)
def test_space_around_the_names_of_a_category_does_not_matter(given_path: str, path: str) -> None:
    assert categories.parsed(given_path) == path


def test_true_is_another_attribute_than_one() -> None:
    assert Attributes.parse({"a": True}) != Attributes.parse({"a": 1.0})
    assert product(attributes={"a": 1.0, "b": "x"}) == product(attributes={"b": "x", "a": 1.0})


def test_the_order_of_attributes_does_not_matter_and_values_come_back() -> None:
    values = {"z": 'ñ " \\ \n', "a": 0.1, "m": False, "😀": 1e21}
    assert Attributes.parse(values).values() == values


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30)
_VALUES = st.one_of(_TEXT, st.booleans(), st.floats(allow_nan=False, allow_infinity=False))


@given(
    name=_TEXT.filter(bool),
    description=_TEXT,
    brand=_TEXT,
    image_url=_TEXT,
    price=st.sampled_from(["", "1", "999999999999.9999"]),
    stock=st.none() | st.integers(0, 2**63 - 1),
    active=st.booleans(),
    language=st.sampled_from(["", "es", "xx"]),
    attributes=st.dictionaries(_TEXT.filter(bool), _VALUES, max_size=8),
)
def test_a_product_survives_the_message_and_is_not_larger_than_it_says(**fields: Any) -> None:
    parsed = product(**fields, currency="EUR")
    sent = product_message(StoredProduct(parsed, 2**62, 2**52, 2**52))
    assert Product.parse(draft_of(sent)) == parsed
    assert sent.ByteSize() <= parsed.size_bytes


def test_a_product_that_no_message_can_carry_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        product(attributes={f"n{i}": "😀" * 10_000 for i in range(400)})
    assert refused.value.field == "attributes"
