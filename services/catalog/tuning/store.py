"""Where rules and synonyms live: what every store of them does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.catalog.stores import Deletion
from services.catalog.tuning.entries import Entry, Kind, Stored, TuningChange
from services.catalog.tuning.matching import RuleBook
from services.catalog.tuning.widening import Thesaurus


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules and synonyms of the newest write that has returned, not to be changed."""

    rules: RuleBook
    synonyms: Thesaurus


@dataclass(frozen=True, slots=True)
class TuningPage:
    """Changes, the newest first, and whether there are older ones."""

    changes: Sequence[TuningChange]
    has_more: bool


class TuningStore(Protocol):
    """Keeps rules and synonyms, and the log of their changes.

    A write is one transaction, with its line in the log and its revision; see
    `stores.Store`, which says what else holds of it.
    """

    @property
    def in_force(self) -> InForce:
        """What searches go by."""
        ...

    async def put(self, entry: Entry, author: str, now_us: int) -> Stored[Entry]:
        """Create or replace an entry; one equal to what is stored takes no revision.

        Overloaded (TOO_MANY_RULES, TOO_MANY_SYNONYMS) if there are as many as may be.
        """
        ...

    async def delete(self, kind: Kind, id_text: str, author: str, now_us: int) -> Deletion:
        """Remove an entry if it is there."""
        ...

    async def changes_before(self, revision: int, limit: int) -> TuningPage:
        """Return up to `limit` changes with smaller revisions, the newest first.

        A page that would be above MAX_PAGE_BYTES is shorter, but never empty for that.
        """
        ...
