"""The vectors that Vitrina made of a catalog, for all others to use."""

from collections.abc import Sequence

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.processes import Stack
from vitrina.index.v1 import index_pb2, index_pb2_grpc
from vitrina.search.v1 import search_pb2, search_pb2_grpc

_BATCH = 1_000  # the most that the index hands out at once


def vectors_of(stack: Stack, product_ids: Sequence[str]) -> NDArray[np.float32]:
    """Return vectors of length 1, [products, dimensions]. RuntimeError if a product has none."""
    with (
        grpc.insecure_channel(stack.grpc) as gateway,
        grpc.insecure_channel(stack.addresses["index"]) as channel,
    ):
        request = search_pb2.SearchRequest(
            query="anything", mode=search_pb2.MODE_SEMANTIC, skip_cache=True
        )
        space = search_pb2_grpc.SearchServiceStub(gateway).Search(request).info.space
        index = index_pb2_grpc.IndexServiceStub(channel)
        parts = [
            index.GetVectors(
                index_pb2.GetVectorsRequest(
                    space=space, product_ids=product_ids[start : start + _BATCH]
                )
            ).vectors
            for start in range(0, len(product_ids), _BATCH)
        ]
    rows = np.frombuffer(b"".join(parts), dtype="<f4").reshape(len(product_ids), -1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        raise RuntimeError("a product has no vector yet")
    unit_rows: NDArray[np.float32] = rows / lengths
    return unit_rows
