"""Building a segment out of a snapshot."""

from collections.abc import Callable, Iterator

import numpy as np

from services.index.engines.protocol import Engine, GraphParameters
from services.index.model import Matrix
from services.index.policy import Joining
from services.index.product_ids import ProductIds
from services.index.rows import BuiltSegment
from services.index.segments import Segment
from services.index.snapshot import Snapshot

# Rows that are float32 at a time.
_CHUNK_ROWS = 4096


def build_segment(
    engine: Engine,
    parameters: GraphParameters,
    snapshot: Snapshot,
    joining: Joining,
    is_cancelled: Callable[[], bool],
    *,
    threads: int = 1,
) -> BuiltSegment:
    """Build what is to be one; blocks for long. BuildCancelled when it is.

    Memory: one graph more than before, until those that it replaces are gone.
    """
    replaced = snapshot.segments[joining.first : joining.end]
    start = sum(segment.rows for segment in snapshot.segments[: joining.first])
    recent_rows = len(snapshot.recent) if joining.has_recent else 0
    end = start + sum(segment.rows for segment in replaced) + recent_rows
    extended = replaced[0] if joining.extends else None
    kept_rows = extended.rows if extended is not None else 0
    slots = snapshot.alive_slots(slice(start + kept_rows, end))

    def chunks() -> Iterator[Matrix]:
        for first in range(0, len(slots), _CHUNK_ROWS):
            yield snapshot.gather(slots[first : first + _CHUNK_ROWS])

    graph = engine.build(
        chunks(),
        snapshot.recent.shape[1],
        parameters,
        is_cancelled,
        extended=extended.graph if extended is not None else None,
        added_rows=len(slots),
        threads=threads,
    )
    ids = ProductIds.of(snapshot.ids_of(slots))
    if extended is not None:
        ids = ProductIds.joined([extended.ids, ids])
    return BuiltSegment(
        segment=Segment(graph, ids),
        replaced=replaced,
        recent_rows=recent_rows,
        recent_ids=snapshot.recent_ids,
        sources=np.concatenate([np.arange(kept_rows), slots - start]),
    )
