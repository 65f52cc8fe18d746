"""An HTTP request as a message: path variables, body and query parameters together."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from services.common.errors import InvalidArgument
from services.gateway.rest.bindings import Binding
from services.gateway.rest.fields import Typed, fields_of, is_repeated
from services.gateway.rest.json_text import BODY, read_json, shown
from services.gateway.rest.messages import MAX_DEPTH, assign, fill, is_text
from services.gateway.rest.templates import FieldPath

MAX_PARAMETERS = 1000


def build_request(
    binding: Binding, variables: Mapping[FieldPath, str], query_string: bytes, body: bytes
) -> Message:
    """Return the request message. Raises InvalidArgument, which names the field."""
    message = binding.new_request()
    if binding.body:
        _set_body(message, binding.body, read_json(body))
    elif body:
        raise InvalidArgument(BODY, "this method takes none, only query parameters")
    for path, text in variables.items():
        _set_variable(message, path, text)
    if query_string:
        _set_parameters(message, binding, variables, query_string)
    return message


def _set_body(message: Message, body: str, tree: Any) -> None:
    if body == "*":
        fill(message, tree)
        return
    if tree is None:
        raise InvalidArgument(BODY, "must not be null")
    assign(message, fields_of(message.DESCRIPTOR)[body], tree, body)


def _set_variable(message: Message, path: FieldPath, text: str) -> None:
    parent, name = message, ".".join(path)
    for step in path[:-1]:
        parent = getattr(parent, step)
    field = fields_of(parent.DESCRIPTOR)[path[-1]]
    in_body = getattr(parent, field.name) if _is_set(parent, field) else None
    if in_body is not None:
        parent.ClearField(field.name)
    assign(parent, field, Typed(text), name)
    if in_body is not None and in_body != getattr(parent, field.name):
        raise InvalidArgument(name, "the body and the path disagree")


def _is_set(message: Message, field: FieldDescriptor) -> bool:
    if field.has_presence:
        return message.HasField(field.name)
    return bool(getattr(message, field.name) != field.default_value)


@dataclasses.dataclass
class _Parameter:
    """A field that the query string names, with every text given for it."""

    parent: Message
    field: FieldDescriptor
    texts: list[str] = dataclasses.field(default_factory=list)


def _set_parameters(
    message: Message, binding: Binding, variables: Mapping[FieldPath, str], query_string: bytes
) -> None:
    parameters: dict[FieldPath, _Parameter] = {}
    for name, text in _pairs(query_string):
        path, parent, field = _find(message, name)
        if path in variables:
            raise InvalidArgument(".".join(path), "is given by the path already")
        if binding.body in ("*", path[0]):
            raise InvalidArgument(".".join(path), "belongs in the body, not in the query")
        parameters.setdefault(path, _Parameter(parent, field)).texts.append(text)
    for path, parameter in parameters.items():
        field, name = parameter.field, ".".join(path)
        values = [Typed(text) for text in parameter.texts]
        if is_repeated(field):
            assign(parameter.parent, field, values, name)
        elif len(values) > 1:
            raise InvalidArgument(name, f"{len(values)} values given, at most 1")
        else:
            assign(parameter.parent, field, values[0], name)


def _pairs(query_string: bytes) -> Sequence[tuple[str, str]]:
    try:
        return parse_qsl(
            query_string.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise InvalidArgument("query string", "must be UTF-8") from None
    except ValueError:
        raise InvalidArgument(
            "query string", f"has more than {MAX_PARAMETERS} parameters"
        ) from None


def _find(message: Message, name: str) -> tuple[FieldPath, Message, FieldDescriptor]:
    """Return the field that a parameter names, its path by original names, and its parent."""
    *outer, last = name.split(".")
    if len(outer) >= MAX_DEPTH:
        raise InvalidArgument(name[:100], f"is nested deeper than {MAX_DEPTH} levels")
    path: list[str] = []
    for step in outer:
        field = _field(message, step, name)
        path.append(field.name)
        if field.message_type is None or is_repeated(field) or is_text(field):
            raise InvalidArgument(name[:100], f"{'.'.join(path)} has no fields to set here")
        message = getattr(message, field.name)
    field = _field(message, last, name)
    path.append(field.name)
    if not is_text(field):
        raise InvalidArgument(name[:100], "cannot be a query parameter, only a field of a body")
    return tuple(path), message, field


def _field(message: Message, step: str, name: str) -> FieldDescriptor:
    field = fields_of(message.DESCRIPTOR).get(step)
    if field is None:
        raise InvalidArgument(name[:100], f"no such parameter: {shown(name)}")
    return field
