"""Lists of fields with something beside each: what facets and orders are written as."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from services.common.filters.fields import FORBIDDEN
from services.common.filters.grammar import STRING
from services.common.filters.literals import Refused, excerpt

_BREAKS = r"""\s"'(),="""
# Wider than the names of fields, so that a wrong one is named as a whole.
_TERMINALS = rf"""
NAME: /[^{_BREAKS}]+(?:(?<=\.)(?:{STRING.pattern}))?/s
WORD: /[^{_BREAKS}]+/
%ignore /\s+/
"""


class Word(NamedTuple):
    """A piece of a text, and where it begins, from 0."""

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Grammar:
    """A grammar whose `start` is made of other rules, and these of words alone.

    `wanted` says in plain words what is meant by a terminal, the likeliest first.
    """

    lark: Lark
    wanted: Mapping[str, str]
    max_characters: int

    @classmethod
    def of(cls, rules: str, wanted: Mapping[str, str], max_characters: int) -> "Grammar":
        """Compile the rules; they may use NAME, of a field, and WORD."""
        lark = Lark(rules + _TERMINALS, parser="lalr", lexer="contextual")
        return cls(lark, wanted, max_characters)

    def read(self, text: str) -> list[list[Word]]:
        """Return the words of each part of a text; Refused says where it is wrong."""
        if len(text) > self.max_characters:
            raise Refused(
                f"{len(text)} characters, at most {self.max_characters}", self.max_characters
            )
        forbidden = FORBIDDEN.search(text)
        if forbidden:
            raise Refused(f"control character U+{ord(forbidden[0]):04X}", forbidden.start())
        parser = self.lark.parse_interactive(text)
        try:
            parser.exhaust_lexer()
            tree: Tree[Token] = parser.feed_eof()  # type: ignore[no-untyped-call]
        except UnexpectedInput as error:
            is_end = getattr(getattr(error, "token", None), "type", "") == "$END"
            at = len(text.rstrip()) if is_end else error.pos_in_stream or 0
            accepted: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
            raise Refused(self._expectation(text[at:].strip(), accepted), at) from None
        parts = [part for part in tree.children if isinstance(part, Tree)]
        return [[_word(token) for token in part.children] for part in parts]

    def _expectation(self, rest: str, accepted: set[str]) -> str:
        wanted = next(words for name, words in self.wanted.items() if name in accepted)
        found = f"not {excerpt(rest.split(maxsplit=1)[0])}" if rest else "the text ends here"
        return f"{wanted} is wanted, {found}"


def _word(token: Token | Tree[Token]) -> Word:
    assert isinstance(token, Token)  # noqa: S101
    return Word(str(token), token.start_pos or 0)
