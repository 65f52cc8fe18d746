"""Orders of results, as in AIP-132 (https://google.aip.dev/132): `price desc, name`."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from services.common.errors import InvalidArgument
from services.common.filters.fields import field_of
from services.common.filters.lists import Grammar, Word
from services.common.filters.literals import Refused, excerpt
from services.common.filters.tree import Column, Field
from services.common.filters.writing import field_text

MAX_KEYS = 3
MAX_CHARACTERS = 2_000


class Sorted(enum.Enum):
    """What products can be ordered by."""

    PRICE = "price"
    NAME = "name"
    BRAND = "brand"
    STOCK = "stock"
    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"
    ATTRIBUTE = "attributes"


@dataclass(frozen=True, slots=True)
class OrderKey:
    """A column, of an attribute its name too, and whether it falls."""

    column: Sorted
    attribute: str = ""
    falls: bool = False

    @property
    def name(self) -> str:
        """What it is ordered by, as it is written."""
        if self.column is Sorted.ATTRIBUTE:
            return field_text(Field(Column.ATTRIBUTE, self.attribute))
        return str(self.column.value)


_COLUMNS = {column.value: column for column in Sorted if column is not Sorted.ATTRIBUTE}
_KEYS = f"{', '.join(_COLUMNS)} and attributes.<name>"

_GRAMMAR = Grammar.of(
    r"""
    start: key ("," key)*
    key: NAME DESC?
    DESC: /desc(?![^\s,])/
    """,
    wanted={"NAME": f"one of {_KEYS}", "DESC": '"desc" or ","', "COMMA": '","'},
    max_characters=MAX_CHARACTERS,
)


def parse(order_by: str) -> tuple[OrderKey, ...]:
    """Return the keys of an order, the first one first; none for a blank text.

    InvalidArgument (order_by), `at position 12: ...`: more than 3 keys, one twice.
    """
    if not order_by.strip():
        return ()
    keys: list[OrderKey] = []
    try:
        for words in _GRAMMAR.read(order_by):
            keys.append(_key(words, keys))
    except Refused as refused:
        problem = f"at position {refused.offset + 1}: {refused.problem}"
        raise InvalidArgument("order_by", problem) from None
    return tuple(keys)


def canonical(keys: Sequence[OrderKey]) -> str:
    """Return the one text of an order; it parses to the same keys."""
    return ", ".join(f"{key.name} desc" if key.falls else key.name for key in keys)


def _key(words: Sequence[Word], before: Sequence[OrderKey]) -> OrderKey:
    name, *descending = words
    if name.text in _COLUMNS:
        key = OrderKey(_COLUMNS[name.text], falls=bool(descending))
    else:
        key = OrderKey(Sorted.ATTRIBUTE, _attribute(name), falls=bool(descending))
    if any(key.name == other.name for other in before):
        raise Refused(f"{key.name[:80]} comes twice", name.offset)
    if len(before) == MAX_KEYS:
        raise Refused(f"more than {MAX_KEYS} keys", name.offset)
    return key


def _attribute(name: Word) -> str:
    try:
        field = field_of(name.text, _KEYS)
    except Refused as refused:
        raise Refused(refused.problem, name.offset + refused.offset) from None
    if field.column is not Column.ATTRIBUTE:
        raise Refused(f"{excerpt(name.text)} gives no order; use {_KEYS}", name.offset)
    return field.attribute
