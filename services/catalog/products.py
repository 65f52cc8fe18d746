"""A product as the shop knows it: parsed once, at the edge, and right from then on."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from services.common import categories
from services.common.errors import InvalidArgument

MAX_ID_CHARACTERS = 512
MAX_NAME_CHARACTERS = 1_000
MAX_DESCRIPTION_CHARACTERS = 20_000
MAX_BRAND_CHARACTERS = 200
MAX_IMAGE_URL_CHARACTERS = 2_000
MAX_ATTRIBUTES = 500
MAX_ATTRIBUTE_NAME_CHARACTERS = 200
MAX_ATTRIBUTE_TEXT_CHARACTERS = 10_000
# A product must fit in one message of 16 MiB, with what goes around it.
MAX_PRODUCT_BYTES = 15 * 1024 * 1024

PRICE_DECIMALS = 4

# U+0080 to U+009F are let in: texts that once were Windows-1252 are full of them.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PRICE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,4})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_LANGUAGE = re.compile(r"(?:[a-z]{2})?")

AttributeValue = str | float | bool


def checked_text(field: str, text: str, at_most: int) -> str:
    """Return the text; InvalidArgument if it is too long or holds a control character."""
    if len(text) > at_most:
        raise InvalidArgument(field, f"{len(text)} characters, at most {at_most}")
    control = _CONTROL.search(text)
    if control:
        raise InvalidArgument(field, f"control character U+{ord(control[0]):04X}")
    return text


def product_id(text: str, field: str = "id") -> str:
    """Return the id; InvalidArgument if no product can have it."""
    if not text:
        raise InvalidArgument(field, f"empty, 1 to {MAX_ID_CHARACTERS} characters are needed")
    checked_text(field, text, MAX_ID_CHARACTERS)
    if text != text.strip():
        raise InvalidArgument(field, "white space at an end")
    return text


def price_of(text: str) -> Decimal | None:
    """Return the exact price; None for an empty text."""
    if not text:
        return None
    if not _PRICE.fullmatch(text):
        raise InvalidArgument(
            "price",
            f"not a decimal of at most 12 digits and {PRICE_DECIMALS} decimals, as 49.95 is",
        )
    return Decimal(text)


def price_text(price: Decimal | None) -> str:
    """Return the canonical text: two decimals, more only where they are not zero."""
    if price is None:
        return ""
    whole, _, decimals = f"{price:.{PRICE_DECIMALS}f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def _currency(text: str, price: Decimal | None, default: str) -> str:
    if not text and price is not None:
        if not default:
            raise InvalidArgument("currency", "empty, but there is a price")
        return default
    if text and not _CURRENCY.fullmatch(text):
        raise InvalidArgument("currency", "not a code of ISO 4217, as EUR is")
    return text


def _language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        raise InvalidArgument("language", "not two small letters of ISO 639-1, as es is")
    return text


def _attribute(name: str, value: object) -> AttributeValue:
    field = f"attributes.{name}"
    if isinstance(value, str):
        return checked_text(field, value, MAX_ATTRIBUTE_TEXT_CHARACTERS)
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    given = {type(None): "null", list: "a list", dict: "an object"}.get(type(value), str(value))
    raise InvalidArgument(field, f"{given}, must be a string, a finite number or a bool")


@dataclass(frozen=True, slots=True)
class Attributes:
    """Names and values, held as canonical JSON.

    So they cost nothing to read from a store or to compare, and true differs
    from 1, which it does not in a dict.
    """

    json_text: str = "{}"

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> "Attributes":
        """Check every name and value. Numbers are floats."""
        if len(values) > MAX_ATTRIBUTES:
            raise InvalidArgument("attributes", f"{len(values)} given, at most {MAX_ATTRIBUTES}")
        for name in values:
            if not name:
                raise InvalidArgument("attributes", "a name is empty")
            if len(name) > MAX_ATTRIBUTE_NAME_CHARACTERS or _CONTROL.search(name):
                raise InvalidArgument(
                    "attributes",
                    f"a name has more than {MAX_ATTRIBUTE_NAME_CHARACTERS} characters, "
                    "or a control character",
                )
        checked = {name: _attribute(name, value) for name, value in values.items()}
        return cls(
            json.dumps(
                checked, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
            )
        )

    def values(self) -> dict[str, AttributeValue]:
        """Return the values by name."""
        return json.loads(self.json_text)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class ProductDraft:
    """A product as a caller sent it: nothing is checked yet.

    Attribute values that are not string, float or bool come as None, list or dict.
    """

    id: str
    name: str
    description: str
    category: str
    brand: str
    price: str
    currency: str
    stock: int | None
    attributes: Mapping[str, object]
    image_url: str
    active: bool
    language: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """What a shop says about a product. Two are equal if they say the same."""

    id: str
    name: str
    description: str
    # Normalised, "Audio > Headphones".
    category: str
    brand: str
    price: Decimal | None
    currency: str
    stock: int | None
    attributes: Attributes
    image_url: str
    active: bool
    # Two small letters, or empty.
    language: str = ""

    @classmethod
    def parse(cls, draft: ProductDraft, default_currency: str = "") -> "Product":
        """Check and normalise; InvalidArgument names the field and its limit."""
        price = price_of(draft.price)
        if not draft.name:
            raise InvalidArgument(
                "name", f"empty, 1 to {MAX_NAME_CHARACTERS} characters are needed"
            )
        if draft.stock is not None and draft.stock < 0:
            raise InvalidArgument("stock", f"{draft.stock}, must be zero or more")
        product = cls(
            id=product_id(draft.id),
            name=checked_text("name", draft.name, MAX_NAME_CHARACTERS),
            description=checked_text("description", draft.description, MAX_DESCRIPTION_CHARACTERS),
            category=categories.parsed(draft.category),
            brand=checked_text("brand", draft.brand, MAX_BRAND_CHARACTERS),
            price=price,
            currency=_currency(draft.currency, price, default_currency),
            stock=draft.stock,
            attributes=Attributes.parse(draft.attributes),
            image_url=checked_text("image_url", draft.image_url, MAX_IMAGE_URL_CHARACTERS),
            active=draft.active,
            language=_language(draft.language),
        )
        if product.size_bytes > MAX_PRODUCT_BYTES:
            raise InvalidArgument(
                "attributes",
                f"the product has {product.size_bytes} bytes, at most {MAX_PRODUCT_BYTES}",
            )
        return product

    @property
    def size_bytes(self) -> int:
        """An upper bound of the product's size in a message, for cutting pages."""
        attributes = self.attributes.json_text
        texts = (self.id, self.name, self.description, self.category, self.brand, attributes)
        # 24: framing of a map entry, beyond the quotes and commas of JSON; 160: of the rest.
        framing = 160 + 24 * attributes.count('":')
        return framing + sum(len(text.encode()) for text in (*texts, self.image_url, self.language))


@dataclass(frozen=True, slots=True)
class StoredProduct:
    """A product in the catalog. Times are microseconds since the epoch, UTC."""

    product: Product
    revision: int
    create_time_us: int
    update_time_us: int


def quoted(product_id: str) -> str:
    """Return an id for a message, cut: a message has to fit in the trailers of a call."""
    return f'"{product_id[:80]}…"' if len(product_id) > 80 else f'"{product_id}"'
