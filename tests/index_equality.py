"""Holds the index against the catalog: what is durable, and what searches see."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import grpc.aio
import numpy as np

from services.common.channel import channel_to
from services.index.documents import DocumentTemplate, text_hash
from services.index.model import Product
from tests.stack import Stack
from vitrina.catalog.v1 import catalog_pb2
from vitrina.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from vitrina.index.v1 import index_pb2, index_pb2_grpc


def _indexed(product: catalog_pb2.Product) -> Product:
    values = {
        name: getattr(value, value.WhichOneof("kind") or "string_value")
        for name, value in product.attributes.items()
    }
    return Product(
        id=product.id,
        name=product.name,
        description=product.description,
        category=product.category,
        brand=product.brand,
        price_e4=int(Decimal(product.price) * 10_000) if product.price else None,
        stock=product.stock if product.HasField("stock") else None,
        attributes=values,
        is_active=product.active if product.HasField("active") else True,
        revision=product.revision,
    )


def _durable_rows(database: Path) -> tuple[str, dict[str, tuple[object, ...]], dict[str, bytes]]:
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        (template,) = connection.execute("SELECT document_template FROM meta").fetchone()
        rows = connection.execute(
            "SELECT product_id, text_hash, category, brand, price_e4, stock, is_active, revision,"
            " json, vector FROM rows JOIN vectors USING (vector_id)"
            " JOIN attributes USING (vector_id)"
        ).fetchall()
    connection.close()
    columns = {row[0]: (*row[1:8], _typed(json.loads(row[8]))) for row in rows}
    return template, columns, {row[0]: row[9] for row in rows}


def _typed(attributes: Mapping[str, object]) -> dict[str, tuple[type, object]]:
    """Return the attributes so that true is not 1."""
    return {name: (type(value), value) for name, value in attributes.items()}


async def assert_index_equals_catalog(stack: Stack, data_dir: Path) -> None:
    """Fail unless every collection holds exactly the catalog, with vectors of its current texts."""
    products = await stack.all_products()
    collections = await stack.collections()
    assert collections
    for collection in collections:
        database = next((data_dir / "index").glob(f"{collection.space}/state.sqlite"))
        template, columns, vectors = await asyncio.to_thread(_durable_rows, database)
        document = DocumentTemplate(template)
        expected = {}
        texts = {}
        for product_id, message in products.items():
            product = _indexed(message)
            texts[product_id] = document.render(product)
            expected[product_id] = (
                text_hash(texts[product_id]),
                product.category,
                product.brand,
                product.price_e4,
                product.stock,
                int(product.is_active),
                product.revision,
                _typed(product.attributes),
            )
        assert columns == expected
        await _assert_vectors_are_of_these_texts(stack, collection.space, texts, vectors)
        await _assert_searches_see_the_same(stack, collection.space, products)


async def _assert_vectors_are_of_these_texts(
    stack: Stack, space: str, texts: Mapping[str, str], vectors: Mapping[str, bytes]
) -> None:
    ids = sorted(texts)
    async with channel_to(stack.address_of("embedder")) as channel:
        stub: embedder_pb2_grpc.EmbedderServiceAsyncStub
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        for first in range(0, len(ids), 128):
            batch = ids[first : first + 128]
            response = await stub.Embed(
                embedder_pb2.EmbedRequest(
                    texts=[texts[product_id] for product_id in batch],
                    spaces=[space],
                    purpose=embedder_pb2.PURPOSE_DOCUMENT,
                ),
                timeout=60,
            )
            fresh = np.frombuffer(response.vectors, "<f4").reshape(len(batch), -1)
            stored = np.stack([np.frombuffer(vectors[product_id], "<f4") for product_id in batch])
            # int8 vectors depend a little on the batch that they were made in
            assert (np.sum(fresh * stored, axis=1) > 0.95).all()


async def _assert_searches_see_the_same(
    stack: Stack, space: str, products: Mapping[str, catalog_pb2.Product]
) -> None:
    """Ask for the neighbours of every product: it must be known, and no deleted one may be near."""
    async with channel_to(stack.address_of("index")) as channel:
        stub: index_pb2_grpc.IndexServiceAsyncStub = index_pb2_grpc.IndexServiceStub(channel)

        at_once = asyncio.Semaphore(16)

        async def neighbours(product_id: str) -> list[str]:
            request = index_pb2.SimilarRequest(spaces=[space], product_id=product_id, limit=50)
            try:
                async with at_once:
                    response = await stub.Similar(request, timeout=20)
            except grpc.aio.AioRpcError as error:
                raise AssertionError(f"{product_id}: {error.code()} {error.details()}") from error
            return list(response.product_ids)

        for near in await asyncio.gather(*map(neighbours, products)):
            assert set(near) <= set(products)
