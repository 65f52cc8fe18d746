"""Text to tree. Every error is InvalidArgument (filter) and says where, from 1."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput

from services.common.errors import InvalidArgument
from services.common.filters.composing import all_of
from services.common.filters.fields import FORBIDDEN, field_of
from services.common.filters.grammar import GRAMMAR, OPERATORS, STRING
from services.common.filters.literals import Refused, comparison_of, excerpt, unquoted
from services.common.filters.tree import Comparison, Field, Node, Not, Operator, Or

MAX_CHARACTERS = 2_000
# Of parentheses and NOT within one another.
MAX_DEPTH = 20
MAX_COMPARISONS = 100

# Some 20 MB if all of them were as large as may be.
_MAX_KEPT_TREES = 256


@dataclass(frozen=True, slots=True)
class _Limits:
    characters: int
    depth: int
    comparisons: int


_WRITTEN = _Limits(MAX_CHARACTERS, MAX_DEPTH, MAX_COMPARISONS)
# A filter within the limits, written out and joined with a category: at most 5 characters
# for one, parentheses around each OR within an AND too, and one comparison more.
_CANONICAL = _Limits(6 * MAX_CHARACTERS, 2 * MAX_DEPTH + 1, MAX_COMPARISONS + 1)


def parse(text: str) -> Node | None:
    """Return the tree of a filter that somebody wrote; None for a blank text.

    InvalidArgument (filter), `at position 12: ...`, or the limit that it breaks:
    2,000 characters, 100 comparisons, 20 levels of parentheses and NOT.
    """
    return _parsed(text, _WRITTEN)


@lru_cache(maxsize=_MAX_KEPT_TREES)
def parse_canonical(text: str) -> Node | None:
    """Return the tree of what `canonical` wrote, of a filter and maybe a category.

    Any filter will do: only the limits are wider than those of `parse`. The same
    few filters come with every query, so the trees of the latest texts are kept;
    they are immutable, and any thread may ask.
    """
    return _parsed(text, _CANONICAL)


def _refuse(position: int, problem: str) -> NoReturn:
    raise InvalidArgument("filter", f"at position {position}: {problem}") from None


def _at(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _field(token: Token) -> Field:
    try:
        return field_of(str(token))
    except Refused as refused:
        _refuse(_at(token) + refused.offset, refused.problem)


class _Builder(Transformer[Token, Node]):
    """Makes the tree while the text is read: nothing recurses."""

    def start(self, children: list[Node]) -> Node:
        return children[0]

    def conjunction(self, children: list[Node]) -> Node:
        node = all_of(*children)
        assert node is not None  # noqa: S101
        return node

    def disjunction(self, children: list[Node]) -> Node:
        if len(children) == 1:
            return children[0]
        operands: list[Node] = []
        for child in children:
            operands += child.operands if isinstance(child, Or) else (child,)
        return Or(tuple(operands))

    def negation(self, children: list[Any]) -> Node:
        return Not(children[1])

    def group(self, children: list[Any]) -> Node:
        node: Node = children[1]
        return node

    def comparison(self, children: list[Token]) -> Node:
        name, sign, literal = children
        field = _field(name)
        if literal.type == "STAR":
            if sign != ":":
                _refuse(_at(literal), f'"*" goes with ":" only: {name}:*')
            return Comparison(field, Operator.PRESENT)
        is_quoted = literal.type == "STRING"
        operator = Operator.EQUAL if sign == "!=" else Operator(str(sign))
        try:
            text = unquoted(literal) if is_quoted else str(literal)
            compared = comparison_of(field, operator, text, is_quoted=is_quoted)
        except Refused as refused:
            _refuse(_at(literal) + refused.offset, refused.problem)
        return Not(compared) if sign == "!=" else compared


_LARK = Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Builder())


@dataclass(slots=True)
class _Nesting:
    """Counts while the text is read, so that what is too deep is never built."""

    limits: _Limits
    comparisons: int = 0
    depth: int = 0
    negations: int = 0
    # Position and levels of each open parenthesis: its own, and the NOTs before it.
    open: list[tuple[int, int]] = field(default_factory=list)

    def take(self, token: Token) -> None:
        if token.type in ("NOT", "MINUS"):
            self.negations += 1
        elif token.type == "LPAR":
            self.open.append((_at(token), self.negations + 1))
            self.depth += self.negations + 1
            self.negations = 0
        elif token.type == "RPAR" and self.open:
            self.depth -= self.open.pop()[1]
        elif token.type == "FIELD":
            self.comparisons += 1
            self.negations = 0
        if self.depth + self.negations > self.limits.depth:
            _refuse(_at(token), f"more than {self.limits.depth} levels of parentheses and NOT")
        if self.comparisons > self.limits.comparisons:
            _refuse(_at(token), f"more than {self.limits.comparisons} comparisons")


def _parsed(text: str, limits: _Limits) -> Node | None:
    if len(text) > limits.characters:
        raise InvalidArgument("filter", f"{len(text)} characters, at most {limits.characters}")
    forbidden = FORBIDDEN.search(text)
    if forbidden:
        _refuse(forbidden.start() + 1, f"control character U+{ord(forbidden[0]):04X}")
    if not text.strip():
        return None
    parser = _LARK.parse_interactive(text)
    nesting = _Nesting(limits)
    try:
        for token in parser.iter_parse():
            nesting.take(token)
        node: Node = parser.feed_eof()  # type: ignore[no-untyped-call]
    except UnexpectedInput as error:
        is_end = getattr(getattr(error, "token", None), "type", "") == "$END"
        at = len(text.rstrip()) if is_end else error.pos_in_stream or 0
        accepted: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
        _refuse(at + 1, _expectation(text[at:].strip(), accepted, nesting))
    return node


def _expectation(rest: str, accepted: set[str], nesting: _Nesting) -> str:
    """Say in plain words what should have come instead of the rest."""
    return _mistake(rest) or f"{_wanted(rest, accepted, nesting)}, {_found(rest)}"


def _mistake(rest: str) -> str:
    """Return what is wrong at the first sign whatever should have come; empty if nothing is."""
    if rest[:1] in ("“", "”", "„"):
        return 'texts are written in straight quotes, "..."'
    if rest[:1] in ('"', "'") and not STRING.match(rest):
        return f"the text that begins here has no closing {rest[0]}"
    if rest[:1] == "*":
        return '"*" stands alone and after ":" only, as in brand:*; ":" finds parts of a text'
    return ""


def _found(rest: str) -> str:
    if not rest:
        return "the filter ends here"
    found = STRING.match(rest)
    return f"not {excerpt(found[0][1:-1] if found else rest.split(maxsplit=1)[0])}"


def _wanted(rest: str, accepted: set[str], nesting: _Nesting) -> str:
    if "OPERATOR" in accepted:
        return f"an operator is wanted ({OPERATORS})"
    if "WORD" in accepted:
        return 'a value is wanted, as "HP", 49.95 or true'
    if "FIELD" in accepted and "_AND" not in accepted:
        return "a comparison is wanted, as price < 100"
    if nesting.open and not rest:
        return f'a ")" is wanted for the "(" at position {nesting.open[-1][0]}'
    if rest[:1] == ")":
        return 'there is no "(" for this ")": AND, OR or a comparison is wanted'
    # Most of these were meant to be part of the value: Audio > Headphones.
    return "a text with blanks or signs is written in quotes; AND, OR or a comparison is wanted"
