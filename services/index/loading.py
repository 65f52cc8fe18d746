"""Rows in memory from what is stored."""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from services.index.graph_files import GraphFiles, SavedGraph
from services.index.rows import LoadedRow, Rows
from services.index.stores.protocol import StateStore, StoredRows, StoredState
from services.index.threads import Threads


async def load_rows(
    state: StoredState, store: StateStore, files: GraphFiles, threads: Threads
) -> tuple[Rows, datetime | None]:
    """Return the rows, and when their graph was saved; without a usable one, all are recent.

    DamagedState if a vector is missing.
    """
    stored = state.rows
    saved = await threads.search(lambda: files.load(state.incarnation, state.last_vector_id))
    if saved is None:
        recent = np.arange(len(stored.vector_ids))
    else:
        recent = np.flatnonzero(~np.isin(stored.vector_ids, saved.vector_ids))
    rows = Rows(state.space.dimensions, state.incarnation)
    rows.load(
        state.applied_revision,
        saved.graph if saved is not None else None,
        _rows_of_graph(stored, saved) if saved is not None else (),
        [_row(stored, place) for place in recent.tolist()],
        await store.vectors(stored.vector_ids[recent]),
    )
    return rows, saved.save_time if saved is not None else None


def _row(rows: StoredRows, place: int) -> LoadedRow:
    return LoadedRow(
        vector_id=int(rows.vector_ids[place]),
        product_id=rows.product_ids[place],
        category=rows.categories[place],
        brand=rows.brands[place],
        price_e4=rows.prices_e4[place],
        stock=rows.stocks[place],
        is_active=rows.is_active[place],
    )


def _rows_of_graph(rows: StoredRows, saved: SavedGraph) -> list[LoadedRow]:
    places = np.searchsorted(rows.vector_ids, saved.vector_ids)
    places[places == len(rows.vector_ids)] = 0
    is_alive: NDArray[np.bool_] = (
        rows.vector_ids[places] == saved.vector_ids
        if len(rows.vector_ids)
        else np.zeros(len(places), dtype=np.bool_)
    )
    dead = LoadedRow(0, "", "", "", None, None, is_active=False)
    return [
        _row(rows, place) if alive else dead
        for place, alive in zip(places.tolist(), is_alive.tolist(), strict=True)
    ]
