"""Revisions: what a write changes, and the number that each change takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from services.catalog.products import Product, StoredProduct


class ChangeKind(Enum):
    """What a change did. Stores keep the number."""

    UPSERT = 1
    DELETE = 2
    # A rule or synonyms: there is no product.
    TUNING = 3
    # Somebody wants cached answers computed anew: there is no product.
    INVALIDATION = 4


class Outcome(Enum):
    """What an upsert did."""

    CREATED = 1
    UPDATED = 2
    UNCHANGED = 3


@dataclass(frozen=True, slots=True)
class Change:
    """One revision.

    `product` is there only while this is its last change. A category is None
    where there was no product.
    """

    revision: int
    kind: ChangeKind
    product_id: str
    category_before: str | None
    category_after: str | None
    product: StoredProduct | None = None


@dataclass(frozen=True, slots=True)
class Upserted:
    """The product as stored after an upsert, and what the upsert did."""

    stored: StoredProduct
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class UpsertPlan:
    """What one transaction has to do: a result for each product, and the changes."""

    results: list[Upserted]
    changes: list[Change]
    revision: int


def plan_upserts(
    products: Sequence[Product],
    stored: Mapping[str, StoredProduct],
    revision: int,
    now_us: int,
) -> UpsertPlan:
    """Decide what upserting the products does to a catalog at a revision.

    `stored` holds those of them that are there. Ids must be distinct. A product
    that is equal to the stored one takes no revision.
    """
    results: list[Upserted] = []
    changes: list[Change] = []
    for product in products:
        before = stored.get(product.id)
        if before is not None and before.product == product:
            results.append(Upserted(before, Outcome.UNCHANGED))
            continue
        revision += 1
        after = StoredProduct(
            product=product,
            revision=revision,
            create_time_us=before.create_time_us if before else now_us,
            update_time_us=now_us,
        )
        results.append(Upserted(after, Outcome.UPDATED if before else Outcome.CREATED))
        changes.append(
            Change(
                revision=revision,
                kind=ChangeKind.UPSERT,
                product_id=product.id,
                category_before=before.product.category if before else None,
                category_after=product.category,
                product=after,
            )
        )
    return UpsertPlan(results, changes, revision)
