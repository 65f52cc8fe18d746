"""What came of a run: all that was recorded, judged."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faults import oracle, quiet
from faults.clients import Call, Calls, Gateway
from faults.cluster import Cluster
from faults.history import History, Violation
from faults.injector import Injector
from faults.leaks import Growth, Sampler
from faults.outages import Outages
from faults.tuning import Tuner
from faults.watching import Watcher


@dataclass(frozen=True)
class Settings:
    """What is run."""

    seed: int
    kills: int
    # Without kills: how long; with them: when no new episode begins any more.
    seconds: float | None = None


@dataclass(frozen=True)
class Run:
    """All that was recorded. Times are seconds of the monotonic clock."""

    settings: Settings
    began: float
    history: History
    calls: Calls
    outages: Outages
    injector: Injector
    sampler: Sampler
    oracle: oracle.Oracle


@dataclass(frozen=True)
class Outcome:
    """A run, and what was found about it."""

    run: Run
    ended: float
    growth: Sequence[Growth]
    late_writes: Sequence[str]
    # Errors, and what excuses them: "" where nothing does.
    errors: Sequence[tuple[Call, str]]
    searches_at_end: int
    rule_answers: int

    @property
    def violations(self) -> Sequence[Violation]:
        """What must not be. None is expected."""
        return self.run.history.violations


async def verdict(
    run: Run,
    cluster: Cluster,
    gateways: Mapping[str, Gateway],
    watchers: Sequence[Watcher],
    tuner: Tuner,
) -> Outcome:
    """Check what can only be checked when all is quiet, and judge what was recorded."""
    history = run.history
    for watcher in watchers:
        if watcher.cursor != history.head:
            history.violate(
                "gapless feed", f"{watcher.name} is at {watcher.cursor}, not {history.head}"
            )
    first = next(iter(gateways.values()))
    products = await quiet.check_catalog(first, history)
    searches = 0
    if await quiet.settled(cluster, history, len(products)):
        for gateway in gateways.values():
            searches += await quiet.check_searches(gateway, history, products)
    rule_answers = await tuner.check(first)
    run.oracle.check_what_can_be()
    if run.oracle.waiting:
        history.violate("every answer is checked", f"{run.oracle.waiting} are left")
    late_writes = oracle.check_writes(history)
    for lines in cluster.log.defects:
        # The last line says what it was.
        history.violate("no defect in the logs", lines[-1][-300:], log=lines)
    return Outcome(
        run,
        time.monotonic(),
        _judged_growth(run),
        late_writes,
        _judged_errors(run),
        searches,
        rule_answers,
    )


def _judged_errors(run: Run) -> list[tuple[Call, str]]:
    errors = [(call, run.outages.excuse_of(call)) for call in run.calls.made if call.status]
    for call, excuse in errors:
        if not excuse:
            run.history.violate(
                "no error while a stage can answer",
                f"{call.kind} by {call.via} at {call.started - run.began:.2f} s:"
                f" {call.status} {call.reason} {call.error}",
                asked=call.asked,
                seconds=round(call.ended - call.started, 3),
            )
    return errors


def _judged_growth(run: Run) -> list[Growth]:
    growth = run.sampler.growth()
    for grown in growth:
        if grown.is_warm and grown.leaks:
            run.history.violate("no leak", f"{grown.name} grew by {grown.leaks}", growth=grown)
    return growth
