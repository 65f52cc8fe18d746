"""Facts about fields that JSON and query parameters need, and their scalar values."""

import base64
import binascii
import functools
import math
import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from services.common.errors import InvalidArgument
from services.gateway.rest.json_text import Number

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_INT32 = re.compile(r"-?[0-9]{1,10}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_FLOAT_MAX = float.fromhex("0x1.fffffep+127")
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_ENUM_NAMES_SHOWN = 20
_BOOLS = {"true": True, "false": False}
_TYPED_BOOLS = _BOOLS | {"1": True, "0": False}


class Typed(str):
    """A text of a path or a query string, which a person may have typed.

    Beyond what JSON allows, a bool may be 1 or 0.
    """

    __slots__ = ()


@functools.cache
def fields_of(message: Descriptor) -> Mapping[str, FieldDescriptor]:
    """Return the fields of a message by their names in JSON and in the .proto file."""
    by_name = {field.json_name: field for field in message.fields}
    return MappingProxyType(by_name | {field.name: field for field in message.fields})


@functools.cache
def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field is a list or a map."""
    # protobuf 5 says so by a label, which later versions do not have.
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)  # type: ignore[attr-defined]


@functools.cache
def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    entry = field.message_type
    return entry is not None and entry.GetOptions().map_entry


def map_fields(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """Return the fields of a map's keys and values."""
    entry = field.message_type
    if entry is None:
        raise TypeError(f"{field.full_name} is not a map")
    fields = fields_of(entry)
    return fields["key"], fields["value"]


def scalar(field: FieldDescriptor, value: Any, path: str) -> Any:
    """Return what a JSON value means for one value of a scalar or enum field.

    A string field takes a number too, as the very text that was written. A value
    of an enum may be in any case, and without the prefix that all of them share.
    Raises InvalidArgument for `path`.
    """
    kind = field.cpp_type
    if kind in _INTEGERS:
        return _integer(value, *_INTEGERS[kind], path)
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return _real(value, kind == FieldDescriptor.CPPTYPE_FLOAT, path)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if isinstance(value, Typed):
            value = _TYPED_BOOLS.get(value)
        if isinstance(value, bool):
            return value
        raise InvalidArgument(path, "must be true or false")
    if field.enum_type is not None:
        return _enum(field.enum_type, value, path)
    if not isinstance(value, str):
        raise InvalidArgument(path, "must be a string")
    return _bytes(value, path) if field.type == FieldDescriptor.TYPE_BYTES else str(value)


def map_key(field: FieldDescriptor, name: str, path: str) -> Any:
    """Return what the name of a JSON member means as a key of a map, as `scalar` does."""
    is_bool = field.cpp_type == FieldDescriptor.CPPTYPE_BOOL
    return scalar(field, _BOOLS.get(name) if is_bool else name, path)


def _integer(value: Any, least: int, most: int, path: str) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise InvalidArgument(path, "must be an integer")
    # Decimal is exact, and never expands an exponent such as 1e999999999.
    number = Decimal(value) if _exponent_digits(value) <= 3 else Decimal("Infinity")
    if not least <= number <= most:
        raise InvalidArgument(path, f"must be from {least} to {most}")
    if number != number.to_integral_value():
        raise InvalidArgument(path, "must be an integer")
    return int(number)


def _exponent_digits(number: str) -> int:
    return len(number.lower().partition("e")[2].lstrip("+-"))


def _real(value: Any, is_single: bool, path: str) -> float:
    if isinstance(value, str) and not isinstance(value, Number) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise InvalidArgument(path, "must be a number")
    number = float(value)
    if abs(number) > (_FLOAT_MAX if is_single else sys.float_info.max):
        raise InvalidArgument(path, "is out of range")
    return number


def _enum(enum: EnumDescriptor, value: Any, path: str) -> int:
    if isinstance(value, str):
        name = _typed_names(enum).get(value.lower(), value)
        named = enum.values_by_name.get(value) or enum.values_by_name.get(name)
        if named is not None:
            return named.number
        if _INT32.fullmatch(value) and int(value) in enum.values_by_number:
            return int(value)
    names = _words(enum)
    more = ", ..." if len(names) > _ENUM_NAMES_SHOWN else ""
    raise InvalidArgument(path, f"must be one of {', '.join(names[:_ENUM_NAMES_SHOWN])}{more}")


@functools.cache
def _typed_names(enum: EnumDescriptor) -> Mapping[str, str]:
    """Return the names of an enum's values by what may be typed for them, in lower case."""
    prefix = _common_prefix(enum)
    whole = {value.name.lower(): value.name for value in enum.values}
    short = {value.name.removeprefix(prefix).lower(): value.name for value in enum.values}
    return MappingProxyType(short | whole)


def _words(enum: EnumDescriptor) -> list[str]:
    """Return what one would type, for a message; "unspecified" would only mean nothing."""
    prefix = _common_prefix(enum)
    words = [value.name.removeprefix(prefix).lower() for value in enum.values]
    return [word for word in words if word != "unspecified"]


def _common_prefix(enum: EnumDescriptor) -> str:
    """Return "MODE_" for MODE_LEXICAL and MODE_SEMANTIC; "" where the rest would be no name."""
    names = [value.name for value in enum.values]
    words = names[0].split("_")
    for length in range(len(words) - 1, 0, -1):
        prefix = "_".join(words[:length]) + "_"
        if all(name.startswith(prefix) and name[len(prefix) :][:1].isalpha() for name in names):
            return prefix
    return ""


def _bytes(value: str, path: str) -> bytes:
    text = value.replace("-", "+").replace("_", "/")
    if not _BASE64.fullmatch(text):
        raise InvalidArgument(path, "must be base64")
    text = text.rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise InvalidArgument(path, "must be base64") from None
