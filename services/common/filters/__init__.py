"""Filters of products: one string in the grammar of AIP-160, parsed once into a tree.

    category = "Audio > Headphones" AND price < 100 AND NOT brand = "HP"

`parse` reads what people write; `parse_canonical` what another service passed on.
"""

from services.common.filters.composing import all_of, without_field
from services.common.filters.folding import folded
from services.common.filters.matching import Filterable, category_bound, matches
from services.common.filters.parsing import (
    MAX_CHARACTERS,
    MAX_COMPARISONS,
    MAX_DEPTH,
    parse,
    parse_canonical,
)
from services.common.filters.tree import (
    And,
    Column,
    Comparison,
    Field,
    Node,
    Not,
    Operator,
    Or,
    Value,
)
from services.common.filters.writing import canonical, field_text

__all__ = [
    "MAX_CHARACTERS",
    "MAX_COMPARISONS",
    "MAX_DEPTH",
    "And",
    "Column",
    "Comparison",
    "Field",
    "Filterable",
    "Node",
    "Not",
    "Operator",
    "Or",
    "Value",
    "all_of",
    "canonical",
    "category_bound",
    "field_text",
    "folded",
    "matches",
    "parse",
    "parse_canonical",
    "without_field",
]
