"""Memory, open files and threads of each process over the run, restarts taken into account."""

import asyncio
import time
from dataclasses import dataclass, field

import psutil

from faults.cluster import Cluster

SAMPLE_SECONDS = 1.0
# A process is warm after so long; before that it fills what it keeps.
WARM_UP_SECONDS = 20.0
# What a warm process may grow by, whatever it does.
MOST_FILES = 60
MOST_THREADS = 24
MOST_MIB = 160.0


@dataclass(frozen=True)
class Sample:
    """One process at one time."""

    at: float
    mib: float
    files: int
    threads: int


@dataclass(frozen=True)
class Growth:
    """Of the process id of a name that lived longest, from warm to its end."""

    name: str
    lives: int
    # Of the longest life.
    seconds: float
    mib: tuple[float, float]
    files: tuple[int, int]
    threads: tuple[int, int]

    @property
    def is_warm(self) -> bool:
        """It lived long enough for its growth to mean something."""
        return self.seconds > 2 * WARM_UP_SECONDS

    @property
    def leaks(self) -> str:
        """What grew by more than it may; empty where nothing did."""
        grown = {
            "files": (self.files[1] - self.files[0], MOST_FILES),
            "threads": (self.threads[1] - self.threads[0], MOST_THREADS),
            "MiB": (self.mib[1] - self.mib[0], MOST_MIB),
        }
        return ", ".join(f"{by:.0f} {what}" for what, (by, most) in grown.items() if by > most)


@dataclass
class Sampler:
    """Looks at every process of a cluster each second."""

    cluster: Cluster
    samples: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            for name in self.cluster.processes:
                pid = self.cluster.pid_of(name)
                if pid is not None:
                    self._sample(name, pid)
            await asyncio.sleep(SAMPLE_SECONDS)

    def _sample(self, name: str, pid: int) -> None:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                sample = Sample(
                    time.monotonic(),
                    process.memory_info().rss / 2**20,
                    process.num_fds(),
                    process.num_threads(),
                )
        except psutil.Error:
            return
        if not sample.mib:  # dead, and not yet buried
            return
        self.samples.setdefault((name, pid), []).append(sample)

    def growth(self) -> list[Growth]:
        """Return how each process grew in its longest life."""
        grown = []
        for name in self.cluster.processes:
            lives = [life for (of, _), life in self.samples.items() if of == name]
            if not lives:
                continue
            longest = max(lives, key=lambda life: life[-1].at - life[0].at)
            warm = [s for s in longest if s.at - longest[0].at >= WARM_UP_SECONDS] or longest[-1:]
            # The least of the last ones: a burst is no leak.
            end = longest[-5:]
            grown.append(
                Growth(
                    name,
                    len(lives),
                    longest[-1].at - longest[0].at,
                    (warm[0].mib, min(s.mib for s in end)),
                    (warm[0].files, min(s.files for s in end)),
                    (warm[0].threads, min(s.threads for s in end)),
                )
            )
        return grown
