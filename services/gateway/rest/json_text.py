"""JSON text of a request, read strictly, with numbers kept as they were written."""

import json
import re
from collections import Counter
from typing import Any, NoReturn

from services.common.errors import InvalidArgument

BODY = "body"

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Number(str):
    """The literal of a JSON number: 9.90 stays 9.90."""

    __slots__ = ()


def read_json(body: bytes) -> Any:
    """Return the tree of a JSON text: dict, list, str, Number, bool and None.

    Raises InvalidArgument for what is not JSON, not UTF-8, names a key twice,
    or has NaN, Infinity or half of a surrogate pair.
    """
    if not body.strip():
        raise InvalidArgument(BODY, "is empty, must be JSON")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidArgument(BODY, "must be UTF-8") from None
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidArgument(BODY, f"is not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise InvalidArgument(BODY, "is nested too deep") from None
    if _ESCAPED_SURROGATE.search(text):
        try:
            json.dumps(tree, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError):
            raise InvalidArgument(BODY, "has half of a surrogate pair") from None
    return tree


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise InvalidArgument(BODY, f"has {shown(twice)} twice in one object")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidArgument(BODY, f"{name} is not JSON")


def shown(key: str) -> str:
    """Return a name that the client chose, fit for a message: short and valid UTF-8."""
    return (
        json.dumps(key if len(key) <= 100 else key[:100] + "…", ensure_ascii=False)
        .encode(errors="replace")
        .decode()
    )
