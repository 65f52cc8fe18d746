"""How likely a word was meant where another one is written: the slips of typing and spelling.

A letter that is left out, two that change places, and one that is hit twice or between
keys have few ways to happen; any letter in place of any other has many, so each of these
is the rarer. Compare Kernighan, Church and Gale, "A spelling correction program based on
a noisy channel model" (1990). What is compared are folded words.
"""

from itertools import pairwise

_LIKELY, _SIMILAR, _OTHER = 8.0, 4.0, 1.0
# Few words are begun with the wrong letter.
_FIRST_LETTER = 0.25

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# Letters of one sound, somewhere in Spanish or English.
_SOUNDS = ("aeiou", "bv", "cksz", "ckq", "gj", "iy", "mn", "vw")


def likelihood(meant: str, written: str) -> float:
    """Return how likely the slip is, as a ratio to that of any letter in place of any other.

    What takes more than one slip has no kind, and counts as one of the others.
    """
    kind = _kind(*_differing(meant, written), written)
    return kind if meant[0] == written[0] else kind * _FIRST_LETTER


def _kind(meant: str, written: str, word: str) -> float:
    if len(meant) == 1 and not written:
        return _LIKELY
    if len(meant) == 2 and meant == written[::-1]:
        return _LIKELY
    if len(meant) == len(written) == 1:
        return _SIMILAR if (meant, written) in _ALIKE else _OTHER
    if len(written) == 1 and not meant:
        return _extra(written, word)
    return _OTHER


def _extra(letter: str, word: str) -> float:
    beside = {
        other for pair in pairwise(word) if letter in pair for other in pair if other != letter
    }
    if letter * 2 in word:
        return _LIKELY
    return _SIMILAR if any((other, letter) in _ALIKE for other in beside) else _OTHER


def _differing(first: str, second: str) -> tuple[str, str]:
    """Return what is between the common beginning and the common end of both."""
    most = min(len(first), len(second))
    start = 0
    while start < most and first[start] == second[start]:
        start += 1
    end = 0
    while end < most - start and first[-1 - end] == second[-1 - end]:
        end += 1
    return first[start : len(first) - end], second[start : len(second) - end]


def _alike() -> frozenset[tuple[str, str]]:
    """Return pairs of letters that lie side by side on the keyboard, or sound alike."""
    pairs = [pair for row in _ROWS for pair in pairwise(row)]
    for upper, lower in pairwise(_ROWS):
        # A row stands half a key to the right of the one above it.
        pairs += [*zip(upper, lower, strict=False), *zip(upper[1:], lower, strict=False)]
    pairs += [(one, other) for sound in _SOUNDS for one in sound for other in sound]
    return frozenset(pairs + [(other, one) for one, other in pairs])


_ALIKE = _alike()
