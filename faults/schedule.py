"""What is done to whom, and when: all of it follows from the seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

# Processes that are killed. The weights see to it that those that matter most die most.
KILLED = {
    "catalog": 5,
    "index": 5,
    "gateway-1": 4,
    "gateway-2": 3,
    "embedder": 4,
    "rest": 3,
    "redis": 3,
}
# Processes that are stopped for a while.
STOPPED = {"catalog": 4, "index": 4, "gateway-1": 3, "gateway-2": 2, "embedder": 4, "redis": 3}
# Connections that suffer, from caller to called.
LINKS = (
    "client>gateway-1",
    "client>gateway-2",
    "gateway-1>catalog",
    "gateway-2>catalog",
    "gateway-1>index",
    "gateway-2>index",
    "gateway-1>redis",
    "gateway-2>redis",
    "index>catalog",
    "index>embedder",
)


class Kind(Enum):
    """A way to hurt."""

    # Kill -9; the process comes back by itself.
    KILL = "kill"
    # SIGSTOP for some seconds, then SIGCONT.
    STOP = "stop"
    # Every connection of a link is reset once.
    RESET = "reset"
    # Reset, and each new connection too, for some seconds.
    CUT = "cut"
    # Each chunk comes late, for some seconds.
    DELAY = "delay"
    # Connections stay open, and nothing comes through for some seconds; new ones work.
    HALF_OPEN = "half-open"
    # Redis forgets everything.
    FLUSH = "flush"


LINK_KINDS = (Kind.RESET, Kind.CUT, Kind.DELAY, Kind.HALF_OPEN)


@dataclass(frozen=True)
class Fault:
    """One of an episode: `wait_seconds` after the one before, lasting `seconds`."""

    kind: Kind
    target: str
    wait_seconds: float = 0.0
    seconds: float = 0.0
    # Of Kind.DELAY, per chunk.
    delay_seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.kind.value} {self.target}{lasting}"


@dataclass(frozen=True)
class Episode:
    """Faults close together; all must have healed before the next one."""

    faults: Sequence[Fault]
    # Quiet before it.
    pause_seconds: float


def planned(seed: int, kills: int, *, has_redis: bool) -> list[Episode]:
    """Return episodes with exactly so many kills; every process is killed if there are enough."""
    chance = random.Random(f"faults/{seed}")
    killed = {name: w for name, w in KILLED.items() if has_redis or name != "redis"}
    targets: list[str] = []
    while len(targets) < kills:
        # Each once, and then by weight: everybody is hit, whatever the dice say.
        targets += chance.sample(list(killed), len(killed))
        targets += chance.choices(list(killed), weights=list(killed.values()), k=2 * len(killed))
    episodes = []
    for targets_at_once in _grouped(targets[:kills], chance):
        faults = [
            Fault(Kind.KILL, target, wait_seconds=round(chance.uniform(0, 0.8), 2) if n else 0.0)
            for n, target in enumerate(targets_at_once)
        ]
        if chance.random() < 0.4:
            faults.insert(chance.randint(0, len(faults)), _other(chance, has_redis))
        episodes.append(Episode(faults, round(chance.uniform(0.1, 0.8), 2)))
        if chance.random() < 0.3:
            others = [_other(chance, has_redis) for _ in range(chance.randint(1, 2))]
            episodes.append(Episode(others, round(chance.uniform(0.1, 0.8), 2)))
    return episodes


def _grouped(targets: Sequence[str], chance: random.Random) -> Iterator[Sequence[str]]:
    """Cut into ones, and sometimes twos and threes that die together."""
    at = 0
    while at < len(targets):
        size = chance.choices((1, 2, 3), weights=(14, 4, 1))[0]
        group = targets[at : at + size]
        if len(set(group)) < len(group):  # nobody dies twice at once
            group = group[:1]
        yield group
        at += len(group)


def _other(chance: random.Random, has_redis: bool) -> Fault:
    kinds = [Kind.STOP, Kind.STOP, *LINK_KINDS]
    if has_redis:
        kinds.append(Kind.FLUSH)
    kind = chance.choice(kinds)
    wait = round(chance.uniform(0, 0.5), 2)
    if kind is Kind.FLUSH:
        return Fault(kind, "redis", wait)
    if kind is Kind.STOP:
        stopped = {name: w for name, w in STOPPED.items() if has_redis or name != "redis"}
        target = chance.choices(list(stopped), weights=list(stopped.values()))[0]
        return Fault(kind, target, wait, round(chance.uniform(0.5, 3.0), 2))
    links = [name for name in LINKS if has_redis or not name.endswith("redis")]
    # Keepalives would notice a dead connection after 40 s only.
    longest = 8.0 if kind is Kind.HALF_OPEN else 3.0
    seconds = 0.0 if kind is Kind.RESET else round(chance.uniform(0.5, longest), 2)
    delay = round(chance.uniform(0.01, 0.2), 3) if kind is Kind.DELAY else 0.0
    return Fault(kind, chance.choice(links), wait, seconds, delay)
