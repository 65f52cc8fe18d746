"""What is kept of rules and synonyms: the newest of each, and what every change did."""

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from services.catalog.tuning.rules import MAX_RULES, Rule
from services.catalog.tuning.synonyms import MAX_SYNONYMS, Synonyms

Entry = TypeVar("Entry", Rule, Synonyms)


class Kind(Enum):
    """What an entry is. Stores keep the number."""

    RULE = 1
    SYNONYMS = 2

    @property
    def limit(self) -> int:
        """How many of them there may be."""
        return MAX_RULES if self is Kind.RULE else MAX_SYNONYMS


@dataclass(frozen=True, slots=True)
class Stored(Generic[Entry]):
    """An entry with its last change."""

    entry: Entry
    revision: int
    update_time_us: int


@dataclass(frozen=True, slots=True)
class TuningChange:
    """One change; None before an entry was made, and after it was removed."""

    revision: int
    time_us: int
    author: str
    before: Stored[Rule] | Stored[Synonyms] | None
    after: Stored[Rule] | Stored[Synonyms] | None


def kind_of(entry: Rule | Synonyms) -> Kind:
    """Return what an entry is."""
    return Kind.RULE if isinstance(entry, Rule) else Kind.SYNONYMS
