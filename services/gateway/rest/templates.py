"""Path templates of google.api.http, matched against paths as they came.

    Template = "/" Segments [ ":" LITERAL ]
    Segments = Segment { "/" Segment }
    Segment  = "*" | "**" | LITERAL | "{" FieldPath [ "=" Segments ] "}"

A path is split into segments first and decoded afterwards, so "%2F" is a slash
of an id and never a separator, and "%3A" is a colon of an id and never a verb.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from services.common.errors import InvalidArgument

FieldPath = tuple[str, ...]

ONE = "*"
REST = "**"

_TEMPLATE = re.compile(r"(?P<path>(?:/(?:\{[^{}]*\}|[^/{}:]+))+)(?::(?P<verb>[^/{}:*=]+))?")
_SEGMENT = re.compile(r"/(\{[^{}]*\}|[^/{}]+)")
_LITERAL = re.compile(r"[^/{}:*=%?#\s]+")
_FIELD_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile(r"(%2[Ff])")


@dataclass(frozen=True)
class Variable:
    """The segments from `start` up to `end` of a template, bound to a field of the request."""

    field_path: FieldPath
    start: int
    end: int
    # By the rules of google.api.http "%2F" stays as it is in a variable of many segments.
    is_single: bool


@dataclass(frozen=True)
class Template:
    """A parsed template. `segments` holds literals, ONE and, only as the last, REST."""

    text: str
    segments: tuple[str, ...]
    variables: tuple[Variable, ...]
    verb: str

    @property
    def precedence(self) -> tuple[int, ...]:
        """Return what templates sort by: where two match the same path, the more literal first."""
        ranks = {ONE: 1, REST: 2}
        return (0 if self.verb else 1, *(ranks.get(segment, 0) for segment in self.segments))

    def match(self, path: Sequence[str]) -> Mapping[FieldPath, str] | None:
        """Return the decoded value of each variable, or None where the path does not match.

        `path` is what `split_path` returns.
        """
        if self.verb:
            head, colon, verb = path[-1].rpartition(":")
            if not colon or decoded(verb) != self.verb:
                return None
            path = [*path[:-1], head]
        if not self._fits(path):
            return None
        return {
            variable.field_path: _value(variable, path[variable.start : self._end(variable, path)])
            for variable in self.variables
        }

    def _fits(self, path: Sequence[str]) -> bool:
        is_open = self.segments[-1] == REST
        fixed = self.segments[:-1] if is_open else self.segments
        if len(path) < len(fixed) or (len(path) > len(fixed) and not is_open):
            return False
        return all(
            actual != "" if expected == ONE else decoded(actual) == expected
            for expected, actual in zip(fixed, path, strict=False)
        )

    def _end(self, variable: Variable, path: Sequence[str]) -> int:
        return len(path) if self.segments[variable.end - 1] == REST else variable.end


def _value(variable: Variable, segments: Sequence[str]) -> str:
    if variable.is_single:
        return decoded(segments[0])
    return "/".join(
        "".join(
            part if _ESCAPED_SLASH.fullmatch(part) else decoded(part)
            for part in _ESCAPED_SLASH.split(segment)
        )
        for segment in segments
    )


def split_path(raw_path: bytes) -> list[str]:
    """Return the segments of a path, still percent-encoded."""
    return raw_path.decode("latin-1").removeprefix("/").split("/")


def decoded(segment: str) -> str:
    """Decode %-escapes. Raises InvalidArgument where they are malformed or not UTF-8."""
    if "%" not in segment:
        return segment
    if _BAD_ESCAPE.search(segment):
        raise InvalidArgument("path", "% must be followed by two hexadecimal digits")
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise InvalidArgument("path", "the escaped bytes must be UTF-8") from None


def parse_template(text: str) -> Template:
    """Parse a template. Raises ValueError, which names the template and what is wrong."""

    def wrong(problem: str) -> ValueError:
        return ValueError(f"{text}: {problem}")

    parsed = _TEMPLATE.fullmatch(text)
    if parsed is None:
        raise wrong("is not a path template")
    segments: list[str] = []
    variables: list[Variable] = []
    for piece in _SEGMENT.findall(parsed["path"]):
        if not piece.startswith("{"):
            segments.append(piece)
            continue
        field_path, has_segments, inner = piece[1:-1].partition("=")
        if not _FIELD_PATH.fullmatch(field_path):
            raise wrong(f'"{field_path}" is not a field path')
        within = inner.split("/") if has_segments else [ONE]
        start, end = len(segments), len(segments) + len(within)
        is_single = len(within) == 1 and within[0] != REST
        variables.append(Variable(tuple(field_path.split(".")), start, end, is_single))
        segments += within
    for segment in segments:
        if segment not in (ONE, REST) and not _LITERAL.fullmatch(segment):
            raise wrong(f'"{segment}" is not a segment')
    if REST in segments[:-1]:
        raise wrong("** must be the last segment")
    if len({variable.field_path for variable in variables}) < len(variables):
        raise wrong("a field is bound twice")
    return Template(text, tuple(segments), tuple(variables), parsed["verb"] or "")
