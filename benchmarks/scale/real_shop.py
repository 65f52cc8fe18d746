"""What the synthetic shop is drawn from: real products, embedded once by the real embedder."""

import asyncio
import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from benchmarks.queries import Product, queries_from, read_products
from benchmarks.scale.running import Folder, running
from services.common.channel import channel_to
from services.index.documents import DocumentTemplate
from services.index.model import Matrix
from services.index.model import Product as IndexProduct
from vitrina.embedder.v1 import embedder_pb2 as pb
from vitrina.embedder.v1 import embedder_pb2_grpc

# Of each product, the nearest first; fewer where there are not so many products.
MAX_NEIGHBOURS = 64
_TEXTS_PER_CALL = 100
_CALLS_AT_ONCE = 3
_ROWS_PER_STEP = 1024


@dataclass(frozen=True)
class RealShop:
    """Products in an order of chance, vectors of length 1 by row, and people's queries."""

    products: Sequence[Product]
    vectors: Matrix
    # By row, rows of the nearest others; a power of two of them.
    neighbours: NDArray[np.int32]
    queries: Sequence[str]
    query_vectors: Matrix
    space: str
    template: str

    @property
    def dimensions(self) -> int:
        """Of a vector."""
        return len(self.vectors[0])

    def save(self, file: Path) -> None:
        """Write it as one file."""
        texts = {
            "products": self.products,
            "queries": self.queries,
            "space": self.space,
            "template": self.template,
        }
        partial = file.with_suffix(".partial.npz")
        np.savez(
            partial,
            texts=np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8),
            vectors=self.vectors,
            neighbours=self.neighbours,
            query_vectors=self.query_vectors,
        )
        partial.rename(file)

    @classmethod
    def load(cls, file: Path) -> "RealShop":
        """Read what `save` wrote."""
        with np.load(file) as arrays:
            texts = json.loads(arrays["texts"].tobytes())
            return cls(
                vectors=arrays["vectors"],
                neighbours=arrays["neighbours"],
                query_vectors=arrays["query_vectors"],
                **texts,
            )


async def embedded_shop(
    catalog: Path, limit: int, query_count: int, folder: Path, scratch: Folder
) -> Path:
    """Return a file of the first products of a catalog; what was embedded before is not again.

    Queries are those of queries.tsv beside the catalog, if there is one, and words
    out of the products' names. The folder must be there.
    """
    products = read_products(catalog, limit)
    Random(3).shuffle(products)
    queries = _judged_queries(catalog.parent / "queries.tsv")
    names = [product["name"] for product in products]
    queries = list(dict.fromkeys([*queries, *queries_from(names, query_count)]))[:query_count]
    digest = hashlib.sha256(json.dumps([products, queries]).encode()).hexdigest()[:12]
    file = folder / f"real-{digest}.npz"
    if not file.exists():
        shop = await _embed(products, queries, scratch)
        await asyncio.to_thread(shop.save, file)
    return file


def _judged_queries(file: Path) -> list[str]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return [row[1] for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


async def _embed(products: list[Product], queries: list[str], scratch: Folder) -> RealShop:
    async with (
        running("embedder", scratch, {"VITRINA_EMBEDDER_PROVIDERS": "minilm"}) as embedder,
        channel_to(embedder.address) as channel,
    ):
        stub: embedder_pb2_grpc.EmbedderServiceAsyncStub
        stub = embedder_pb2_grpc.EmbedderServiceStub(channel)
        (space,) = (await stub.ListSpaces(pb.ListSpacesRequest())).spaces
        template = DocumentTemplate(space.document_template)
        texts = [template.render(_as_indexed(product)) for product in products]
        vectors = await _vectors_of(stub, space.id, texts, pb.PURPOSE_DOCUMENT)
        query_vectors = await _vectors_of(stub, space.id, queries, pb.PURPOSE_QUERY)
    return RealShop(
        products=products,
        vectors=vectors,
        neighbours=_nearest_others(vectors),
        queries=queries,
        query_vectors=query_vectors,
        space=space.id,
        template=space.document_template,
    )


def _as_indexed(product: Product) -> IndexProduct:
    """Return what a document template reads of a product."""
    return IndexProduct(
        id=product["id"],
        name=product["name"],
        description=product.get("description", ""),
        category=product.get("category", ""),
        brand=product.get("brand", ""),
        price_e4=None,
        stock=None,
        attributes=product.get("attributes", {}),
        is_active=True,
        revision=0,
    )


async def _vectors_of(
    stub: "embedder_pb2_grpc.EmbedderServiceAsyncStub",
    space: str,
    texts: Sequence[str],
    purpose: "pb.Purpose.ValueType",
) -> Matrix:
    at_once = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def embed(part: Sequence[str]) -> Matrix:
        async with at_once:
            request = pb.EmbedRequest(texts=part, spaces=[space], purpose=purpose)
            answer = await stub.Embed(request, timeout=120.0)
        return np.frombuffer(answer.vectors, dtype="<f4").reshape(len(part), answer.dimensions)

    parts = [texts[at : at + _TEXTS_PER_CALL] for at in range(0, len(texts), _TEXTS_PER_CALL)]
    return np.concatenate(await asyncio.gather(*map(embed, parts)))


def _nearest_others(vectors: Matrix) -> NDArray[np.int32]:
    count = min(MAX_NEIGHBOURS, 2 ** int(np.log2(max(2, len(vectors) - 1))))
    if len(vectors) <= count:
        raise ValueError(f"{len(vectors)} products: too few to draw others from")
    nearest: list[NDArray[np.int32]] = []
    for start in range(0, len(vectors), _ROWS_PER_STEP):
        cosines = vectors[start : start + _ROWS_PER_STEP] @ vectors.T
        own = np.arange(len(cosines))
        cosines[own, own + start] = -2.0
        found = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, found, axis=1), axis=1)
        nearest.append(np.take_along_axis(found, order, axis=1).astype(np.int32))
    return np.concatenate(nearest)
