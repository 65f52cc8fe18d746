"""Which column or key becomes which field of a product."""

import re
from collections.abc import Iterable, Mapping, Sequence

from services.cli.failures import WRONG_USE, Failure

FIELDS = (
    "id",
    "name",
    "description",
    "category",
    "brand",
    "language",
    "price",
    "currency",
    "stock",
    "image_url",
    "active",
)
# The spelling of proto3 JSON, so that what the API gave can be imported again.
ALIASES = {"imageUrl": "image_url"}
# No field: the column becomes an attribute, though it has the name of a field.
ATTRIBUTE = "attribute"
_NEXT_PAIR = re.compile(rf",\s*(?=(?:{'|'.join((*FIELDS, ATTRIBUTE))})\s*=)")


def parse_mapping(pairs: Iterable[str]) -> dict[str, str]:
    """Read `field=Column`, several ones separated by commas, to {column: field}.

    A comma inside of a column's name is no separator unless a field follows it.
    ATTRIBUTE may stand for a field, and several times.
    """
    fields_by_column: dict[str, str] = {}
    for pair in (pair for text in pairs for pair in _NEXT_PAIR.split(text)):
        field, separator, column = (part.strip() for part in pair.partition("="))
        if not separator or not column:
            raise Failure(f"--map {pair}: must be field=Column", exit_code=WRONG_USE)
        if field not in (*FIELDS, ATTRIBUTE):
            raise Failure(
                f"--map {pair}: {field!r} is no field of a product",
                hint=f"fields are {', '.join(FIELDS)}; other columns become attributes",
                exit_code=WRONG_USE,
            )
        is_taken = field != ATTRIBUTE and field in fields_by_column.values()
        if is_taken or column in fields_by_column:
            raise Failure(f"--map {pair}: given twice", exit_code=WRONG_USE)
        fields_by_column[column] = field
    return fields_by_column


def fields_of_keys(mapping: Mapping[str, str]) -> dict[str, str]:
    """Return {key: field} for JSON: the mapping, and every other field by its own name."""
    own = {**{field: field for field in FIELDS}, **ALIASES}
    unmapped = {key: field for key, field in own.items() if field not in mapping.values()}
    return {**unmapped, **mapping}


def fields_of_columns(columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return {column: field} for CSV, where a field's own name may be written in any case.

    Fails when a mapped column is missing, or when none gives the id or the name.
    """
    listed = ", ".join(repr(column) for column in columns if column)
    for column, field in mapping.items():
        if column not in columns:
            raise Failure(
                f"--map {field}={column}: no such column",
                hint=f"the columns are {listed}",
                exit_code=WRONG_USE,
            )
    result = dict(mapping)
    for is_match in (str.__eq__, lambda column, name: column.casefold() == name.casefold()):
        for name, field in fields_of_keys(mapping).items():
            for column in columns:
                if is_match(column, name) and not (field in result.values() or column in result):
                    result[column] = field
    for field in ("id", "name"):
        if field not in result.values():
            raise Failure(
                f"no column gives the {field} of a product",
                hint=f"pass --map {field}=COLUMN; the columns are {listed}",
                exit_code=WRONG_USE,
            )
    return result
