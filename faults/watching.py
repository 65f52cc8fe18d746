"""Clients that follow the feed, through each gateway and past them all."""

import asyncio
import time
from dataclasses import dataclass

import grpc.aio

from faults.clients import TRANSIENT, Calls
from faults.history import History
from vitrina.catalog.v1 import catalog_pb2 as pb
from vitrina.catalog.v1 import catalog_pb2_grpc

_RETRY_SECONDS = 0.05


@dataclass
class Watcher:
    """Follows the feed from the beginning, and goes on where it broke off."""

    name: str
    catalog: "catalog_pb2_grpc.CatalogServiceAsyncStub"
    history: History
    calls: Calls
    cursor: int = 0

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            started = time.monotonic()
            try:
                async for response in self.catalog.WatchChanges(
                    pb.WatchChangesRequest(after_revision=self.cursor)
                ):
                    self._take(response)
            except grpc.aio.AioRpcError as error:
                call = self.calls.failed("watch", self.name, started, error, f"{self.cursor}")
                if call.status not in TRANSIENT:
                    self.history.violate(
                        "the feed goes on", f"{self.name} after {self.cursor}: {call.error}"
                    )
            await asyncio.sleep(_RETRY_SECONDS)

    def _take(self, response: pb.WatchChangesResponse) -> None:
        history = self.history
        history.catalog_id = history.catalog_id or response.catalog_id
        if response.catalog_id != history.catalog_id:
            history.violate("one history", f"{self.name}: the catalog is another one")
        for change in response.changes:
            if change.revision != self.cursor + 1:
                history.violate(
                    "gapless feed", f"{self.name}: {change.revision} follows {self.cursor}"
                )
            self.cursor = change.revision
            history.see(change, self.name)
        if response.head_revision < self.cursor:
            history.violate(
                "gapless feed",
                f"{self.name}: head {response.head_revision} after {self.cursor}",
            )
