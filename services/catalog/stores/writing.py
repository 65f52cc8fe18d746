"""What a transaction that writes does, in the thread that writes."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from services.catalog.changes import Change, ChangeKind, Outcome, UpsertPlan, plan_upserts
from services.catalog.holdings import Difference
from services.catalog.products import Product, StoredProduct
from services.catalog.stores import Deletion, Upserts, revisions, statements, wording
from services.catalog.stores.database import driver_of
from services.catalog.stores.tables import product_of, row_of
from services.catalog.text import Rules


class HeldChange:
    """By how much a write changes what active products hold, as far as they are counted yet."""

    def __init__(self, is_counted: Callable[[int], bool]) -> None:
        self.difference = Difference()
        self._is_counted = is_counted

    def change(self, key: int, before: Product | None, after: Product | None) -> None:
        """Count a product out as it was, and in as it is."""
        if not self._is_counted(key):
            return
        for product, by in ((before, -1), (after, 1)):
            if product is not None and product.active:
                self.difference.count(product, by)


def upsert(
    connection: Connection,
    rules: Rules,
    products: Sequence[Product],
    now_us: int,
    held: HeldChange,
) -> Upserts:
    """Apply `plan_upserts`; count what active products then hold."""
    driver = driver_of(connection)
    keys, stored, revision = _stored(driver, [product.id for product in products])
    plan = plan_upserts(products, stored, revision, now_us)
    if plan.changes:
        created = _write(driver, rules, plan, keys, stored, held)
        revisions.advance(connection, plan.changes, more_products=created)
    return Upserts(plan.results, plan.revision)


def delete(connection: Connection, product_id: str, held: HeldChange) -> Deletion:
    """Remove a product if it is there."""
    driver = driver_of(connection)
    keys, stored, revision = _stored(driver, [product_id])
    if not stored:
        return Deletion(was_there=False, revision=revision)
    gone = stored[product_id].product
    held.change(keys[product_id], gone, None)
    wording.remove(driver, [keys[product_id]])
    driver.execute(statements.DELETE_PRODUCT, (keys[product_id],))
    change = Change(revision + 1, ChangeKind.DELETE, product_id, gone.category, None)
    revisions.advance(connection, [change], more_products=-1)
    return Deletion(was_there=True, revision=change.revision)


def invalidate(connection: Connection, category: str | None) -> int:
    """Take a revision that changes no product."""
    revision = revisions.newest(connection) + 1
    change = Change(revision, ChangeKind.INVALIDATION, "", category, category)
    revisions.advance(connection, [change])
    return revision


def _write(
    driver: Any,
    rules: Rules,
    plan: UpsertPlan,
    keys: dict[str, int],
    before: Mapping[str, StoredProduct],
    held: HeldChange,
) -> int:
    """Write the products that changed, and their words; return how many are new."""
    changed = [result.stored for result in plan.results if result.outcome is not Outcome.UNCHANGED]
    (last_key,) = driver.execute(statements.LAST_KEY).fetchone()
    created = [stored.product.id for stored in changed if stored.product.id not in keys]
    new_keys = dict(zip(created, range(last_key + 1, last_key + 1 + len(created)), strict=True))
    rows = [row_of(stored) for stored in changed]
    for row, stored in zip(rows, changed, strict=True):
        product_id = stored.product.id
        row["key"] = new_keys.get(product_id) or keys[product_id]
    driver.executemany(statements.UPSERT_PRODUCT, rows)
    # Most changes are of price and stock, and leave the words alone.
    reworded = [
        stored.product
        for stored in changed
        if stored.product.id in new_keys
        or _worded(stored.product) != _worded(before[stored.product.id].product)
    ]
    wording.remove(driver, [keys[product.id] for product in reworded if product.id in keys])
    keys = keys | new_keys
    wording.insert(driver, rules, [(keys[product.id], product) for product in reworded])
    for product in reworded:
        stale = before[product.id].product if product.id in before else None
        held.change(keys[product.id], stale, product)
    return len(created)


def _stored(
    driver: Any, ids: Sequence[str]
) -> tuple[dict[str, int], dict[str, StoredProduct], int]:
    """Return the keys and products of the ids that are there, and the newest revision."""
    rows = statements.PRODUCTS_BY_ID.rows(driver, ids=json.dumps(ids))
    there = [(row[1], product_of(row)) for row in rows if row[1] is not None]
    keys = {stored.product.id: key for key, stored in there}
    return keys, {stored.product.id: stored for _, stored in there}, rows[0][0]


def _worded(product: Product) -> tuple[object, ...]:
    """Return all that `words_of` reads, and whether the words are to be found."""
    texts = (product.name, product.brand, product.category, product.description)
    return (*texts, product.attributes, product.language, product.active)
