"""Filters put together, and taken apart."""

from collections.abc import Iterator

from services.common.filters.tree import And, Comparison, Field, Node, Not, Or


def all_of(*nodes: Node | None) -> Node | None:
    """Return what all of them accept, without an And directly within an And; None for none."""
    operands = tuple(_conjuncts(nodes))
    if len(operands) > 1:
        return And(operands)
    return operands[0] if operands else None


def without_field(node: Node | None, field: Field) -> Node | None:
    """Return a filter without those of its conjuncts that speak of nothing but this field.

    `brand = "HP" AND (price < 5 OR brand = "LG")` without brand is the second half: it
    says something about prices too.
    """
    return all_of(*(each for each in _conjuncts((node,)) if set(_fields_of(each)) != {field}))


def _conjuncts(nodes: tuple[Node | None, ...]) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node, And):
            yield from _conjuncts(node.operands)
        elif node is not None:
            yield node


def _fields_of(node: Node) -> Iterator[Field]:
    match node:
        case Comparison(field):
            yield field
        case Not(operand):
            yield from _fields_of(operand)
        case And(operands) | Or(operands):
            for operand in operands:
                yield from _fields_of(operand)
