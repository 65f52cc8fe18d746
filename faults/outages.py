"""When what was hurt, and which errors that excuses."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from faults.clients import Call

# So long after a process serves again its callers may still fail: their channels wait
# up to a second before they try to connect again, and the machine may be busy.
RECOVERY_SECONDS = 2.5
_NEVER_EXCUSED = {
    *("INTERNAL", "UNKNOWN", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"),
    *("HTTP 500", "HTTP 400", "HTTP 404"),
}


@dataclass
class Outage:
    """A process or link that was hurt, from then until it was whole again (None: not yet)."""

    target: str
    fault: str
    began: float
    ended: float | None = None


@dataclass
class Outages:
    """All of them."""

    known: list[Outage] = field(default_factory=list)

    def begin(self, target: str, fault: str, at: float) -> Outage:
        """Note that something is hurt from now on."""
        outage = Outage(target, fault, at)
        self.known.append(outage)
        return outage

    def during(self, targets: Iterable[str], began: float, ended: float) -> list[Outage]:
        """Return the outages of these that a time touches, with what follows them."""
        wanted = set(targets)
        return [
            outage
            for outage in self.known
            if outage.target in wanted
            and outage.began <= ended
            and (outage.ended is None or began <= outage.ended + RECOVERY_SECONDS)
        ]

    def excuse_of(self, call: Call) -> str:
        """Return what a failed call may be blamed on; empty where there is nothing.

        Without the catalog there are no products to show, and without the gateway
        nobody to ask. Embedder, index and Redis excuse
        nothing, but for a write that waits until it is found by meaning.
        """
        if "PAGE_TOKEN_EXPIRED" in (call.reason, *call.error.split('"')):
            return "result not kept"
        if call.status in _NEVER_EXCUSED:
            return ""
        needed = path_of(call.via)
        if call.kind == "wait":
            needed += ("index", "embedder", f"{call.via}>index", "index>catalog", "index>embedder")
        found = self.during(needed, call.started, call.ended)
        # Of several the one that hurts most.
        found.sort(key=lambda outage: not outage.fault.startswith("kill"))
        return f"{found[0].fault} {found[0].target}" if found else ""


def path_of(via: str) -> tuple[str, ...]:
    """Return what a call cannot do without."""
    if via == "catalog":
        return ("catalog",)
    gateway = "gateway-1" if via == "rest" else via
    front = ("rest",) if via == "rest" else (f"client>{gateway}",)
    return (*front, gateway, f"{gateway}>catalog", "catalog")
