"""Facets as they are asked for: `brand(limit=20)`, `price(0, 50, 100)`, `attributes.color`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from services.common.errors import InvalidArgument
from services.common.filters import Column, Field, Operator, field_text
from services.common.filters.fields import field_of
from services.common.filters.lists import Grammar, Word
from services.common.filters.literals import Refused, comparison_of, excerpt

MAX_FACETS = 10
MAX_CHARACTERS = 2_000
MAX_BOUNDS = 50
MAX_LIMIT = 100
DEFAULT_LIMIT = 10

# Longer numbers are written with an exponent.
_MAX_PLAIN_CHARACTERS = 24
_MEASURED = (Column.PRICE, Column.STOCK, Column.ATTRIBUTE)
_IGNORES = "ignore_own_filter"
_LIMIT = re.compile(r"[0-9]{1,3}")

_GRAMMAR = Grammar.of(
    """
    start: name ("(" argument ("," argument)* ")")?
    name: NAME
    argument: WORD ("=" WORD)?
    """,
    wanted={
        "NAME": "a field",
        "WORD": "a number or an option",
        "COMMA": '"," or ")"',
        "LPAR": '"("',
        "$END": "nothing more",
    },
    max_characters=MAX_CHARACTERS,
)


@dataclass(frozen=True, slots=True)
class FacetSpec:
    """One field to count products by; within the limits of the contract."""

    field: Field
    # Values to list; ranges are all listed.
    limit: int = DEFAULT_LIMIT
    # Ascending. Each range goes from its bound to below the next one, the last has no end.
    bounds: tuple[Decimal, ...] = ()
    # Count as if the filter said nothing about this field.
    ignores_own_filter: bool = False

    @property
    def name(self) -> str:
        """The field as it is written: `brand`, `attributes.color`, `attributes."odd name"`."""
        return field_text(self.field)

    @property
    def text(self) -> str:
        """The one text of this facet; it parses to the same."""
        arguments = [bound_text(bound) for bound in self.bounds]
        if self.limit != DEFAULT_LIMIT:
            arguments.append(f"limit={self.limit}")
        if self.ignores_own_filter:
            arguments.append(_IGNORES)
        return f"{self.name}({', '.join(arguments)})" if arguments else self.name


def bound_text(bound: Decimal) -> str:
    """Return a bound as it is written."""
    plain = f"{bound:f}"
    return plain if len(plain) <= _MAX_PLAIN_CHARACTERS else str(bound)


def parse(texts: Sequence[str]) -> tuple[FacetSpec, ...]:
    """Return the facets of their texts, in order.

    InvalidArgument names the facet, `facets[2]`, and where in its text, from 1:
    more than 10, the same field twice, bounds that do not rise, a limit above 100.
    """
    if len(texts) > MAX_FACETS:
        raise InvalidArgument("facets", f"{len(texts)} given, at most {MAX_FACETS}")
    specs: list[FacetSpec] = []
    for position, text in enumerate(texts):
        try:
            spec = _parsed(text)
            if any(spec.field == other.field for other in specs):
                raise Refused(f"{spec.name[:80]} comes twice")
        except Refused as refused:
            problem = f"at position {refused.offset + 1}: {refused.problem}"
            raise InvalidArgument(f"facets[{position}]", problem) from None
        specs.append(spec)
    return tuple(specs)


# The same few come with every query.
@lru_cache(maxsize=256)
def _parsed(text: str) -> FacetSpec:
    (name,), *arguments = _GRAMMAR.read(text)
    try:
        field = field_of(name.text)
    except Refused as refused:
        raise Refused(refused.problem, name.offset + refused.offset) from None
    bounds: list[Decimal] = []
    options: dict[str, int] = {}
    for key, *value in arguments:
        try:
            if value or key.text == _IGNORES:
                if key.text in options:
                    raise Refused(f"{key.text} comes twice")
                options[key.text] = _option(key, *value)
            else:
                bounds.append(_bound(field, key.text, bounds))
        except Refused as refused:
            raise Refused(refused.problem, key.offset) from None
    return FacetSpec(field, options.get("limit", DEFAULT_LIMIT), tuple(bounds), _IGNORES in options)


def _option(key: Word, value: Word | None = None) -> int:
    if value is None:
        return True
    if key.text != "limit":
        raise Refused(f"{excerpt(key.text)} is no option; those are limit=N and {_IGNORES}")
    if not _LIMIT.fullmatch(value.text) or not 1 <= int(value.text) <= MAX_LIMIT:
        raise Refused(f"limit: {excerpt(value.text)}, must be 1 to {MAX_LIMIT}")
    return int(value.text)


def _bound(field: Field, text: str, before: Sequence[Decimal]) -> Decimal:
    name = field.column.value
    if field.column not in _MEASURED:
        raise Refused(f"{name}: {excerpt(text)} is no option; only numbers have ranges")
    # What a filter can say, because that is what each range is shown with.
    value = comparison_of(field, Operator.AT_LEAST, text, is_quoted=False).value
    # Minus zero is zero.
    bound = Decimal(str(value)).normalize() or Decimal(0)
    if before and bound <= before[-1]:
        raise Refused(f"bounds must rise, {excerpt(text)} comes after {bound_text(before[-1])}")
    if len(before) == MAX_BOUNDS:
        raise Refused(f"more than {MAX_BOUNDS} bounds")
    return bound
