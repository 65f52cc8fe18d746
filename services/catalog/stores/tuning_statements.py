"""The statements for rules and synonyms."""

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    and_,
    bindparam,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects import sqlite

from services.catalog.stores.tables import catalog, tuning, tuning_changes

ALL_ENTRIES = select(tuning).order_by(tuning.c.kind, tuning.c.id)

_IS_IT = and_(tuning.c.kind == bindparam("of_kind"), tuning.c.id == bindparam("of_id"))
_HOW_MANY = select(func.count()).where(tuning.c.kind == bindparam("of_kind")).scalar_subquery()
# The newest revision and the number of entries of the kind, beside the entry if it is there.
ENTRY = select(
    catalog.c.revision.label("head"),
    _HOW_MANY.label("how_many"),
    tuning.c.revision,
    tuning.c.update_time_us,
    tuning.c.body,
).select_from(catalog.outerjoin(tuning, _IS_IT))

_PUT = sqlite.insert(tuning)
PUT_ENTRY = _PUT.on_conflict_do_update(
    index_elements=[tuning.c.kind, tuning.c.id],
    set_={name: _PUT.excluded[name] for name in ("revision", "update_time_us", "body")},
)
DELETE_ENTRY = delete(tuning).where(_IS_IT)
INSERT_LOG = insert(tuning_changes)


def _bytes_of(column: str) -> ColumnElement[int]:
    return func.coalesce(func.length(cast(tuning_changes.c[column], LargeBinary)), 0)


_older = (
    select(tuning_changes, (_bytes_of("before") + _bytes_of("after")).label("size_bytes"))
    .where(tuning_changes.c.revision < bindparam("before_revision"))
    .order_by(tuning_changes.c.revision.desc())
    # One more than asked for tells whether there are more.
    .limit(bindparam("limit") + 1)
    .subquery()
)
_newest_first = _older.c.revision.desc()
_measured = select(
    _older,
    func.row_number().over(order_by=_newest_first).label("position"),
    func.sum(_older.c.size_bytes).over(order_by=_newest_first).label("bytes_so_far"),
    func.count().over().label("found"),
).subquery()
LOG_PAGE = (
    select(_measured)
    .where(
        _measured.c.position <= bindparam("limit"),
        or_(_measured.c.position == 1, _measured.c.bytes_so_far <= bindparam("max_bytes")),
    )
    .order_by(_measured.c.position)
)
