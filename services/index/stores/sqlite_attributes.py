"""The attributes of rows as canonical JSON, in the transactions of their store."""

import json
import sqlite3
from collections.abc import Collection, Mapping

from services.index.stores.protocol import AttributeValues, DamagedState

Value = str | float | bool

_decode = json.JSONDecoder().raw_decode

_SAVE_NEW = "INSERT INTO attributes VALUES (?, ?)"
# Most changes of a product leave its attributes as they are.
_SAVE = (
    "INSERT INTO attributes SELECT vector_id, ? FROM rows WHERE product_id = ?"
    " ON CONFLICT (vector_id) DO UPDATE SET json = excluded.json WHERE json <> excluded.json"
)


class StoredAttributes:
    """Reads and writes on the thread of the store."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._names = {name for (name,) in database.execute("SELECT name FROM attribute_names")}

    def insert(self, vector_id: int, attributes: Mapping[str, Value]) -> None:
        """Write the attributes of a new row."""
        self._database.execute(_SAVE_NEW, (vector_id, json_of(attributes)))

    def update(self, product_id: str, attributes: Mapping[str, Value]) -> None:
        """Write the attributes of a product's row, if it has one and they differ."""
        self._database.execute(_SAVE, (json_of(attributes), product_id))

    def note(self, names: Collection[str]) -> set[str]:
        """Write names; return those that are new, to be told to `noted` when that is durable."""
        new = set(names) - self._names
        self._database.executemany(
            "INSERT INTO attribute_names VALUES (?)", [(name,) for name in sorted(new)]
        )
        return new

    def noted(self, names: set[str]) -> None:
        """Know names that are durable."""
        self._names |= names

    def known(self, names: Collection[str]) -> list[str]:
        """Return those of the names that any row may have."""
        return [name for name in names if name in self._names]

    def values(
        self, names: Collection[str], after: int, at_most: int
    ) -> Mapping[str, AttributeValues]:
        """Read attributes of the rows whose vector ids are after one, up to another."""
        # where a key stands in a value only, its row is looked at for nothing
        keys = {name: key_of(name) for name in names}
        has_any = " OR ".join(["instr(json, ?)"] * len(keys))
        rows = self._database.execute(
            "SELECT vector_id, json FROM attributes"  # noqa: S608 - marks are marks
            f" WHERE vector_id > ? AND vector_id <= ? AND ({has_any})",
            (after, at_most, *keys.values()),
        )
        found: dict[str, tuple[list[int], list[Value]]] = {name: ([], []) for name in names}
        try:
            for vector_id, text in rows:
                for name, key in keys.items():
                    value = value_in(text, name, key)
                    if value is not None:
                        found[name][0].append(vector_id)
                        found[name][1].append(value)
        except ValueError as error:
            raise DamagedState("attributes are no JSON") from error
        return {name: AttributeValues(*columns) for name, columns in found.items()}


def json_of(attributes: Mapping[str, Value]) -> str:
    """Return attributes as canonical JSON: equal ones have equal texts."""
    return json.dumps(attributes, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def key_of(name: str) -> str:
    """Return a name as it stands before its value in canonical JSON."""
    return f"{json.dumps(name, ensure_ascii=False)}:"


def value_in(text: str, name: str, key: str) -> Value | None:
    """Return one value of canonical JSON, without reading the others; None if it has none.

    ValueError if the text is no JSON there.
    """
    value: Value | None
    if name.startswith((",", "}", ":")):
        value = json.loads(text).get(name)
        return value
    # Within a text a quote has a backslash before it, so this one begins a text, which is
    # a key as a colon follows; or it ends one, but no name begins with what follows then.
    start = 1 if text.startswith(key, 1) else text.find(f",{key}") + 1
    if start == 0:
        return None
    value, _ = _decode(text, start + len(key))
    return value
