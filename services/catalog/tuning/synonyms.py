"""Words and phrases that stand for one another, as the shop gave them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from services.catalog.text import words_in
from services.catalog.tuning.fields import at_most, entry_id, phrase
from services.common.errors import InvalidArgument

MAX_SYNONYMS = 5_000
MAX_PHRASES = 50
MAX_PHRASE_CHARACTERS = 100
MAX_PHRASE_WORDS = 5


@dataclass(frozen=True, slots=True)
class Synonyms:
    """Synonyms within all limits of the contract; `parse` makes them of what a caller sent."""

    id: str
    phrases: tuple[str, ...]
    # Not empty: a query with this finds the phrases too, and not the other way round.
    one_way_from: str = ""

    @classmethod
    def parse(cls, *, id_text: str, phrases: Sequence[str], one_way_from: str) -> Self:
        """Check every field; InvalidArgument names it as the contract does."""
        entry_id(id_text)
        at_most("phrases", len(phrases), MAX_PHRASES)
        if one_way_from:
            phrase("one_way_from", one_way_from, MAX_PHRASE_CHARACTERS, MAX_PHRASE_WORDS)
        fewest = 1 if one_way_from else 2
        if len(phrases) < fewest:
            raise InvalidArgument("phrases", f"{len(phrases)} given, at least {fewest} needed")
        seen: set[tuple[str, ...]] = set()
        for at, text in enumerate(phrases):
            field = f"phrases[{at}]"
            words = tuple(words_in(phrase(field, text, MAX_PHRASE_CHARACTERS, MAX_PHRASE_WORDS)))
            if words in seen:
                raise InvalidArgument(field, "comes twice")
            seen.add(words)
        return cls(id_text, tuple(phrases), one_way_from)
