"""Messages as JSON text, by the JSON mapping of protobuf, with unset plain fields too."""

import json
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from services.gateway.rest.bindings import Binding


def json_reply(binding: Binding, message: Message) -> bytes:
    """Return the answer of a binding as one line of JSON.

    Lists and fields that cannot be absent are always there, so that a front end
    need not ask; a 64-bit integer is a string, as the mapping wants it.
    """
    pool: Any = message.DESCRIPTOR.file.pool
    tree: Any = json_format.MessageToDict(
        message,
        always_print_fields_with_no_presence=True,
        descriptor_pool=pool,
    )
    if binding.response_body:
        field = message.DESCRIPTOR.fields_by_name[binding.response_body]
        tree = tree.get(field.json_name)
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":")).encode()
