"""What the shop does with its rules and synonyms."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from services.catalog import paging
from services.catalog.feed import ChangeFeed
from services.catalog.products import checked_text
from services.catalog.tuning.entries import Entry, Kind, Stored, TuningChange
from services.catalog.tuning.fields import entry_id
from services.catalog.tuning.rules import Rule
from services.catalog.tuning.store import TuningStore
from services.catalog.tuning.synonyms import Synonyms
from services.common.errors import InvalidArgument, NotFound

MAX_AUTHOR_CHARACTERS = 200
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500

# What a page token says that it is of; of products it is their category.
_LOG = "tuningChanges"
# Above every revision: they are integers of 64 bits.
_NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Entries(Generic[Entry]):
    """All entries of a kind in order of their ids, and the newest revision."""

    entries: Sequence[Stored[Entry]]
    revision: int


@dataclass(frozen=True, slots=True)
class ChangeListing:
    """A page of the log; an empty token on the last one."""

    changes: Sequence[TuningChange]
    next_page_token: str


class Tuning:
    """The operations on rules and synonyms. See the contract for limits."""

    def __init__(self, store: TuningStore, changes: ChangeFeed) -> None:
        self._store = store
        self._changes = changes

    async def put(self, entry: Entry, author: str) -> Stored[Entry]:
        """Create or replace a rule or synonyms."""
        return await self._store.put(entry, _author(author), _now_us())

    async def delete(self, kind: Kind, id_text: str, author: str, *, allow_missing: bool) -> int:
        """Remove an entry; return a revision that holds it.

        NotFound (RULE_NOT_FOUND, SYNONYMS_NOT_FOUND).
        """
        id_text = entry_id(id_text)
        deletion = await self._store.delete(kind, id_text, _author(author), _now_us())
        if not deletion.was_there and not allow_missing:
            raise NotFound(
                f'{kind.name.lower()} "{id_text}" not there', reason=f"{kind.name}_NOT_FOUND"
            )
        return deletion.revision

    def rules(self) -> Entries[Rule]:
        """Return all rules."""
        return Entries(self._store.in_force.rules.entries(), self._changes.head_revision)

    def synonyms(self) -> Entries[Synonyms]:
        """Return all synonyms."""
        return Entries(self._store.in_force.synonyms.entries(), self._changes.head_revision)

    async def changes(self, page_size: int, page_token: str) -> ChangeListing:
        """Return a page of the log. A page size of 0 stands for the default."""
        limit = page_size or DEFAULT_PAGE_SIZE
        if not 1 <= limit <= MAX_PAGE_SIZE:
            raise InvalidArgument("page_size", f"{limit}, must be 1 to {MAX_PAGE_SIZE}")
        before = _revision_of(page_token) if page_token else _NEWEST
        page = await self._store.changes_before(before, limit)
        oldest = str(page.changes[-1].revision) if page.has_more else ""
        return ChangeListing(page.changes, oldest and paging.page_token(oldest, _LOG))


def _author(text: str) -> str:
    return checked_text("author", text, MAX_AUTHOR_CHARACTERS)


def _revision_of(page_token: str) -> int:
    revision = paging.id_of_token(page_token, _LOG)
    if not (revision.isdecimal() and len(revision) <= len(str(_NEWEST))):
        raise InvalidArgument("page_token", "not a token of a page before")
    return min(int(revision), _NEWEST)


def _now_us() -> int:
    return time.time_ns() // 1_000
