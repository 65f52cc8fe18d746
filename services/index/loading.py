"""Rows in memory from what is stored."""

import numpy as np

from services.index.graph_files import GraphFiles, SavedGraph
from services.index.graph_keeper import GraphKeeper
from services.index.product_ids import ProductIdsByPosition
from services.index.rows import Rows
from services.index.segments import Segment
from services.index.stores.protocol import StateStore, StoredRows, StoredState
from services.index.threads import Threads


async def load_rows(
    state: StoredState, store: StateStore, graphs: GraphKeeper, threads: Threads
) -> Rows:
    """Return the rows in the graphs that are saved; without a usable one, all are recent.

    DamagedState if a vector is missing.
    """
    saved = await threads.search(
        lambda: _saved(graphs.files, state.incarnation, state.last_vector_id)
    )
    rows = Rows(state.space.dimensions, state.incarnation)
    ids = np.concatenate([np.empty(0, dtype=np.int64), *(graph.vector_ids for graph in saved)])
    rows.begin(ids)
    product_ids = ProductIdsByPosition(len(ids))
    recent: list[StoredRows] = []
    async for part in store.rows():
        slots = np.searchsorted(ids, part.vector_ids)
        is_in_graph = np.isin(part.vector_ids, ids, assume_unique=True)
        in_graph = part.taken(is_in_graph)
        rows.place(slots[is_in_graph], in_graph)
        product_ids.put(slots[is_in_graph], in_graph.product_ids)
        if not is_in_graph.all():
            recent.append(part.taken(~is_in_graph))
    segments: list[Segment] = []
    start = 0
    for graph in saved:
        end = start + graph.graph.rows
        segments.append(Segment(graph.graph, product_ids.ids(start, end)))
        start = end
    vectors = [await store.vectors(part.vector_ids) for part in recent]
    rows.finish(state.applied_revision, segments, list(zip(recent, vectors, strict=True)))
    graphs.loaded(tuple(segments), saved[-1].save_time if saved else None)
    return rows


def _saved(
    files: tuple[GraphFiles, ...], incarnation: str, last_vector_id: int
) -> list[SavedGraph]:
    """Return the saved graphs that stand one behind the other."""
    found: list[SavedGraph] = []
    for some in files:
        graph = some.load(incarnation, last_vector_id)
        if graph is None:
            break
        # the large graph may hold the small one's rows by now
        if found and graph.vector_ids[:1] <= found[-1].vector_ids[-1:]:
            break
        if len(graph.vector_ids):
            found.append(graph)
    return found
