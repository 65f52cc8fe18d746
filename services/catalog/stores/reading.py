"""Pages of products and of changes, made in the thread that reads them."""

from collections.abc import Mapping

from sqlalchemy import Connection

from services.catalog.changes import Change, ChangeKind
from services.catalog.stores import ChangePage, ProductPage, statements
from services.catalog.stores.database import driver_of
from services.catalog.stores.tables import PRODUCT_COLUMNS, product_of


def product_page(connection: Connection, asked: Mapping[str, object], category: str) -> ProductPage:
    """Return a page of the products of a category, or of all; see `Store.page`."""
    driver = driver_of(connection)
    if category:
        asked = {**asked, **statements.subtree(category)}
        rows = statements.PRODUCT_PAGE_OF_CATEGORY.rows(driver, **asked)
    else:
        rows = statements.PRODUCT_PAGE.rows(driver, **asked)
    # The newest revision, and how many products come after the id, stand before each.
    revision, found = rows[0][:2]
    products = [product_of(row) for row in rows if row[1] is not None]
    return ProductPage(products, len(products) < (found or 0), revision)


def change_page(
    connection: Connection, asked: Mapping[str, object], *, with_products: bool
) -> ChangePage:
    """Return a page of the changes after a revision; see `Store.changes_after`."""
    page = statements.CHANGE_PAGE if with_products else statements.CHANGE_PAGE_WITHOUT_PRODUCTS
    rows = page.rows(driver_of(connection), **asked)
    head_revision, catalog_id = rows[0][:2]
    changes = []
    for row in rows:
        _, _, revision, product_id, kind, before, after, *product = row
        if revision is None:
            continue
        # The product's columns, its id first, are null unless this is its last change.
        stored = product_of(row) if product and product[-len(PRODUCT_COLUMNS)] is not None else None
        changes.append(Change(revision, ChangeKind(kind), product_id, before, after, stored))
    return ChangePage(changes, head_revision, catalog_id)
