"""Carries the schedule out: hurts, heals, and measures how long it takes to be whole again."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from faults.cluster import Cluster
from faults.outages import Outage, Outages
from faults.polling import becomes_true
from faults.schedule import Episode, Fault, Kind

# An episode that is not over by then is a failure of its own.
RECOVERY_LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class Recovery:
    """A kill, and the time until all served again and a fresh write was found everywhere."""

    target: str
    seconds: float
    # Nothing else was hurt in this episode.
    is_alone: bool


@dataclass
class Injector:
    """Works through episodes, one after the other."""

    cluster: Cluster
    outages: Outages
    # Tells whether all is well; raises nothing.
    is_whole: Callable[[], Awaitable[bool]]
    violate: Callable[[str, str], None]
    kills: list[str] = field(default_factory=list)
    faults: list[tuple[float, Fault]] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)

    async def run(self, episodes: Sequence[Episode], until: float | None = None) -> None:
        """Carry them out, or as many as there is time for."""
        for episode in episodes:
            if until is not None and time.monotonic() > until:
                return
            await asyncio.sleep(episode.pause_seconds)
            await self._carry_out(episode)

    async def _carry_out(self, episode: Episode) -> None:
        healing: list[asyncio.Task[None]] = []
        killed: list[str] = []
        last = time.monotonic()
        for fault in episode.faults:
            await asyncio.sleep(fault.wait_seconds)
            last = time.monotonic()
            self.faults.append((last, fault))
            if fault.kind is Kind.KILL:
                killed.append(fault.target)
                healing.append(asyncio.create_task(self._kill(fault)))
            else:
                healing.append(asyncio.create_task(self._hurt_for_a_while(fault)))
        others = [fault for fault in episode.faults if fault.kind is not Kind.KILL]
        # What lasts longer than the kill is not the kill's fault.
        lasting = [task for task, f in zip(healing, episode.faults, strict=True) if f in others]
        if lasting:
            await asyncio.wait(lasting)
            last = max(last, time.monotonic()) if any(f.seconds for f in others) else last
        is_recovered = await becomes_true(self.is_whole, RECOVERY_LIMIT_SECONDS)
        seconds = time.monotonic() - last
        if not is_recovered:
            told = ", ".join(map(str, episode.faults))
            self.violate("comes back", f"not whole {seconds:.0f} s after {told}")
        is_alone = len(episode.faults) == 1
        self.recoveries += [Recovery(target, seconds, is_alone) for target in killed]
        await asyncio.gather(*healing)

    async def _kill(self, fault: Fault) -> None:
        outage = self.outages.begin(fault.target, str(fault), time.monotonic())
        dead = self.cluster.pid_of(fault.target)
        if self.cluster.signal(fault.target, signal.SIGKILL):
            self.kills.append(fault.target)
        # The supervisor has not seen it yet.
        await becomes_true(lambda: self.cluster.pid_of(fault.target) != dead, 5)
        await self._ends_when_serving(outage)

    async def _hurt_for_a_while(self, fault: Fault) -> None:
        outage = self.outages.begin(fault.target, str(fault), time.monotonic())
        if fault.kind is Kind.STOP:
            self.cluster.signal(fault.target, signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            self.cluster.signal(fault.target, signal.SIGCONT)
            await self._ends_when_serving(outage)
            return
        if fault.kind is Kind.FLUSH:
            await self.cluster.flush_redis()
        else:
            link = self.cluster.links[fault.target]
            if fault.kind is Kind.RESET:
                link.reset()
            elif fault.kind is Kind.CUT:
                link.cut()
            elif fault.kind is Kind.DELAY:
                link.delay_seconds = fault.delay_seconds
            else:
                link.freeze()
            await asyncio.sleep(fault.seconds)
            link.heal()
        outage.ended = time.monotonic()

    async def _ends_when_serving(self, outage: Outage) -> None:
        await becomes_true(lambda: self.cluster.serves(outage.target), RECOVERY_LIMIT_SECONDS)
        outage.ended = time.monotonic()
