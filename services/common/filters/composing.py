"""Filters put together."""

from collections.abc import Iterator

from services.common.filters.tree import And, Node


def all_of(*nodes: Node | None) -> Node | None:
    """Return what all of them accept, without an And directly within an And; None for none."""
    operands = tuple(_conjuncts(nodes))
    if len(operands) > 1:
        return And(operands)
    return operands[0] if operands else None


def _conjuncts(nodes: tuple[Node | None, ...]) -> Iterator[Node]:
    for node in nodes:
        if isinstance(node, And):
            yield from _conjuncts(node.operands)
        elif node is not None:
            yield node
