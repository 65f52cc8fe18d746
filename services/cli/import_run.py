"""One import from beginning to end."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from services.cli.connection import Target, gateway_at
from services.cli.failures import Failure
from services.cli.output import count, error_console
from services.cli.progress import stage
from services.cli.rejects import RejectsFile
from services.cli.searchable import wait_until_searchable
from services.cli.sources import Source
from services.cli.uploading import Tally, Uploader
from vitrina.search.v1 import search_pb2


@dataclass
class Report:
    """What an import did, and the failure that ended it early if one did."""

    tally: Tally
    rejects: RejectsFile
    seconds: float = 0.0
    searchable_seconds: float | None = None
    failure: Failure | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the summary for programs."""
        summary: dict[str, Any] = {
            "rows": self.tally.rows,
            "stored": self.tally.stored,
            "created": self.tally.created,
            "updated": self.tally.updated,
            "unchanged": self.tally.unchanged,
            "rejected": self.tally.rejected,
            "without_price": self.tally.without_price,
            "revision": self.tally.revision,
            "seconds": round(self.seconds, 3),
            "rows_per_second": round(self.tally.rows / self.seconds) if self.seconds else 0,
        }
        if self.searchable_seconds is not None:
            summary["searchable_seconds"] = round(self.searchable_seconds, 3)
        if self.rejects.is_written:
            summary["rejects_file"] = str(self.rejects.path)
        return summary


async def import_file(
    source: Source, target: Target, kept: RejectsFile, *, wait: bool, is_silent: bool
) -> Report:
    """Store the rows of a file; with `wait`, until searches reflect them.

    Raises Failure when nothing could begin; later ones are in the report.
    """
    report = Report(Tally(), kept)
    with source.open() as (lines, batches):
        async with gateway_at(target) as gateway:
            # Nobody should wait for retries only to learn that there is no gateway.
            await gateway.call(gateway.search.GetStatus, search_pb2.GetStatusRequest())
            started = time.monotonic()
            try:
                with stage("storing", is_silent=is_silent) as bar:
                    uploader = Uploader(
                        gateway,
                        report.tally,
                        on_rejected=kept.add,
                        on_progress=lambda: bar.update(
                            lines.position_bytes, lines.size_bytes, rows=report.tally.rows
                        ),
                    )
                    await uploader.upload(batches)
                report.seconds = time.monotonic() - started
                if wait and report.tally.revision:
                    with stage("searchable", is_silent=is_silent) as bar:
                        report.searchable_seconds = await wait_until_searchable(
                            gateway, report.tally.revision, bar
                        )
            except Failure as failure:
                report.failure = failure
            except asyncio.CancelledError:
                stored = count(report.tally.stored, "row")
                error_console().print(f"stopped: {stored} stored; run it again to go on")
                raise
            finally:
                report.seconds = report.seconds or time.monotonic() - started
                kept.close()
    return report
