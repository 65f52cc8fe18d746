"""The newest revision, and the changes that take one."""

from collections.abc import Sequence

from sqlalchemy import Connection

from services.catalog.changes import Change
from services.catalog.stores import statements
from services.catalog.stores.database import driver_of


def advance(connection: Connection, changes: Sequence[Change], *, more_products: int = 0) -> None:
    """Write the changes, and the newest revision with them."""
    driver = driver_of(connection)
    driver.executemany(
        statements.INSERT_CHANGE,
        [
            {
                "revision": change.revision,
                "product_id": change.product_id,
                "kind": change.kind.value,
                "category_before": change.category_before,
                "category_after": change.category_after,
            }
            for change in changes
        ],
    )
    driver.execute(statements.ADVANCE, (changes[-1].revision, more_products))


def newest(connection: Connection) -> int:
    """Return the newest revision of the state that a connection reads."""
    (revision,) = driver_of(connection).execute("SELECT revision FROM catalog").fetchone()
    return int(revision)
