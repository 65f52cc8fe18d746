import json
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from services.cli import convert
from services.cli.convert import Converter, NotAProduct
from services.cli.failures import Failure
from services.cli.mapping import FIELDS, fields_of_columns, fields_of_keys, parse_mapping
from services.cli.prices import DecimalMark
from vitrina.catalog.v1 import catalog_pb2


def product(row: dict[str, Any], *, mapping: str = "", **options: Any) -> catalog_pb2.Product:
    fields = fields_of_keys(parse_mapping([mapping] if mapping else []))
    return Converter(fields, **options).product({"id": "1", "name": "x", **row})


def attributes(row: dict[str, Any], *, mapping: str = "") -> dict[str, Any]:
    made = json_format.MessageToDict(product(row, mapping=mapping))
    found: dict[str, Any] = made.get("attributes", {})
    return found


def test_every_field_that_can_be_mapped_is_one_of_a_product() -> None:
    assert set(FIELDS) < set(catalog_pb2.Product.DESCRIPTOR.fields_by_name)


def test_all_fields_arrive() -> None:
    row = {
        "id": 7, "name": " Lamp ", "description": "d", "category": ["Home", "Light"], "brand": "B",
        "price": Decimal("49.90"), "currency": "eur", "stock": 3, "active": False,
        "image_url": "http://x/y.png", "language": "es",
        "attributes": {"color": "red", "on": True},
    }  # fmt: skip
    made = product(row)
    assert (made.id, made.name, made.description, made.brand) == ("7", "Lamp", "d", "B")
    assert (made.category, made.image_url) == ("Home > Light", "http://x/y.png")
    assert made.language == "es"
    assert (made.price, made.currency, made.stock, made.active) == ("49.90", "EUR", 3, False)
    assert made.attributes["color"].string_value == "red"
    assert made.attributes["on"].bool_value


def test_what_is_absent_stays_absent() -> None:
    made = product({"price": None, "stock": None, "active": None, "description": None, "a": None})
    assert made == catalog_pb2.Product(id="1", name="x")


def test_unknown_keys_become_attributes() -> None:
    assert attributes(
        {
            "weight": Decimal("0.26"), "pieces": 6, "new": True, "color": "red", "empty": " ",
            "none": None, "sizes": ["S", "M", 4, True, None], "nothing": [],
            "box": {"width": 3, "deep": {"er": "x"}}, "offers": [{"a": 1}],
            "ean": 12345678901234567890, "attributes": {"color": "blue", "in": {"side": 1}},
        }
    ) == {
        "weight": 0.26, "pieces": 6.0, "new": True, "color": "blue", "sizes": "S, M, 4, true",
        "box.width": 3.0, "box.deep.er": "x", "offers": '[{"a": 1}]',
        "ean": "12345678901234567890", "in.side": 1.0,
    }  # fmt: skip


def test_a_mapped_key_may_be_inside_of_an_object() -> None:
    row = {"offer": {"price": "3,15 €", "shop": "S"}, "name": "own"}
    made = product({**row, "title": "T"}, mapping="price=offer.price,name=title")
    assert (made.price, made.currency, made.name) == ("3.15", "EUR", "T")
    assert attributes({**row, "title": "T"}, mapping="price=offer.price,name=title") == {
        "offer.shop": "S",
        "name": "own",
    }


def test_what_the_api_gave_can_be_imported_again() -> None:
    stored = product({"imageUrl": "http://x", "price": "5", "attributes": {"a": 1}})
    stored.revision = 12
    stored.create_time.GetCurrentTime()
    stored.update_time.GetCurrentTime()
    again = Converter().product(json.loads(json_format.MessageToJson(stored)))
    for output_only in ("revision", "create_time", "update_time"):
        stored.ClearField(output_only)
    assert again == stored


def test_a_revision_of_the_shops_own_is_an_attribute() -> None:
    assert attributes({"revision": "B"}) == {"revision": "B"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"id": None}, "no id"),
        ({"id": "  "}, "no id"),
        ({"id": True}, "id: must be text"),
        ({"id": ["a"]}, "id: must be text"),
        ({"name": ""}, "no name"),
        ({"brand": {"name": "B"}}, "brand: must be text"),
        ({"price": "abc"}, "price: 'abc' is not a price"),
        ({"price": "-5"}, "negative"),
        ({"price": True}, "must be a number or text"),
        ({"price": "5 €", "currency": "USD"}, "is in EUR, but the currency says USD"),
        ({"stock": "many"}, "stock: 'many' is not a whole number"),
        ({"stock": Decimal("1.5")}, "stock: 1.5 is not a whole number"),
        ({"stock": True}, "stock: True is not a whole number"),
        ({"stock": -1}, "stock: -1 is below zero"),
        ({"stock": 2**63}, "out of range"),
        ({"stock": "NaN"}, "stock: NaN is not"),
        ({"language": "spanish"}, "language: 'spanish' is not a code of two letters such as es"),
        ({"language": "spa"}, "language: 'spa' is not"),
        ({"language": "e"}, "language: 'e' is not"),
        ({"language": "es-"}, "language: 'es-' is not"),
        ({"language": "ñu"}, "language: 'ñu' is not"),
        ({"language": "es, en"}, "--map attribute=COLUMN makes an attribute of its column"),
        ({"language": ["es"]}, "language: must be text"),
        ({"active": "perhaps"}, "active: 'perhaps' is neither yes nor no"),
        ({"attributes": [1]}, "attributes: must be an object"),
        ({"x": Decimal("1e999")}, "attributes.x: 1E\\+999 is out of range"),
        ({"name": "\ud800"}, "half of a surrogate pair"),
        ({"\ud800": "x"}, "half of a surrogate pair"),
    ],
)
def test_a_row_that_cannot_be_a_product_says_why(row: dict[str, Any], problem: str) -> None:
    with pytest.raises(NotAProduct, match=problem):
        product(row)


def test_a_row_nested_too_deeply_is_refused() -> None:
    nested: dict[str, Any] = {}
    for _ in range(5000):
        nested = {"a": nested}
    with pytest.raises(NotAProduct, match="nested too deeply"):
        product({"x": nested})


def test_a_product_that_is_too_large_is_refused_before_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert product({"name": "x" * 1_000_000}).name
    monkeypatch.setattr(convert, "MAX_PRODUCT_BYTES", 1024 * 1024)
    with pytest.raises(NotAProduct, match=r"takes 1\.1 MiB, at most 1"):
        product({"description": "x" * 1_200_000})


@pytest.mark.parametrize("word", ["1", "true", "Sí", "si", "YES", " on ", 1, True])
def test_words_for_active(word: Any) -> None:
    assert product({"active": word}).active is True


@pytest.mark.parametrize("word", ["0", "false", "No", "off", 0, False])
def test_words_for_inactive(word: Any) -> None:
    made = product({"active": word})
    assert made.HasField("active")
    assert made.active is False


@pytest.mark.parametrize("stock", ["12", " 12 ", "12.0", 12, Decimal("12.0")])
def test_stock_is_read_from_text_and_numbers(stock: Any) -> None:
    assert product({"stock": stock}).stock == 12


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("es", "es"), ("ES", "es"), (" En ", "en"), ("es-ES", "es"), ("pt_BR", "pt"),
        ("zh-Hant-TW", "zh"), ("", ""), (None, ""),
    ],
)  # fmt: skip
def test_the_language_is_two_small_letters(given: str | None, stored: str) -> None:
    assert product({"language": given}).language == stored


def test_a_column_with_the_name_of_a_field_can_be_kept_as_an_attribute() -> None:
    row = {"language": "Español, inglés", "brand": "B", "lang": "es"}
    mapping = "attribute=language, attribute=brand, language=lang"
    made = product(row, mapping=mapping)
    assert (made.language, made.brand) == ("es", "")
    assert attributes(row, mapping=mapping) == {"language": "Español, inglés", "brand": "B"}
    columns = ["id", "name", "Language"]
    fields = fields_of_columns(columns, parse_mapping(["attribute=Language"]))
    values = dict(zip(columns, ("1", "x", "Español"), strict=True))
    made = Converter(fields).product(values)
    assert (made.language, made.attributes["Language"].string_value) == ("", "Español")


def test_the_currency_comes_from_the_price_then_the_row_then_the_call() -> None:
    assert product({"price": "5"}).currency == ""
    assert product({"price": "5"}, currency="EUR").currency == "EUR"
    assert product({"price": Decimal(5)}, currency="EUR").currency == "EUR"
    assert product({"price": "5", "currency": "GBP"}, currency="EUR").currency == "GBP"
    assert product({"price": "5 £"}, currency="EUR").currency == "GBP"
    assert product({"price": "$5", "currency": "MXN"}, currency="EUR").currency == "MXN"
    assert product({"price": "agotado"}, currency="EUR").currency == ""


def test_the_decimal_mark_is_handed_on() -> None:
    with pytest.raises(NotAProduct, match="--decimal"):
        product({"price": "1.234"})
    assert product({"price": "1.234"}, decimal_mark=DecimalMark.COMMA).price == "1234"
    # A JSON number says itself what it is.
    assert product({"price": Decimal("1.234")}).price == "1.234"


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON_VALUES = st.recursive(
    SCALARS | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "attributes", "x", "imageUrl"]), JSON_VALUES))
def test_any_json_object_is_a_product_or_is_refused(row: dict[str, Any]) -> None:
    try:
        made = Converter().product(row)
    except NotAProduct:
        return
    assert made.id
    assert made.name


def test_mappings_are_read_with_commas_and_repeated() -> None:
    assert parse_mapping(["id=URL, name=Name, long,price=a=b", "brand=Marca"]) == {
        "URL": "id",
        "Name, long": "name",
        "a=b": "price",
        "Marca": "brand",
    }


@pytest.mark.parametrize("text", ["id", "id=", "color=Color", "id=A,id=B", "id=A,name=A", ""])
def test_a_wrong_mapping_is_refused(text: str) -> None:
    with pytest.raises(Failure) as caught:
        parse_mapping([text])
    assert caught.value.exit_code == 2


def test_columns_map_by_their_own_names_in_any_case() -> None:
    columns = ["ID", "Name", "name", "Price", "Color"]
    assert fields_of_columns(columns, {}) == {"ID": "id", "name": "name", "Price": "price"}
    assert fields_of_columns(columns, {"Name": "name", "Color": "id"}) == {
        "Name": "name",
        "Color": "id",
        "Price": "price",
    }


@pytest.mark.parametrize(
    ("columns", "mapping", "problem"),
    [
        (["id", "title"], {}, "no column gives the name"),
        (["sku", "name"], {}, "no column gives the id"),
        (["id", "name"], {"Precio": "price"}, "price=Precio: no such column"),
    ],
)
def test_missing_columns_are_named_with_those_there_are(
    columns: list[str], mapping: dict[str, str], problem: str
) -> None:
    with pytest.raises(Failure, match=problem) as caught:
        fields_of_columns(columns, mapping)
    assert repr(columns[0]) in caught.value.hint
