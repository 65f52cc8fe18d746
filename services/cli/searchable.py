"""Waiting until searches reflect a revision."""

import asyncio
import time

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from services.cli.connection import Gateway, failure_of, is_transient
from services.cli.failures import Failure
from services.cli.output import inert
from services.cli.progress import Stage
from vitrina.search.v1 import search_pb2

# Of one call, which returns as soon as searches are there; then the bar moves on.
WAIT_SECONDS = 2.0
# Beyond the wait itself, until the gateway is taken for gone.
_MARGIN_SECONDS = 3.0
# After a call that failed at once.
_PAUSE_SECONDS = 0.2
# Models load and quotas pause; longer without any step forward is no progress.
PATIENCE_SECONDS = 120.0


async def wait_until_searchable(gateway: Gateway, revision: int, stage: Stage) -> float:
    """Return the seconds that it took; raise Failure after PATIENCE_SECONDS without a step.

    What counts is the space that answers searches.
    """
    started = stepped = time.monotonic()
    first = furthest = -1
    problem = "no collection is ready"
    while True:
        try:
            if await _is_searchable(gateway, revision):
                stage.update(1, 1)
                return time.monotonic() - started
            status = await gateway.search.GetStatus(
                search_pb2.GetStatusRequest(), timeout=gateway.target.timeout_seconds
            )
        except grpc.aio.AioRpcError as error:
            if not is_transient(error):
                raise failure_of(error, gateway.target.address) from None
            problem = failure_of(error, gateway.target.address).message
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            answering = answering_collection(status)
            applied = answering.applied_revision if answering else 0
            first = applied if first < 0 else first
            problem = _problem_of(answering, revision)
            stage.update(max(0, applied - first), max(1, revision - first), note=_note_of(status))
            # A collection that is not ready yet makes its way too.
            reached = sum(collection.applied_revision for collection in status.collections)
            if reached > furthest:
                furthest, stepped = reached, time.monotonic()
        if time.monotonic() - stepped > PATIENCE_SECONDS:
            raise Failure(
                f"stored, and not searchable yet: {problem}", hint="`vitrina status` tells more"
            )


async def _is_searchable(gateway: Gateway, revision: int) -> bool:
    """Wait for a revision for a while; tell whether searches reflect it."""
    timeout = Duration()
    timeout.FromNanoseconds(round(WAIT_SECONDS * 1e9))
    request = search_pb2.WaitForRevisionRequest(min_revision=revision, timeout=timeout)
    try:
        await gateway.search.WaitForRevision(request, timeout=WAIT_SECONDS + _MARGIN_SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            raise
        return False
    return True


def answering_collection(
    status: search_pb2.GetStatusResponse,
) -> search_pb2.CollectionStatus | None:
    """Return the ready collection whose space is preferred most."""
    ready = {c.space: c for c in status.collections if c.is_ready}
    preferred = [space.id for space in status.spaces if space.id in ready]
    # The embedder may be away, and its list with it.
    return ready[preferred[0]] if preferred else next(iter(ready.values()), None)


def _problem_of(collection: search_pb2.CollectionStatus | None, revision: int) -> str:
    if collection is None:
        return "no collection is ready"
    waits_for = f", waiting for {collection.stalled_by}" if collection.stalled_by else ""
    return inert(f"the index is at revision {collection.applied_revision} of {revision}{waits_for}")


def _note_of(status: search_pb2.GetStatusResponse) -> str:
    notes = []
    for collection in status.collections:
        # The provider names it well enough here; the whole id is as wide as the bar.
        provider = collection.space.partition("-")[0]
        state = "at" if collection.is_ready else "building, at"
        stalled = f", waits for {collection.stalled_by}" if collection.stalled_by else ""
        notes.append(f"{provider} {state} {collection.applied_revision:,}{stalled}")
    return " · ".join(notes)
