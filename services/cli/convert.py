"""Rows to products, with a reason for each that cannot be one."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from services.cli.mapping import ATTRIBUTE, fields_of_keys
from services.cli.prices import DecimalMark, NotAPrice, parse_price, price_of_number
from vitrina.catalog.v1 import catalog_pb2

# Far below the 16 MiB of a message, and above any product within the catalog's limits
# but for those of pathological attributes.
MAX_PRODUCT_BYTES = 4 * 1024 * 1024
_LARGEST_EXACT_INTEGER = 2**53
_EXPORT_MARKS = frozenset(("createTime", "updateTime", "create_time", "update_time"))
_TRUE = frozenset(("1", "true", "t", "yes", "y", "sí", "si", "s", "on", "x", "verdadero"))
# Of tags such as "es-ES" the first part counts: no more is stored.
_LANGUAGE = re.compile(r"([a-z]{2})(?:[-_][a-z0-9]{1,8})*", re.ASCII | re.IGNORECASE)
_FALSE = frozenset(("0", "false", "f", "no", "n", "off", "falso"))


class NotAProduct(ValueError):
    """The row cannot be a product; the message says why."""


class Converter:
    """Makes products of rows' values, by the names of columns or keys.

    `fields` is {column or key: field}; keys of nested objects are dotted. What
    it does not name, or names ATTRIBUTE, becomes an attribute.
    """

    def __init__(
        self,
        fields: Mapping[str, str] | None = None,
        *,
        decimal_mark: DecimalMark = DecimalMark.AUTO,
        currency: str = "",
    ) -> None:
        named = fields_of_keys({}) if fields is None else fields
        self._fields = {key: field for key, field in named.items() if field != ATTRIBUTE}
        self._decimal_mark = decimal_mark
        self._currency = currency

    def product(self, row: Mapping[str, Any]) -> catalog_pb2.Product:
        """Return the product of a row, or raise NotAProduct.

        The catalog's limits on texts and attributes are left to the catalog.
        """
        try:
            product = self._product(row)
        except NotAPrice as problem:
            raise NotAProduct(f"price: {problem}") from None
        except UnicodeEncodeError:
            raise NotAProduct("a text holds half of a surrogate pair") from None
        except RecursionError:
            raise NotAProduct("nested too deeply") from None
        size = product.ByteSize()
        if size > MAX_PRODUCT_BYTES:
            raise NotAProduct(
                f"the product takes {size / 1024 / 1024:.1f} MiB, "
                f"at most {MAX_PRODUCT_BYTES // 1024 // 1024}"
            )
        return product

    def id_of(self, row: Mapping[str, Any]) -> str:
        """Return the id of a row that is no product, as far as there is one."""
        for key, field in self._fields.items():
            if field == "id" and isinstance(row.get(key), (str, int)):
                return str(row[key]).strip()
        return ""

    def _product(self, row: Mapping[str, Any]) -> catalog_pb2.Product:
        values: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        # Rows that the API once gave: what it alone writes is not for us to write.
        is_export = not _EXPORT_MARKS.isdisjoint(row)
        for key, value in row.items():
            if is_export and (key in _EXPORT_MARKS or key == "revision"):
                continue
            self._place(key, value, values, attributes)
        attributes.update(self._own_attributes(row))
        product = self._fields_of(values)
        for name, value in attributes.items():
            _set_attribute(product, name, value)
        return product

    def _own_attributes(self, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        own = row.get("attributes")
        if own is None or isinstance(own, str) or "attributes" in self._fields:
            return
        if not isinstance(own, dict):
            raise NotAProduct("attributes: must be an object")
        yield from _flat("", own)

    def _place(
        self, key: str, value: Any, values: dict[str, Any], attributes: dict[str, Any]
    ) -> None:
        field = self._fields.get(key)
        if field is not None:
            # `image_url` and `imageUrl` may both be there; the one that says something counts.
            if values.get(field) in (None, ""):
                values[field] = value
        elif isinstance(value, dict):
            if key != "attributes":
                for inner, inner_value in value.items():
                    self._place(f"{key}.{inner}", inner_value, values, attributes)
        elif key != "attributes" or isinstance(value, str):
            attributes[key] = value

    def _fields_of(self, values: Mapping[str, Any]) -> catalog_pb2.Product:
        product = catalog_pb2.Product(
            id=_text("id", values.get("id")),
            name=_text("name", values.get("name")),
            description=_text("description", values.get("description")),
            category=_category(values.get("category")),
            brand=_text("brand", values.get("brand")),
            language=_language(values.get("language")),
            image_url=_text("image_url", values.get("image_url")),
        )
        if not product.id:
            raise NotAProduct("no id")
        if not product.name:
            raise NotAProduct("no name")
        stock = _stock(values.get("stock"))
        if stock is not None:
            product.stock = stock
        active = _active(values.get("active"))
        if active is not None:
            product.active = active
        self._set_price(product, values.get("price"), _text("currency", values.get("currency")))
        return product

    def _set_price(self, product: catalog_pb2.Product, value: Any, named: str) -> None:
        """Set price and currency; the row's own currency goes before the one of the call."""
        named = named.upper()
        expected = named or self._currency
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
            raise NotAPrice("must be a number or text")
        if isinstance(value, str):
            price = parse_price(value, decimal_mark=self._decimal_mark, currency=expected)
        else:
            price = price_of_number(value, expected)
        if price is None:
            return
        if named and price.currency != named:
            raise NotAPrice(f"is in {price.currency}, but the currency says {named}")
        product.price = price.amount
        product.currency = price.currency


def _text(field: str, value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise NotAProduct(f"{field}: must be text")
    return str(value)


def _category(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return " > ".join(value)
    return _text("category", value)


def _language(value: Any) -> str:
    """Return two small letters, of "ES" and "es-ES" too."""
    text = _text("language", value)
    if not text:
        return ""
    code = _LANGUAGE.fullmatch(text)
    if code is None:
        raise NotAProduct(
            f"language: {_shown(text)} is not a code of two letters such as es; "
            f"--map {ATTRIBUTE}=COLUMN makes an attribute of its column"
        )
    return code[1].lower()


def _stock(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except ArithmeticError:
            raise NotAProduct(f"stock: {_shown(value)} is not a whole number") from None
    is_number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    if not is_number or (isinstance(value, Decimal) and not _is_whole(value)):
        raise NotAProduct(f"stock: {_shown(value)} is not a whole number")
    if not 0 <= value < 2**63:
        raise NotAProduct(f"stock: {_shown(value)} is below zero or out of range")
    return int(value)


def _is_whole(number: Decimal) -> bool:
    return number.is_finite() and number.adjusted() < 20 and number == number.to_integral_value()


def _active(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().casefold()
    if not word:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise NotAProduct(f"active: {_shown(value)} is neither yes nor no")


def _flat(prefix: str, nested: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value


def _set_attribute(product: catalog_pb2.Product, name: str, value: Any) -> None:
    """Store an attribute; nothing for null, an empty text or an empty list."""
    if isinstance(value, str):
        if value.strip():
            product.attributes[name].string_value = value.strip()
    elif isinstance(value, bool):
        product.attributes[name].bool_value = value
    elif isinstance(value, (int, float, Decimal)):
        # A longer integer is a code rather than a quantity, and a double would change it.
        if isinstance(value, int) and abs(value) > _LARGEST_EXACT_INTEGER:
            product.attributes[name].string_value = str(value)
            return
        number = float(value)
        if not math.isfinite(number):
            raise NotAProduct(f"attributes.{name}: {_shown(value)} is out of range")
        product.attributes[name].number_value = number
    elif isinstance(value, list) and value:
        _set_attribute(product, name, _joined(value))


def _joined(values: list[Any]) -> str:
    if any(isinstance(value, (dict, list)) for value in values):
        return json.dumps(values, ensure_ascii=False, default=float)
    texts = (json.dumps(v) if isinstance(v, bool) else str(v) for v in values if v is not None)
    return ", ".join(texts)


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, (int, Decimal)) else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
