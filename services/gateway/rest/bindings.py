"""The HTTP routes of services, read from the google.api.http annotations of their methods."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.api import annotations_pb2, http_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import (
    Descriptor,
    FieldDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.message import Message
from google.rpc import code_pb2

from services.gateway.rest.errors import HttpError
from services.gateway.rest.fields import fields_of, is_repeated
from services.gateway.rest.messages import is_text
from services.gateway.rest.templates import FieldPath, Template, parse_template, split_path

ANY_METHOD = "*"


@dataclass(frozen=True)
class Binding:
    """One HTTP method and path of one rpc.

    `body` is "*" for the whole request, a field of it, or "" for none;
    `response_body` a field of the response, or "" for the whole.
    """

    rpc: MethodDescriptor
    http_method: str
    template: Template
    body: str
    response_body: str

    @property
    def rpc_path(self) -> str:
        """Return the path of the rpc on the wire."""
        return f"/{self.rpc.containing_service.full_name}/{self.rpc.name}"

    def new_request(self) -> Message:
        """Return an empty request message."""
        return message_factory.GetMessageClass(self.rpc.input_type)()


class Routes:
    """Which binding a request means."""

    def __init__(self, bindings: Iterable[Binding]) -> None:
        # Stable: of equal templates the one that was declared first comes first.
        self.bindings = sorted(bindings, key=lambda binding: binding.template.precedence)

    def find(self, http_method: str, raw_path: bytes) -> tuple[Binding, Mapping[FieldPath, str]]:
        """Return the most literal binding and its path variables, decoded.

        A verb that any template has at this place is a verb for every method:
        DELETE /v1/products/a:similar is not the removal of the product "a:similar".
        Raises HttpError 404 or 405, InvalidArgument for a malformed path.
        """
        path = split_path(raw_path)
        matches = [
            (binding, variables)
            for binding in self.bindings
            if (variables := binding.template.match(path)) is not None
        ]
        if not matches:
            raise HttpError(
                404, code_pb2.NOT_FOUND, "ROUTE_NOT_FOUND", "no such path; / lists them"
            )
        with_verb = [match for match in matches if match[0].template.verb]
        matches = with_verb or matches
        for wanted in (http_method, "GET") if http_method == "HEAD" else (http_method,):
            for binding, variables in matches:
                if binding.http_method in (wanted, ANY_METHOD):
                    return binding, variables
        allowed = {binding.http_method for binding, _ in matches}
        raise method_not_allowed(allowed)


def method_not_allowed(allowed: Iterable[str]) -> HttpError:
    """Return the 405 of a path that has only these methods."""
    methods = set(allowed)
    allow = ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
    return HttpError(
        405,
        code_pb2.UNIMPLEMENTED,
        "METHOD_NOT_ALLOWED",
        f"this path has only {allow}",
        {"allow": allow},
    )


def bindings_of(services: Iterable[ServiceDescriptor]) -> Iterator[Binding]:
    """Yield every binding of every annotated method, in the order of declaration.

    Raises ValueError, which names the method, for an annotation that is not right.
    """
    for service in services:
        for rpc in service.methods:
            options = rpc.GetOptions()
            if not options.HasExtension(annotations_pb2.http):
                continue
            rule = options.Extensions[annotations_pb2.http]
            for each in (rule, *rule.additional_bindings):
                try:
                    yield _binding(rpc, each)
                except ValueError as error:
                    raise ValueError(f"{rpc.full_name}: {error}") from None


def _binding(rpc: MethodDescriptor, rule: http_pb2.HttpRule) -> Binding:
    if rpc.client_streaming:
        raise ValueError("a stream of requests has no HTTP form")
    kind = rule.WhichOneof("pattern")
    if kind is None:
        raise ValueError("no HTTP method and path")
    method = rule.custom.kind if kind == "custom" else kind.upper()
    template = parse_template(rule.custom.path if kind == "custom" else getattr(rule, kind))
    for variable in template.variables:
        _check_variable(rpc, variable.field_path)
    if rule.body not in ("", "*", *rpc.input_type.fields_by_name):
        raise ValueError(f'body: no field "{rule.body}" in {rpc.input_type.full_name}')
    if rule.response_body not in ("", *rpc.output_type.fields_by_name):
        raise ValueError(
            f'response_body: no field "{rule.response_body}" in {rpc.output_type.full_name}'
        )
    return Binding(rpc, method, template, rule.body, rule.response_body)


def _check_variable(rpc: MethodDescriptor, field_path: FieldPath) -> None:
    message: Descriptor | None = rpc.input_type
    field: FieldDescriptor | None = None
    for step in field_path:
        field = fields_of(message).get(step) if message is not None else None
        if field is None or field.name != step or is_repeated(field):
            break
        message = field.message_type
    else:
        if field is not None and is_text(field):
            return
    name = ".".join(field_path)
    raise ValueError(f'path: "{name}" is not a single plain field of {rpc.input_type.full_name}')
