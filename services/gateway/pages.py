"""Pages of a result: cut from one set that is kept, so that none of them shifts.

A token names the set and the place where the next page begins, and holds a digest
of the query, so that it is not taken to another one.
"""

import base64
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from services.common.errors import InvalidArgument
from services.gateway.answers import Answer, Hit
from services.gateway.queries import Query

# How long a person may take from one page to the next.
SET_SECONDS = 900.0

_SET_ID_BYTES = 12
_TOKEN = struct.Struct(f">{_SET_ID_BYTES}s8sI")


@dataclass(frozen=True)
class ResultSet:
    """A whole result in its order, and what is said with each page: an answer without results."""

    answer: Answer
    hits: Sequence[Hit]


class PageToken(NamedTuple):
    """Where a page begins."""

    set_id: bytes
    digest: bytes
    offset: int

    @property
    def text(self) -> str:
        """The token as a caller sees it."""
        return base64.urlsafe_b64encode(_TOKEN.pack(*self)).decode().rstrip("=")

    def at(self, offset: int) -> "PageToken":
        """Return the token of another page of the same set."""
        return self._replace(offset=offset)


def new_token(query: Query) -> PageToken:
    """Return the token of the first page of a new set."""
    return PageToken(secrets.token_bytes(_SET_ID_BYTES), query.digest, 0)


def read_token(query: Query) -> PageToken:
    """Return the token of a query; InvalidArgument (page_token) if it belongs to another one."""
    text = query.page_token
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        token = PageToken(*_TOKEN.unpack(packed))
    except (ValueError, struct.error):
        raise InvalidArgument("page_token", "is none that a search returned") from None
    if token.digest != query.digest:
        raise InvalidArgument(
            "page_token", "belongs to a search with other arguments; begin again without it"
        )
    return token
