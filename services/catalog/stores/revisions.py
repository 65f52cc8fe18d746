"""The newest revision, and the changes that take one."""

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from services.catalog.changes import Change
from services.catalog.stores import statements


async def advance(
    connection: AsyncConnection, changes: Sequence[Change], *, more_products: int = 0
) -> None:
    """Write the changes, and the newest revision with them."""
    await connection.execute(
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
    await connection.execute(
        statements.ADVANCE,
        {"new_revision": changes[-1].revision, "more_products": more_products},
    )


def newest(connection: Connection) -> int:
    """Return the newest revision of the state that a connection reads."""
    revision: int = connection.exec_driver_sql("SELECT revision FROM catalog").scalar_one()
    return revision
