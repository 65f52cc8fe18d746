"""What happened to the catalog: its feed, and what the writers know of their writes."""

import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from faults.products import product_of, version_of
from vitrina.catalog.v1 import catalog_pb2 as pb


@dataclass
class Violation:
    """Something that must not be: which rule, when, and all that is needed to understand it."""

    rule: str
    at: float
    text: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class Write:
    """A product upserted (`version`) or removed (None), whether it was acknowledged or not."""

    writer: str
    product_id: str
    version: int | None
    started: float
    # Of every attempt that failed: by which gateway, and how.
    failures: list[str] = field(default_factory=list)
    revision: int | None = None
    ended: float | None = None

    def __str__(self) -> str:
        what = "delete" if self.version is None else f"version {self.version}"
        end = "not acknowledged" if self.revision is None else f"acknowledged as {self.revision}"
        return f"{self.writer}: {what} of {self.product_id}, {end}; {'; '.join(self.failures)}"


class History:
    """The feed as far as it is known, by revision and by product."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.catalog_id = ""
        self.violations: list[Violation] = []
        self.writes: dict[str, list[Write]] = {}
        # Revision r at place r - 1, and when it was first seen.
        self.changes: list[pb.Change] = []
        self.seen: list[float] = []
        self._revisions: dict[str, list[int]] = {}
        self._versions: dict[tuple[str, int], int] = {}
        # (start of a write, its revision), by start; (acknowledged when, newest revision then).
        self._by_start: list[tuple[float, int]] = []
        self._acknowledged: list[tuple[float, int]] = []
        # (when, the newest revision that was said to be found by meaning).
        self._promised: list[tuple[float, int]] = []

    @property
    def head(self) -> int:
        """The newest revision seen."""
        return len(self.changes)

    @property
    def acknowledged(self) -> int:
        """The newest revision that a writer was told."""
        return self._acknowledged[-1][1] if self._acknowledged else 0

    @property
    def product_ids(self) -> list[str]:
        """All that were ever in the feed."""
        return list(self._revisions)

    def violate(self, rule: str, text: str, **details: Any) -> None:
        """Note that a rule is broken."""
        self.violations.append(Violation(rule, time.monotonic(), text, details))

    def begin(self, write: Write) -> None:
        """Note that a write is tried from now on."""
        self.writes.setdefault(write.product_id, []).append(write)

    def acknowledge(self, write: Write, revision: int) -> None:
        """Note that a write was acknowledged with this very revision of the product."""
        write.revision, write.ended = revision, time.monotonic()
        if write.version is not None:
            self.note_version(write.product_id, revision, write.version, f"answer to {write}")
            # A removal's revision may be that of a later write.
            insort(self._by_start, (write.started, revision))
        newest = max(self.acknowledged, revision)
        self._acknowledged.append((write.ended, newest))

    def promise(self, revision: int) -> None:
        """Note that searches by meaning were said to reflect a revision from now on."""
        newest = max(self._promised[-1][1] if self._promised else 0, revision)
        self._promised.append((time.monotonic(), newest))

    def promised_at(self, at: float) -> int:
        """Return the newest revision that was promised at a time."""
        return _last_before(self._promised, at)

    def see(self, change: pb.Change, source: str) -> None:
        """Take a change of a feed in, as anyone of those who follow it sees it."""
        if change.revision > self.head + 1:
            self.violate("gapless feed", f"{source}: {change.revision} follows {self.head}")
            return
        if change.revision <= self.head:
            known = self.changes[change.revision - 1]
            if _bare(known) != _bare(change):
                self.violate(
                    "one history",
                    f"{source}: revision {change.revision} was another change before",
                    before=str(known),
                    now=str(change),
                )
        else:
            self.changes.append(_bare(change))
            self.seen.append(time.monotonic())
            if change.product_id:
                self._revisions.setdefault(change.product_id, []).append(change.revision)
        if change.HasField("product"):
            self.show(change.product, source)

    def show(self, product: pb.Product, source: str) -> int | None:
        """Check that a product is what a writer sent, and the same at each sight of a revision.

        Returns its version; None if it is none.
        """
        version = version_of(self.seed, product)
        if version is None or not any(
            write.version == version for write in self.writes.get(product.id, ())
        ):
            self.violate(
                "nothing invented",
                f"{source}: {product.id} at {product.revision} is nothing that was written",
                shown=str(product),
                written=str(product_of(self.seed, product.id, product.stock)),
                writes=self.told(product.id),
            )
            return None
        self.note_version(product.id, product.revision, version, source)
        return version

    def note_version(self, product_id: str, revision: int, version: int, source: str) -> None:
        """Note which version of a product a revision holds."""
        known = self._versions.setdefault((product_id, revision), version)
        if known != version:
            self.violate(
                "one history",
                f"{source}: {product_id} at {revision} is version {version}, was {known}",
                writes=self.told(product_id),
            )

    def version_at(self, product_id: str, revision: int) -> int | None:
        """Return the version that this very revision of a product holds, where it is known."""
        return self._versions.get((product_id, revision))

    def revisions_of(self, product_id: str) -> list[int]:
        """Return the revisions that changed a product, in order."""
        return self._revisions.get(product_id, [])

    def change_after(self, product_id: str, revision: int) -> int | None:
        """Return the first revision after this one that changed the product."""
        revisions = self.revisions_of(product_id)
        place = bisect_right(revisions, revision)
        return revisions[place] if place < len(revisions) else None

    def state(self, product_id: str, revision: int) -> pb.Product | None:
        """Return the product as it was at a revision; None if it was not there.

        Raises KeyError where nobody knows which version that was.
        """
        revisions = self.revisions_of(product_id)
        place = bisect_right(revisions, revision)
        if not place:
            return None
        changed = revisions[place - 1]
        if self.changes[changed - 1].kind == pb.CHANGE_KIND_DELETE:
            return None
        return product_of(self.seed, product_id, self._versions[product_id, changed])

    def bound_of(self, at: float) -> int | None:
        """Return a revision that was not there yet at a time; None while there is none known."""
        place = bisect_left(self._by_start, (at, 0))
        return self._by_start[place][1] if place < len(self._by_start) else None

    def acknowledged_at(self, at: float) -> int:
        """Return the newest revision that had been acknowledged at a time."""
        return _last_before(self._acknowledged, at)

    def told(self, product_id: str) -> list[str]:
        """Return all that is known of a product, for people."""
        feed = [
            f"revision {revision}: {pb.ChangeKind.Name(self.changes[revision - 1].kind)}"
            f" version {self._versions.get((product_id, revision))}"
            for revision in self.revisions_of(product_id)
        ]
        return [*feed[-12:], *(str(write) for write in self.writes.get(product_id, ())[-12:])]


def _last_before(known: Sequence[tuple[float, int]], at: float) -> int:
    place = bisect_right(known, at, key=lambda each: each[0])
    return known[place - 1][1] if place else 0


def _bare(change: pb.Change) -> pb.Change:
    """Return the change without its product, which only the last change of a product has."""
    copy = pb.Change()
    copy.CopyFrom(change)
    copy.ClearField("product")
    return copy
