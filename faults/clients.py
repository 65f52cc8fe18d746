"""Callers of the gateways: their channels, and a record of every call."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from faults.cluster import Cluster
from vitrina.catalog.v1 import catalog_pb2_grpc, tuning_pb2_grpc
from vitrina.search.v1 import search_pb2_grpc

_OPTIONS: list[tuple[str, Any]] = [
    # What fails must be seen to fail.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]
TRANSIENT = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED")


class HttpFailure(Exception):
    """An answer of rest that is not 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Call:
    """A call of a client, from its start to its end in seconds of the monotonic clock."""

    kind: str
    # "gateway-1", "gateway-2" or "rest".
    via: str
    started: float
    ended: float
    labels: tuple[str, ...] = ()
    provenance: str = ""
    # Empty where it succeeded; otherwise the status, the reason and the words of the error.
    status: str = ""
    reason: str = ""
    error: str = ""
    asked: str = ""


@dataclass
class Calls:
    """Every call of every client."""

    made: list[Call] = field(default_factory=list)

    def succeeded(self, kind: str, via: str, started: float) -> None:
        """Record a call that had its answer."""
        self.made.append(Call(kind, via, started, time.monotonic()))

    def failed(self, kind: str, via: str, started: float, error: Exception, asked: str) -> Call:
        """Record a call that ended with an error; return it."""
        status, reason, words = told(error)
        call = Call(
            kind,
            via,
            started,
            time.monotonic(),
            status=status,
            reason=reason,
            error=words,
            asked=asked,
        )
        self.made.append(call)
        return call


@dataclass(frozen=True)
class Gateway:
    """The services of one gateway, called through its link."""

    name: str
    search: "search_pb2_grpc.SearchServiceAsyncStub"
    catalog: "catalog_pb2_grpc.CatalogServiceAsyncStub"
    tuning: "tuning_pb2_grpc.TuningServiceAsyncStub"


@asynccontextmanager
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel that tries nothing twice; close it at the end."""
    opened = grpc.aio.insecure_channel(address, options=_OPTIONS)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def gateways_of(cluster: Cluster) -> AsyncIterator[Mapping[str, Gateway]]:
    """Open a connection of one client to each gateway."""
    async with AsyncExitStack() as stack:
        opened: dict[str, Gateway] = {}
        for name in cluster.gateways:
            address = cluster.links[f"client>{name}"].address
            link = await stack.enter_async_context(channel(address))
            opened[name] = Gateway(
                name,
                search_pb2_grpc.SearchServiceStub(link),
                catalog_pb2_grpc.CatalogServiceStub(link),
                tuning_pb2_grpc.TuningServiceStub(link),
            )
        yield opened


def told(error: Exception) -> tuple[str, str, str]:
    """Return status, reason and words of an error."""
    if isinstance(error, HttpFailure):
        return f"HTTP {error.status}", "", str(error)
    if not isinstance(error, grpc.aio.AioRpcError):
        return type(error).__name__, "", str(error)
    info = error_details_pb2.ErrorInfo()
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:
        status = None
    for detail in status.details if status else ():
        detail.Unpack(info)
    return error.code().name, info.reason, error.details() or ""
