"""Invalidations: revisions of the catalog that change no product."""

from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.catalog_support import field_of, message, reason_of, serving_catalog
from vitrina.catalog.v1 import catalog_pb2, retrieval_pb2


def invalidation(revision: int, category: str | None) -> catalog_pb2.Change:
    return catalog_pb2.Change(
        revision=revision,
        kind=catalog_pb2.CHANGE_KIND_INVALIDATION,
        category_before=category,
        category_after=category,
    )


async def changes_read(watching: Any) -> list[catalog_pb2.Change]:
    """Return what the next message of a feed brings."""
    return list((await watching.read()).changes)


@pytest.mark.parametrize("omit_products", [False, True])
async def test_the_feed_brings_invalidations_among_the_changes(
    tmp_path: Path, omit_products: bool
) -> None:
    async with serving_catalog(tmp_path) as stubs:
        await stubs.catalog.UpsertProduct(catalog_pb2.UpsertProductRequest(product=message("a")))
        watching = stubs.catalog.WatchChanges(
            catalog_pb2.WatchChangesRequest(after_revision=1, omit_products=omit_products)
        )
        assert not await changes_read(watching)
        for category, revision in (("Audio>  Headphones", 2), ("", 3)):
            response = await stubs.retrieval.Invalidate(
                retrieval_pb2.InvalidateRequest(category=category)
            )
            assert response.revision == revision
        seen: list[catalog_pb2.Change] = []
        while len(seen) < 2:
            seen += await changes_read(watching)
        watching.cancel()
        assert seen == [invalidation(2, "Audio > Headphones"), invalidation(3, None)]


async def test_an_invalidation_changes_no_product_and_searches_reflect_it(tmp_path: Path) -> None:
    async with serving_catalog(tmp_path) as stubs:
        await stubs.catalog.UpsertProduct(
            catalog_pb2.UpsertProductRequest(product=message("a", name="lamp"))
        )
        await stubs.retrieval.Invalidate(retrieval_pb2.InvalidateRequest())
        status = await stubs.retrieval.GetCatalogStatus(retrieval_pb2.GetCatalogStatusRequest())
        assert (status.revision, status.product_count) == (2, 1)
        found = await stubs.retrieval.SearchText(
            retrieval_pb2.SearchTextRequest(query="lamp", limit=5)
        )
        assert (list(found.product_ids), found.revision) == (["a"], 2)
        got = await stubs.catalog.GetProduct(catalog_pb2.GetProductRequest(id="a"))
        assert (got.product.revision, got.revision) == (1, 2)


async def test_an_invalidation_outlives_the_catalog(tmp_path: Path) -> None:
    async with serving_catalog(tmp_path) as stubs:
        await stubs.retrieval.Invalidate(retrieval_pb2.InvalidateRequest(category="Audio"))
    async with serving_catalog(tmp_path) as stubs:
        watching = stubs.catalog.WatchChanges(catalog_pb2.WatchChangesRequest())
        changes = await changes_read(watching)
        watching.cancel()
        assert changes == [invalidation(1, "Audio")]


async def test_a_category_that_is_none_takes_no_revision(tmp_path: Path) -> None:
    async with serving_catalog(tmp_path) as stubs:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stubs.retrieval.Invalidate(
                retrieval_pb2.InvalidateRequest(category="Audio > > B")
            )
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert reason_of(refused.value) == "INVALID_FIELD"
        assert field_of(refused.value) == "category"
        status = await stubs.retrieval.GetCatalogStatus(retrieval_pb2.GetCatalogStatusRequest())
        assert status.revision == 0
