"""What becomes of a query's candidates: which are there, in which order, and their counts."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import compress, count, islice, pairwise

from services.catalog.products import price_text
from services.catalog.stores import Store
from services.common import categories
from services.common.errors import InvalidArgument
from services.common.facets import FacetSpec, bound_text
from services.common.filters import (
    MAX_CHARACTERS,
    And,
    Column,
    Comparison,
    Field,
    Node,
    Operator,
    Value,
    canonical,
    parse_canonical,
)
from services.common.ordering import OrderKey

MAX_CONDITIONS = 100


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value as text, how many products have it, and a filter for them."""

    value: str
    count: int
    filter: str


@dataclass(frozen=True, slots=True)
class Facet:
    """Products by the values of one field; those with others, and those with none."""

    field: str
    values: Sequence[FacetValue]
    other_count: int
    missing_count: int


@dataclass(frozen=True, slots=True)
class Arranged:
    """Products in their order, their counts, and the revision that all this reflects."""

    product_ids: Sequence[str]
    facets: Sequence[Facet]
    # For each condition the positions of the products that it accepts, ascending.
    accepted: Sequence[Sequence[int]]
    revision: int


def conditions_of(texts: Sequence[str]) -> list[Node | None]:
    """Return the conditions of their texts; InvalidArgument (conditions)."""
    if len(texts) > MAX_CONDITIONS:
        raise InvalidArgument("conditions", f"{len(texts)} given, at most {MAX_CONDITIONS}")
    conditions: list[Node | None] = []
    for position, text in enumerate(texts):
        try:
            conditions.append(parse_canonical(text))
        except InvalidArgument as error:
            raise InvalidArgument(f"conditions[{position}]", error.problem) from None
    return conditions


async def arranged(
    store: Store,
    product_ids: Sequence[str],
    passing: Node | None,
    order: Sequence[OrderKey],
    specs: Sequence[FacetSpec],
    conditions: Sequence[Node | None],
) -> Arranged:
    """Order and count those of distinct products that are active and pass the filter."""
    found = await store.candidates(
        product_ids, passing, order, [spec.field for spec in specs], conditions
    )
    return Arranged(
        found.product_ids,
        [counted(spec, values) for spec, values in zip(specs, found.values, strict=True)],
        [list(compress(count(), accepts)) for accepts in found.accepted],
        found.revision,
    )


def counted(spec: FacetSpec, values: Iterable[Value | None]) -> Facet:
    """Count products by their values of the facet's field; None or an empty text is none."""
    # By type too, for true equals 1, and is another value.
    counts = Counter((type(value), value) for value in values)
    missing = sum(counts.pop(none, 0) for none in ((type(None), None), (str, "")))
    present = [(value, n) for (_, value), n in counts.items() if value is not None]
    if spec.bounds:
        listed, others = _ranges(spec, present)
    elif spec.field.column is Column.CATEGORY:
        listed, others = _subtrees(spec, present)
    else:
        listed, others = _most_frequent(spec, present)
    return Facet(spec.name, listed, others, missing)


def _most_frequent(
    spec: FacetSpec, counts: Sequence[tuple[Value, int]]
) -> tuple[list[FacetValue], int]:
    ranked = sorted(counts, key=lambda pair: (-pair[1], *_place(pair[0])))
    values = (FacetValue(_text(value), n, _filter(spec.field, value)) for value, n in ranked)
    # A text that is too long for a filter is nothing to choose from either.
    choices = (value for value in values if len(value.filter) <= MAX_CHARACTERS)
    listed = list(islice(choices, spec.limit))
    return listed, sum(n for _, n in counts) - sum(value.count for value in listed)


def _subtrees(spec: FacetSpec, counts: Sequence[tuple[Value, int]]) -> tuple[list[FacetValue], int]:
    """Count each category with all below it, for that is what a filter of it finds."""
    subtrees: Counter[str] = Counter()
    for path, n in counts:
        for ancestor in categories.self_and_ancestors(str(path)):
            subtrees[ancestor] += n
    ranked = sorted(subtrees.items(), key=lambda pair: (-pair[1], pair[0]))[: spec.limit]
    listed = {path for path, _ in ranked}
    others = sum(
        n for path, n in counts if listed.isdisjoint(categories.self_and_ancestors(str(path)))
    )
    return [FacetValue(path, n, _filter(spec.field, path)) for path, n in ranked], others


def _ranges(spec: FacetSpec, counts: Sequence[tuple[Value, int]]) -> tuple[list[FacetValue], int]:
    """Count what lies from each bound to below the next one; the last has no end."""
    bounds = [_comparable(spec.field, bound) for bound in spec.bounds]
    found = [0] * len(bounds)
    others = 0
    for value, n in counts:
        is_number = not isinstance(value, str | bool)
        at = bisect_right(bounds, value) - 1 if is_number else -1
        if at < 0:
            others += n
        else:
            found[at] += n
    texts = [bound_text(bound) for bound in spec.bounds]
    names = [f"{lower}-{upper}" for lower, upper in pairwise((*texts, ""))]
    filters = [
        _range_filter(spec.field, lower, upper)
        for lower, upper in zip(bounds, (*bounds[1:], None), strict=True)
    ]
    return [FacetValue(*column) for column in zip(names, found, filters, strict=True)], others


def _comparable(field: Field, bound: Decimal) -> Value:
    """Return a bound as a filter has it."""
    if field.column is Column.ATTRIBUTE:
        return float(bound)
    return int(bound) if field.column is Column.STOCK else bound


def _range_filter(field: Field, lower: Value, upper: Value | None) -> str:
    from_lower = Comparison(field, Operator.AT_LEAST, lower)
    if upper is None:
        return canonical(from_lower)
    return canonical(And((from_lower, Comparison(field, Operator.LESS, upper))))


def _filter(field: Field, value: Value) -> str:
    return canonical(Comparison(field, Operator.EQUAL, value))


def _place(value: Value) -> tuple[int, Value]:
    """Return what orders values of several types: numbers, texts, then false and true."""
    if isinstance(value, bool):
        return 2, value
    return int(isinstance(value, str)), value


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return price_text(value)
    if isinstance(value, float):
        # Minus zero is zero.
        return f"{value + 0.0:.15g}"
    return str(value)
