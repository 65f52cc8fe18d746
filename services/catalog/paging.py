"""Page tokens: where a listing goes on, and of what."""

import base64
import binascii
import json

from services.catalog.products import product_id
from services.common.errors import InvalidArgument

_VERSION = 1


def page_token(after_id: str, category: str) -> str:
    """Return the token of the page after a product, in a listing of a category."""
    payload = json.dumps([_VERSION, category, after_id], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(payload.encode()).decode().rstrip("=")


def id_of_token(token: str, category: str) -> str:
    """Return the id that a page comes after.

    InvalidArgument if `page_token` did not make it, or made it for another category.
    """
    try:
        payload = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        version, token_category, after_id = json.loads(payload)
        if version != _VERSION or not isinstance(after_id, str):
            raise ValueError
        product_id(after_id)
    except (ValueError, TypeError, RecursionError, binascii.Error, InvalidArgument) as error:
        raise InvalidArgument("page_token", "not a token of a page before") from error
    if token_category != category:
        raise InvalidArgument("page_token", "made for another category")
    return after_id
