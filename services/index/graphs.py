"""Building the graph of a snapshot."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from services.index.engines.protocol import Engine, GraphParameters
from services.index.model import Matrix
from services.index.rows import BuiltGraph
from services.index.snapshot import Snapshot

# Rows that are float32 at a time.
_CHUNK_ROWS = 4096


def build_graph(
    engine: Engine,
    parameters: GraphParameters,
    snapshot: Snapshot,
    slots: NDArray[np.int64],
    vector_ids: NDArray[np.int64],
    is_cancelled: Callable[[], bool],
) -> BuiltGraph:
    """Build a graph over some slots of a snapshot, in their order; blocks for long."""

    def chunks() -> Iterator[Matrix]:
        for start in range(0, len(slots), _CHUNK_ROWS):
            yield snapshot.gather(slots[start : start + _CHUNK_ROWS])

    graph = engine.build(chunks(), snapshot.recent.shape[1], parameters, is_cancelled)
    product_ids = [snapshot.product_ids[slot] for slot in slots.tolist()]
    return BuiltGraph(
        graph=graph,
        vector_ids=vector_ids,
        product_ids=product_ids,
        slots={product_id: position for position, product_id in enumerate(product_ids)},
        source_slots=slots,
        source_end=snapshot.slots,
    )
