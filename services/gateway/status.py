"""The state of everything, whatever is down."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.common.errors import VitrinaError
from services.gateway.ports import (
    Catalog,
    CatalogState,
    Collection,
    Embedder,
    HealthChecked,
    Index,
    Space,
)

T = TypeVar("T")

CHECK_TIMEOUT_SECONDS = 0.8


@dataclass(frozen=True)
class Process:
    """One process as its health check found it; `is_serving` is None where none answered."""

    name: str
    is_serving: bool | None
    latency_ms: float


@dataclass(frozen=True)
class Status:
    """What could be learnt; None and empty where a process did not answer."""

    processes: Sequence[Process]
    catalog: CatalogState | None
    collections: Sequence[Collection]
    spaces: Sequence[Space]


async def _check(name: str, process: HealthChecked) -> Process:
    started = time.perf_counter()
    is_serving = await _or_none(process.is_serving(CHECK_TIMEOUT_SECONDS))
    return Process(name, is_serving, (time.perf_counter() - started) * 1000)


async def _or_none(question: Awaitable[T]) -> T | None:
    try:
        return await question
    except VitrinaError:
        return None


async def read_status(embedder: Embedder, index: Index, catalog: Catalog) -> Status:
    """Ask all at once; takes the timeout of one check at most."""
    *processes, state, collections, spaces = await asyncio.gather(
        _check("catalog", catalog),
        _check("embedder", embedder),
        _check("index", index),
        _or_none(catalog.get_state(CHECK_TIMEOUT_SECONDS)),
        _or_none(index.list_collections(CHECK_TIMEOUT_SECONDS)),
        _or_none(embedder.list_spaces(CHECK_TIMEOUT_SECONDS)),
    )
    order = [space.id for space in spaces or ()]
    return Status(
        processes=[Process("gateway", is_serving=True, latency_ms=0.0), *processes],
        catalog=state,
        collections=sorted(
            collections or (),
            key=lambda c: order.index(c.space) if c.space in order else len(order),
        ),
        spaces=spaces or (),
    )
