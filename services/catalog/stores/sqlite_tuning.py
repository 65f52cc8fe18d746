"""Rules and synonyms in the catalog's SQLite file, as JSON."""

from collections.abc import Callable
from typing import Any, Self

from pydantic import TypeAdapter
from sqlalchemy import Connection, Row

from services.catalog.changes import Change, ChangeKind
from services.catalog.pacing import paced
from services.catalog.stores import MAX_PAGE_BYTES, Deletion, revisions, tuning_statements
from services.catalog.stores.database import Database
from services.catalog.text import Rules
from services.catalog.tuning import (
    Entry,
    InForce,
    Kind,
    Rule,
    RuleBook,
    Stored,
    Synonyms,
    Thesaurus,
    TuningChange,
    TuningPage,
    kind_of,
)
from services.common.errors import Overloaded

_AnyStored = Stored[Rule] | Stored[Synonyms]

_BODIES: dict[Kind, TypeAdapter[Any]] = {
    Kind.RULE: TypeAdapter(Rule),
    Kind.SYNONYMS: TypeAdapter(Synonyms),
}
_LINES: dict[Kind, TypeAdapter[Any]] = {
    Kind.RULE: TypeAdapter(Stored[Rule]),
    Kind.SYNONYMS: TypeAdapter(Stored[Synonyms]),
}


class SqliteTuning:
    """A `TuningStore` in the file of a `SqliteStore`; open it while that is open.

    `on_commit` is called with the newest revision after each write.
    """

    def __init__(
        self, database: Database, *, on_commit: Callable[[int], None], text_rules: Rules
    ) -> None:
        self._database = database
        self._on_commit = on_commit
        self._in_force = InForce(RuleBook(text_rules), Thesaurus(text_rules))

    async def __aenter__(self) -> Self:
        rows = await self._database.rows(tuning_statements.ALL_ENTRIES, {})
        async for row in paced(rows):
            self._take(_stored(Kind(row.kind), row))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the file to the store that opened it."""

    @property
    def in_force(self) -> InForce:
        """What searches go by."""
        return self._in_force

    async def put(self, entry: Entry, author: str, now_us: int) -> Stored[Entry]:
        """Create or replace an entry."""
        kind = kind_of(entry)

        def transaction(connection: Connection) -> tuple[Stored[Entry], int]:
            found, before = _found(connection, kind, entry.id)
            if before is not None and before.entry == entry:
                return before, found.head
            if before is None and found.how_many >= kind.limit:
                name = kind.name if kind is Kind.SYNONYMS else f"{kind.name}S"
                raise Overloaded(
                    f"{kind.limit} {name.lower()} are there already, and no more may be",
                    reason=f"TOO_MANY_{name}",
                )
            after = Stored(entry, found.head + 1, now_us)
            row = {
                "kind": kind.value,
                "id": entry.id,
                "revision": after.revision,
                "update_time_us": now_us,
                "body": _BODIES[kind].dump_json(entry).decode(),
            }
            connection.execute(tuning_statements.PUT_ENTRY, row)
            change = TuningChange(after.revision, now_us, author, before, after)
            _record(connection, kind, entry.id, change)
            return after, after.revision

        def committed(done: tuple[Stored[Entry], int]) -> None:
            self._take(done[0])
            self._on_commit(done[1])

        stored, _ = await self._database.write(transaction, committed)
        return stored

    async def delete(self, kind: Kind, id_text: str, author: str, now_us: int) -> Deletion:
        """Remove an entry if it is there."""

        def transaction(connection: Connection) -> Deletion:
            found, before = _found(connection, kind, id_text)
            if before is None:
                return Deletion(was_there=False, revision=found.head)
            key = {"of_kind": kind.value, "of_id": id_text}
            connection.execute(tuning_statements.DELETE_ENTRY, key)
            change = TuningChange(found.head + 1, now_us, author, before, None)
            _record(connection, kind, id_text, change)
            return Deletion(was_there=True, revision=change.revision)

        def committed(done: Deletion) -> None:
            self._book_of(kind).remove(id_text)
            self._on_commit(done.revision)

        return await self._database.write(transaction, committed)

    async def changes_before(self, revision: int, limit: int) -> TuningPage:
        """Return up to `limit` changes with smaller revisions, the newest first."""
        asked = {"before_revision": revision, "limit": limit, "max_bytes": MAX_PAGE_BYTES}
        rows = await self._database.rows(tuning_statements.LOG_PAGE, asked)
        changes = [
            TuningChange(
                row.revision,
                row.time_us,
                row.author,
                *(
                    _LINES[Kind(row.kind)].validate_json(line) if line else None
                    for line in (row.before, row.after)
                ),
            )
            async for row in paced(rows)
        ]
        return TuningPage(changes, has_more=bool(rows) and len(rows) < rows[0].found)

    def _book_of(self, kind: Kind) -> RuleBook | Thesaurus:
        return self._in_force.rules if kind is Kind.RULE else self._in_force.synonyms

    def _take(self, stored: _AnyStored) -> None:
        if isinstance(stored.entry, Rule):
            self._in_force.rules.put(stored)
        else:
            self._in_force.synonyms.put(stored)


def _stored(kind: Kind, row: Row[*tuple[Any, ...]]) -> Any:
    return Stored(_BODIES[kind].validate_json(row.body), row.revision, row.update_time_us)


def _found(connection: Connection, kind: Kind, id_text: str) -> tuple[Row[*tuple[Any, ...]], Any]:
    """Return the row of ENTRY, and the entry in it if it is there."""
    key = {"of_kind": kind.value, "of_id": id_text}
    row = connection.execute(tuning_statements.ENTRY, key).one()
    return row, None if row.body is None else _stored(kind, row)


def _record(connection: Connection, kind: Kind, id_text: str, change: TuningChange) -> None:
    """Write a change to both logs: what it did, and that it took the next revision."""
    lines = {
        name: None if stored is None else _LINES[kind].dump_json(stored).decode()
        for name, stored in (("before", change.before), ("after", change.after))
    }
    row = {
        "revision": change.revision,
        "time_us": change.time_us,
        "author": change.author,
        "kind": kind.value,
        "id": id_text,
    }
    connection.execute(tuning_statements.INSERT_LOG, row | lines)
    revisions.advance(connection, [Change(change.revision, ChangeKind.TUNING, "", None, None)])
