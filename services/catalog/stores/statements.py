"""The statements of the SQLite store. Each is one read of one state, or one step of a write."""

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    and_,
    bindparam,
    column,
    delete,
    func,
    insert,
    or_,
    select,
    table,
    text,
    true,
    update,
)
from sqlalchemy.dialects import sqlite

from services.catalog.stores.tables import PRODUCT_COLUMNS, catalog, changes, identifiers, products
from services.catalog.text import ProductWords

# FTS5: one row for each active product, its rowid is the product's key.
words = table("words", column("rowid"), *(column(name) for name in ProductWords._fields))


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
PRODUCTS_BY_ID = _with_head(products, _IS_ASKED_FOR, products.c.key, *PRODUCT_COLUMNS)


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


PRODUCT_PAGE = _product_page()
PRODUCT_PAGE_OF_CATEGORY = _product_page(_in_subtree(products.c.category))

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


CHANGE_PAGE = _change_page(with_products=True)
CHANGE_PAGE_WITHOUT_PRODUCTS = _change_page(with_products=False)

# The words are those of a JSON array; each is looked up by itself.
INDEXED_WORDS = text(
    """
    SELECT asked.value FROM json_each(:asked) AS asked
    WHERE EXISTS (SELECT 1 FROM words WHERE words MATCH '"' || asked.value || '"')
    """
)

_UPSERT = sqlite.insert(products)
UPSERT_PRODUCT = _UPSERT.on_conflict_do_update(
    index_elements=[products.c.id],
    set_={name: value for name, value in _UPSERT.excluded.items() if name not in ("key", "id")},
)
DELETE_PRODUCT = delete(products).where(products.c.key == bindparam("product_key"))
INSERT_CHANGE = insert(changes)
ADVANCE = update(catalog).values(
    revision=bindparam("new_revision"),
    product_count=catalog.c.product_count + bindparam("more_products"),
)

DELETE_WORDS = delete(words).where(words.c.rowid == bindparam("product_key"))
INSERT_WORDS = insert(words).values(
    {
        "rowid": select(products.c.key)
        .where(products.c.id == bindparam("product_id"))
        .scalar_subquery()
    }
    | {name: bindparam(name) for name in ProductWords._fields}
)
DELETE_ALL_WORDS = delete(words)
DELETE_IDENTIFIERS = delete(identifiers).where(
    identifiers.c.product_key == bindparam("product_key")
)
INSERT_IDENTIFIERS = text(
    """
    INSERT INTO identifiers (identifier, product_key)
    SELECT value, (SELECT key FROM products WHERE id = :product_id) FROM json_each(:identifiers)
    """
)
DELETE_ALL_IDENTIFIERS = delete(identifiers)
ACTIVE_PRODUCTS_AFTER_KEY = (
    select(products.c.key, *PRODUCT_COLUMNS)
    .where(products.c.active, products.c.key > bindparam("after_key"))
    .order_by(products.c.key)
    .limit(500)
)
# What the holdings count.
HELD_AFTER_KEY = (
    select(
        products.c.key,
        products.c.name,
        products.c.brand,
        products.c.category,
        products.c.language,
    )
    .where(products.c.active, products.c.key > bindparam("after_key"))
    .order_by(products.c.key)
    .limit(2_000)
)
SET_TEXT_RULES = update(catalog).values(text_rules=bindparam("rules"))
