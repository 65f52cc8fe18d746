"""What a person has typed so far: whole words, and the beginning of the last one."""

import re
import unicodedata
from dataclasses import dataclass

from services.catalog.text import Rules, tokens_of

_LAST_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*(?=[\W_]*\Z)")
# A quote that is still open would be none to a search.
_QUOTES = str.maketrans("", "", '"“”«»')
_LAST_PART = re.compile(r"[^\W_]+\Z")


@dataclass(frozen=True, slots=True)
class Typed:
    """Words are folded, not stemmed; those that say nothing are left out before the last."""

    earlier: tuple[str, ...]
    last: str
    # What stands before the last word, as it was typed.
    before_last: str = ""
    # The last word without its hyphens, "tn21" for "TN-21"; empty if it has none.
    joined: str = ""

    @classmethod
    def parse(cls, query: str, rules: Rules) -> "Typed | None":
        """Return the words of a query; None if it has no letter and no digit."""
        query = unicodedata.normalize("NFC", query)
        *earlier, last = tokens_of(query).words or ("",)
        ending = _LAST_WORD.search(query)
        if not last or ending is None:
            return None
        compounds = tokens_of(ending[0]).compounds
        part = _LAST_PART.search(ending[0])
        return cls(
            tuple(word for word in earlier if word not in rules.function_words),
            last,
            query[: ending.start() + part.start()].translate(_QUOTES).lstrip() if part else "",
            compounds[-1] if compounds else "",
        )

    def with_words(self, earlier: tuple[str, ...], last: str) -> "Typed":
        """Return the same with other words, as if they had been typed folded."""
        return Typed(earlier, last, "".join(f"{word} " for word in earlier))
