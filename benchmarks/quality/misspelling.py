"""Slips of people who type: one word of a query misspelt, by kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from unicodedata import combining, normalize

from rapidfuzz.distance import OSA

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_SHORTEST_PART = 2
_ATTEMPTS = 20


@dataclass(frozen=True)
class Misspelt:
    """A query, and which of its words is not as it was meant; of joined words the first."""

    query: str
    place: int


def plain(text: str) -> str:
    """Return the text in lower case and without accents."""
    return "".join(c for c in normalize("NFD", text.lower()) if not combining(c))


def _neighbours() -> dict[str, str]:
    """Return the letters beside each one; a row stands half a key to the right of that above."""
    near: dict[str, set[str]] = {}
    for number, row in enumerate(_KEYS):
        for at, letter in enumerate(row):
            beside = {row[i] for i in (at - 1, at + 1) if 0 <= i < len(row)}
            if number:
                beside |= set(_KEYS[number - 1][at : at + 2])
            near.setdefault(letter, set()).update(beside)
            for other in beside:
                near.setdefault(other, set()).add(letter)
    return {letter: "".join(sorted(beside)) for letter, beside in near.items()}


_NEAR = _neighbours()


def with_letter_inserted(word: str, chance: Random) -> str:
    """Return the word with a letter hit twice, or with the one beside it."""
    at = chance.randrange(len(word))
    letter = plain(word[at])
    extra = chance.choice(letter[0] + _NEAR.get(letter, ""))
    after = at + chance.randrange(2)
    return word[:after] + extra + word[after:]


def with_letter_dropped(word: str, chance: Random) -> str:
    """Return the word without one of its letters."""
    at = chance.randrange(len(word))
    return word[:at] + word[at + 1 :]


def with_letter_replaced(word: str, chance: Random) -> str:
    """Return the word with a letter's neighbour on the keyboard in its place."""
    at = chance.randrange(len(word))
    return word[:at] + chance.choice(_NEAR.get(plain(word[at]), word[at])) + word[at + 1 :]


def with_letters_swapped(word: str, chance: Random) -> str:
    """Return the word with two neighbours that change places."""
    at = chance.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


ONE_EDIT = (
    with_letter_inserted,
    with_letter_dropped,
    with_letter_replaced,
    with_letters_swapped,
)


def _edited(number: int, *edits: Callable[[str, Random], str]) -> "Kind":
    """Return a kind that edits one word so many times, and really so many."""

    def misspelt(words: Sequence[str], chance: Random) -> Misspelt | None:
        place = chance.randrange(len(words))
        for _ in range(_ATTEMPTS):
            word = words[place]
            for _ in range(number):
                word = chance.choice(edits)(word, chance)
            if OSA.distance(plain(word), plain(words[place])) == number:
                return Misspelt(" ".join((*words[:place], word, *words[place + 1 :])), place)
        return None

    return misspelt


def without_accents(words: Sequence[str], chance: Random) -> Misspelt | None:
    """Take the accents off one word that has some; words without any give None."""
    places = [at for at, word in enumerate(words) if plain(word) != word.lower()]
    if not places:
        return None
    place = chance.choice(places)
    return Misspelt(" ".join((*words[:place], plain(words[place]), *words[place + 1 :])), place)


def with_words_joined(words: Sequence[str], chance: Random) -> Misspelt | None:
    """Drop a blank; a single word gives None."""
    if len(words) < 2:
        return None
    place = chance.randrange(len(words) - 1)
    joined = words[place] + words[place + 1]
    return Misspelt(" ".join((*words[:place], joined, *words[place + 2 :])), place)


def with_word_split(words: Sequence[str], chance: Random) -> Misspelt:
    """Insert a blank into one word."""
    place = chance.randrange(len(words))
    word = words[place]
    cut = chance.randint(_SHORTEST_PART, len(word) - _SHORTEST_PART)
    parts = f"{word[:cut]} {word[cut:]}"
    return Misspelt(" ".join((*words[:place], parts, *words[place + 1 :])), place)


Kind = Callable[[Sequence[str], Random], Misspelt | None]

KINDS: dict[str, Kind] = {
    "one edit: letter inserted": _edited(1, with_letter_inserted),
    "one edit: letter dropped": _edited(1, with_letter_dropped),
    "one edit: letter replaced": _edited(1, with_letter_replaced),
    "one edit: letters swapped": _edited(1, with_letters_swapped),
    "two edits": _edited(2, *ONE_EDIT),
    "accents missing": without_accents,
    "words joined": with_words_joined,
    "word split": with_word_split,
}
ONE_EDIT_KINDS = tuple(kind for kind in KINDS if kind.startswith("one edit"))
