"""Words to be looked up by how they begin, however little of them is there."""

from collections.abc import Collection

# Words are found through up to this many of their first letters.
_HEAD = 3


class Beginnings:
    """A set of words. One letter of them gives a set at once, many letters a short scan."""

    def __init__(self) -> None:
        self._by_head: dict[str, set[str]] = {}

    def add(self, word: str) -> None:
        """Let the word be found; nothing for an empty one."""
        for head in _heads(word):
            self._by_head.setdefault(head, set()).add(word)

    def discard(self, word: str) -> None:
        """Let the word be found no more."""
        for head in _heads(word):
            there = self._by_head[head]
            there.discard(word)
            if not there:
                del self._by_head[head]

    def of(self, beginning: str) -> Collection[str]:
        """Return the words that begin so, not to be changed; none for an empty beginning."""
        there: Collection[str] = self._by_head.get(beginning[:_HEAD], ())
        if len(beginning) <= _HEAD:
            return there
        return [word for word in there if word.startswith(beginning)]

    def first_letters(self) -> list[str]:
        """Return the letters that words begin with."""
        return [head for head in self._by_head if len(head) == 1]


def _heads(word: str) -> set[str]:
    return {word[:length] for length in range(1, _HEAD + 1)} if word else set()
