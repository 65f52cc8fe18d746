"""JSON trees into messages, by the JSON mapping of protobuf, with the field in every error.

`google.protobuf.json_format` reads the well-known types. The walk is our own:
json_format tells where an error is in prose only, and turns numbers into floats
before a string field could keep them exactly.
"""

import math
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from services.common.errors import InvalidArgument
from services.gateway.rest.fields import fields_of, is_map, is_repeated, map_fields, map_key, scalar
from services.gateway.rest.json_text import BODY, Number, shown

# One level of JSON in a google.protobuf.Value is three levels of messages, and
# protobuf reads 100 of those.
MAX_DEPTH = 32

_PACKAGE = "google.protobuf."
_TEXTS = {
    _PACKAGE + "Timestamp": "a time such as 2030-01-31T10:00:00Z",
    _PACKAGE + "Duration": "seconds such as 1.5s",
    _PACKAGE + "FieldMask": "names of fields with commas",
}
_WRAPPERS = {
    _PACKAGE + kind + "Value"
    for kind in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
}
_VALUE = _PACKAGE + "Value"
_FREE_FORM = {_VALUE, _PACKAGE + "Struct", _PACKAGE + "ListValue", _PACKAGE + "Any"}
_NULL_VALUE = _PACKAGE + "NullValue"


def is_text(field: FieldDescriptor) -> bool:
    """Whether one value of the field is one JSON text, number or bool: it fits a parameter."""
    message = field.message_type
    return message is None or message.full_name in _TEXTS or message.full_name in _WRAPPERS


def inside(path: str, name: str) -> str:
    """Return the path of a field within the message at `path`, "" for the outermost."""
    return f"{path}.{name}" if path else name


def fill(message: Message, tree: Any, path: str = "", depth: int = 0) -> None:
    """Set the fields that a JSON object names. Raises InvalidArgument with the field's path."""
    if not isinstance(tree, dict):
        raise InvalidArgument(path or BODY, "must be an object")
    if depth >= MAX_DEPTH:
        raise InvalidArgument(path, f"is nested deeper than {MAX_DEPTH} levels")
    fields = fields_of(message.DESCRIPTOR)
    seen: set[str] = set()
    for key, value in tree.items():
        field = fields.get(key)
        if field is None:
            raise InvalidArgument(inside(path, key[:100]), f"no such field: {shown(key)}")
        if field.name in seen:
            raise InvalidArgument(inside(path, field.name), "is given by two of its names")
        seen.add(field.name)
        assign(message, field, value, inside(path, field.name), depth)


def assign(message: Message, field: FieldDescriptor, value: Any, path: str, depth: int = 0) -> None:
    """Set one field of a message from its JSON value; null leaves it unset."""
    if value is None and not _takes_null(field):
        return
    if is_map(field):
        _fill_map(message, field, value, path, depth)
    elif is_repeated(field):
        _fill_list(message, field, value, path, depth)
    else:
        _refuse_second_of_oneof(message, field, path)
        if field.message_type is None:
            setattr(message, field.name, _one(field, value, path))
        else:
            part = getattr(message, field.name)
            part.SetInParent()
            _fill_part(part, value, path, depth)


def _takes_null(field: FieldDescriptor) -> bool:
    if is_repeated(field):
        return False
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in (_VALUE, _NULL_VALUE)


def _one(field: FieldDescriptor, value: Any, path: str) -> Any:
    # Of scalars and enums, null is a value of google.protobuf.NullValue alone: its 0.
    return 0 if value is None and _takes_null(field) else scalar(field, value, path)


def _refuse_second_of_oneof(message: Message, field: FieldDescriptor, path: str) -> None:
    if field.containing_oneof is not None:
        other = message.WhichOneof(field.containing_oneof.name)
        if other not in (None, field.name):
            raise InvalidArgument(path, f"excludes {other}, which is given too")


def _fill_list(message: Message, field: FieldDescriptor, value: Any, path: str, depth: int) -> None:
    if not isinstance(value, list):
        raise InvalidArgument(path, "must be an array")
    items = getattr(message, field.name)
    for position, item in enumerate(value):
        place = f"{path}[{position}]"
        if field.message_type is None:
            items.append(_one(field, item, place))
        else:
            _fill_part(items.add(), item, place, depth + 1)


def _fill_map(message: Message, field: FieldDescriptor, value: Any, path: str, depth: int) -> None:
    if not isinstance(value, dict):
        raise InvalidArgument(path, "must be an object")
    key_field, value_field = map_fields(field)
    entries = getattr(message, field.name)
    for name, item in value.items():
        place = f"{path}[{shown(name)}]"
        key = map_key(key_field, name, place)
        if value_field.message_type is None:
            entries[key] = _one(value_field, item, place)
        else:
            _fill_part(entries[key], item, place, depth + 1)


def _fill_part(part: Message, value: Any, path: str, depth: int) -> None:
    kind = part.DESCRIPTOR.full_name
    if kind in _TEXTS:
        if not isinstance(value, str) or isinstance(value, Number):
            raise InvalidArgument(path, f"must be {_TEXTS[kind]}")
        try:
            part.FromJsonString(value)  # type: ignore[attr-defined]
        except (ValueError, OverflowError):
            raise InvalidArgument(path, f"must be {_TEXTS[kind]}") from None
    elif kind in _WRAPPERS:
        field = fields_of(part.DESCRIPTOR)["value"]
        setattr(part, field.name, scalar(field, value, path))
    elif kind in _FREE_FORM:
        _fill_free_form(part, value, path, depth)
    else:
        fill(part, value, path, depth + 1)


def _fill_free_form(part: Message, value: Any, path: str, depth: int) -> None:
    pool: Any = part.DESCRIPTOR.file.pool
    try:
        json_format.ParseDict(_plain(value, path, depth + 1), part, descriptor_pool=pool)
    except (
        json_format.ParseError,
        DecodeError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
    ):
        # json_format trusts the form of an Any: a missing "value", a type that is no text.
        kind = part.DESCRIPTOR.name
        raise InvalidArgument(path, f"is not a google.protobuf.{kind}") from None


def _plain(value: Any, path: str, depth: int) -> Any:
    """Return the tree with real numbers, which free-form JSON keeps as numbers."""
    if depth > MAX_DEPTH:
        raise InvalidArgument(path, f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return {key: _plain(item, path, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, path, depth + 1) for item in value]
    if isinstance(value, Number):
        if len(value) < 20 and value.lstrip("-").isdigit():
            return int(value)
        number = float(value)
        if math.isinf(number):
            raise InvalidArgument(path, f"the number {shown(value)} is out of range")
        return number
    return value
