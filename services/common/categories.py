"""Category paths: `Audio > Headphones`."""

from collections.abc import Iterator

SEPARATOR = " > "


def normalised(path: str) -> str:
    """Return the path with one space around each `>` and within names, where there is white space.

    Empty names (`Audio >> Headphones`) are kept as they are for the caller to refuse.
    """
    return (
        SEPARATOR.join(" ".join(name.split()) for name in path.split(">")) if path.strip() else ""
    )


def self_and_ancestors(path: str) -> Iterator[str]:
    """Yield the path and each path above it: `A > B` gives `A > B`, `A`."""
    yield path
    while SEPARATOR in path:
        path = path.rpartition(SEPARATOR)[0]
        yield path


def is_within(path: str, ancestor: str) -> bool:
    """Tell whether `path` is `ancestor` or below it; everything is below the empty path."""
    return not ancestor or path == ancestor or path.startswith(ancestor + SEPARATOR)
