"""A tree as text again, always in the same words."""

from decimal import Decimal

from services.common.filters.grammar import PLAIN_NAME
from services.common.filters.tree import And, Column, Comparison, Field, Node, Not, Operator, Or

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})


def canonical(node: Node) -> str:
    """Return the one text of a tree; it parses to the same tree.

    It may be longer and deeper than the filter that was written: `parse_canonical`
    reads it.
    """
    match node:
        case Comparison():
            return _comparison(node, negated=False)
        case Not(Comparison(_, Operator.EQUAL) as operand):
            return _comparison(operand, negated=True)
        case Not(operand):
            return f"NOT {_operand(operand)}"
        case And(operands):
            return " AND ".join(map(_operand, operands))
        case Or(operands):
            return " OR ".join(map(_operand, operands))


def _operand(node: Node) -> str:
    return f"({canonical(node)})" if isinstance(node, And | Or) else canonical(node)


def quoted(text: str) -> str:
    """Return a text as a literal."""
    return f'"{text.translate(_ESCAPES)}"'


def field_text(field: Field) -> str:
    """Return a field as it is written in a filter."""
    if field.column is Column.ATTRIBUTE:
        name = field.attribute
        return f"attributes.{name if PLAIN_NAME.fullmatch(name) else quoted(name)}"
    column: str = field.column.value
    return column


def _comparison(comparison: Comparison, *, negated: bool) -> str:
    field = field_text(comparison.field)
    if comparison.operator is Operator.PRESENT:
        return f"{field}:*"
    operator = "!=" if negated else comparison.operator.value
    return f"{field} {operator} {_value(comparison.value)}"


def _value(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        # Decimal("10.00") equals Decimal(10), and must not read otherwise.
        return f"{value.normalize() + 0:f}"
    return str(value)
