"""The statements of the SQLite store. Each is one read of one state, or one step of a write.

Those that are `Prepared` go to the driver as they are: for a read that takes a fifth of a
millisecond, and for each product of a write, SQLAlchemy would take as long again.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Select,
    Subquery,
    and_,
    bindparam,
    column,
    func,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects import sqlite

from services.catalog.stores.tables import PRODUCT_COLUMNS, catalog, changes, products
from services.catalog.text import ProductWords


class Prepared(NamedTuple):
    """A statement as the driver takes it, and the values that are its own."""

    sql: str
    constants: Mapping[str, Any]

    @classmethod
    def of(cls, statement: Executable) -> "Prepared":
        """Return the statement in the words of SQLite, its parameters by name."""
        made = statement.compile(dialect=sqlite.dialect(paramstyle="named"))  # type: ignore[attr-defined]
        constants = {name: value for name, value in made.params.items() if value is not None}
        return cls(str(made), constants)

    def rows(self, driver: Any, **parameters: object) -> list[tuple[Any, ...]]:
        """Return all rows that it reads."""
        return driver.execute(self.sql, {**self.constants, **parameters}).fetchall()  # type: ignore[no-any-return]


def _insert(table: str, names: Iterable[str]) -> str:
    names = tuple(names)
    values = ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"  # noqa: S608 - of the schema


def _in_subtree(category: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a category is :category or begins with :below, up to :beyond; see `subtree`."""
    return or_(
        category == bindparam("category"),
        and_(category >= bindparam("below"), category < bindparam("beyond")),
    )


def subtree(category: str) -> dict[str, str]:
    """Return the parameters of a restriction to a category and those below it."""
    # "!" is the character after the blank, so this is the range of all that begins so.
    return {"category": category, "below": f"{category} > ", "beyond": f"{category} >!"}


def _with_head(rows: FromClause, on: ColumnElement[bool], *columns: ColumnElement) -> Select:  # type: ignore[type-arg]
    """Select the newest revision beside each row; alone if there are no rows."""
    return select(catalog.c.revision, *columns).select_from(catalog.outerjoin(rows, on))


def _measured(page: Subquery, order: ColumnElement[int] | ColumnElement[str]) -> Subquery:
    """Number the rows of a page, and add up the bytes of their products."""
    return select(
        page,
        func.row_number().over(order_by=order).label("position"),
        func.sum(page.c.size_bytes).over(order_by=order).label("bytes_so_far"),
        func.count().over().label("found"),
    ).subquery()


def _fits(measured: Subquery) -> ColumnElement[bool]:
    return and_(
        measured.c.position <= bindparam("limit"),
        or_(measured.c.position == 1, measured.c.bytes_so_far <= bindparam("max_bytes")),
    )


STATE = select(catalog)

# A parameter for each id would be another statement for each number of ids.
_IS_ASKED_FOR = products.c.id.in_(
    select(column("value")).select_from(func.json_each(bindparam("ids")))
)
PRODUCTS_BY_ID = Prepared.of(_with_head(products, _IS_ASKED_FOR, products.c.key, *PRODUCT_COLUMNS))


def _product_page(*conditions: ColumnElement[bool]) -> Select:  # type: ignore[type-arg]
    page = (
        select(products.c.key, products.c.id, products.c.size_bytes)
        .where(products.c.id > bindparam("after_id"), *conditions)
        .order_by(products.c.id)
        # One more than asked for tells whether there are more.
        .limit(bindparam("limit") + 1)
        .subquery()
    )
    measured = _measured(page, page.c.id)
    rows = measured.join(products, products.c.key == measured.c.key)
    return _with_head(rows, _fits(measured), measured.c.found, *PRODUCT_COLUMNS).order_by(
        measured.c.position
    )


PRODUCT_PAGE = Prepared.of(_product_page())
PRODUCT_PAGE_OF_CATEGORY = Prepared.of(_product_page(_in_subtree(products.c.category)))

_COUNTS = (
    select(products.c.category, func.count().label("count"))
    .group_by(products.c.category)
    .subquery()
)
CATEGORY_COUNTS = _with_head(_COUNTS, true(), _COUNTS.c.category, _COUNTS.c["count"])

# What a change may need beside its product: its id and its categories.
_MAX_CHANGE_BYTES = 8_192


def _change_page(*, with_products: bool) -> Select:  # type: ignore[type-arg]
    recent = (
        select(changes)
        .where(changes.c.revision > bindparam("after_revision"))
        .order_by(changes.c.revision)
        .limit(bindparam("limit"))
        .subquery()
    )
    head = (catalog.c.catalog_id, *recent.c)
    if not with_products:
        return _with_head(recent, true(), *head).order_by(recent.c.revision)
    # A later change gives the product another revision, so this change has none then.
    is_last_change = and_(
        products.c.id == recent.c.product_id, products.c.revision == recent.c.revision
    )
    page = (
        select(
            *recent.c,
            products.c.key,
            (func.coalesce(products.c.size_bytes, 0) + _MAX_CHANGE_BYTES).label("size_bytes"),
        )
        .select_from(recent.outerjoin(products, is_last_change))
        .subquery()
    )
    measured = _measured(page, page.c.revision)
    rows = measured.outerjoin(products, products.c.key == measured.c.key)
    return _with_head(
        rows,
        _fits(measured),
        catalog.c.catalog_id,
        *(measured.c[name] for name in changes.c.keys()),  # noqa: SIM118
        *PRODUCT_COLUMNS,
    ).order_by(measured.c.revision)


CHANGE_PAGE = Prepared.of(_change_page(with_products=True))
CHANGE_PAGE_WITHOUT_PRODUCTS = Prepared.of(_change_page(with_products=False))

# The words are those of a JSON array; each is looked up by itself.
INDEXED_WORDS = text(
    """
    SELECT asked.value FROM json_each(:asked) AS asked
    WHERE EXISTS (SELECT 1 FROM words WHERE words MATCH '"' || asked.value || '"')
    """
)

# Keys go up as SQLite would give them, but are known before the rows are written.
LAST_KEY = "SELECT coalesce(max(key), 0) FROM products"
_CHANGED = ", ".join(
    f"{name} = excluded.{name}"
    for name in products.c.keys()  # noqa: SIM118
    if name not in ("key", "id")
)
UPSERT_PRODUCT = (
    f"{_insert('products', products.c.keys())} ON CONFLICT (id) DO UPDATE SET {_CHANGED}"
)
DELETE_PRODUCT = "DELETE FROM products WHERE key = ?"
INSERT_CHANGE = _insert("changes", changes.c.keys())
ADVANCE = "UPDATE catalog SET revision = ?, product_count = product_count + ?"

# FTS5: one row for each active product, its rowid is the product's key.
INSERT_WORDS = _insert("words", ("rowid", *ProductWords._fields))
DELETE_WORDS = "DELETE FROM words WHERE rowid = ?"
DELETE_ALL_WORDS = "DELETE FROM words"
INSERT_IDENTIFIER = "INSERT INTO identifiers (identifier, product_key) VALUES (?, ?)"
DELETE_IDENTIFIERS = "DELETE FROM identifiers WHERE product_key = ?"
DELETE_ALL_IDENTIFIERS = "DELETE FROM identifiers"
ACTIVE_PRODUCTS_AFTER_KEY = Prepared.of(
    select(products.c.key, *PRODUCT_COLUMNS)
    .where(products.c.active, products.c.key > bindparam("after_key"))
    .order_by(products.c.key)
    .limit(500)
)
# What the holdings count.
HELD_AFTER_KEY = Prepared.of(
    select(
        products.c.key,
        products.c.name,
        products.c.brand,
        products.c.category,
        products.c.language,
    )
    .where(products.c.active, products.c.key > bindparam("after_key"))
    .order_by(products.c.key)
    .limit(bindparam("limit"))
)
SET_TEXT_RULES = "UPDATE catalog SET text_rules = ?"
