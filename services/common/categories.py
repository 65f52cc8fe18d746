"""Category paths: `Audio > Headphones`."""

import re
from collections.abc import Iterator

from services.common.errors import InvalidArgument

SEPARATOR = " > "
MAX_CHARACTERS = 500
MAX_NAMES = 10

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def normalised(path: str) -> str:
    """Return the path with one space around each `>` and within names, where there is white space.

    Empty names (`Audio >> Headphones`) are kept as they are for `parsed` to refuse.
    """
    return (
        SEPARATOR.join(" ".join(name.split()) for name in path.split(">")) if path.strip() else ""
    )


def parsed(text: str) -> str:
    """Return the normalised path of a category; empty for none.

    InvalidArgument (category): more than 500 characters or 10 names, an empty
    name, or a control character.
    """
    path = normalised(text)
    if not path:
        return ""
    names = path.split(SEPARATOR)
    if len(names) > MAX_NAMES:
        raise InvalidArgument("category", f"{len(names)} names, at most {MAX_NAMES}")
    if not all(names):
        raise InvalidArgument("category", 'a name is empty; a path reads "Audio > Headphones"')
    if len(path) > MAX_CHARACTERS:
        raise InvalidArgument("category", f"{len(path)} characters, at most {MAX_CHARACTERS}")
    control = _CONTROL.search(path)
    if control:
        raise InvalidArgument("category", f"control character U+{ord(control[0]):04X}")
    return path


def self_and_ancestors(path: str) -> Iterator[str]:
    """Yield the path and each path above it: `A > B` gives `A > B`, `A`."""
    yield path
    while SEPARATOR in path:
        path = path.rpartition(SEPARATOR)[0]
        yield path


def is_within(path: str, ancestor: str) -> bool:
    """Tell whether `path` is `ancestor` or below it; everything is below the empty path."""
    return not ancestor or path == ancestor or path.startswith(ancestor + SEPARATOR)
