"""Names of fields, wherever they are written: in filters, facets and orders."""

import re

from services.common.filters.grammar import FIELDS, PLAIN_NAME
from services.common.filters.literals import Refused, excerpt, unquoted
from services.common.filters.tree import Column, Field

# Line breaks and tabs may be in a product's texts; lone surrogates are no characters.
FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_COLUMNS = {column.value: column for column in Column if column is not Column.ATTRIBUTE}
_ATTRIBUTE = f"{Column.ATTRIBUTE.value}."


def field_of(name: str, fields: str = FIELDS) -> Field:
    """Return the field of a name as it is written; Refused, with `fields` as those there are."""
    if name in _COLUMNS:
        return Field(_COLUMNS[name])
    if not name.startswith(_ATTRIBUTE):
        hint = f"; an attribute is written attributes.{name}" if PLAIN_NAME.fullmatch(name) else ""
        raise Refused(f"unknown field {excerpt(name)}; fields are {fields}{hint}")
    attribute = name.removeprefix(_ATTRIBUTE)
    if attribute[:1] in ('"', "'"):
        try:
            attribute = unquoted(attribute)
        except Refused as refused:
            raise Refused(refused.problem, len(_ATTRIBUTE) + refused.offset) from None
    elif attribute and not PLAIN_NAME.fullmatch(attribute):
        raise Refused(
            'a name with other signs than letters, digits and "_" is written in quotes: '
            f'attributes."{attribute[:40]}"'
        )
    if not attribute:
        raise Refused("attributes: a name is missing, as in attributes.color")
    return Field(Column.ATTRIBUTE, attribute)
