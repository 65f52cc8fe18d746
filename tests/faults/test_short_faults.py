"""The fault suite in short: eight kills and some more, and an oracle that believes nothing."""

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from faults.report import as_markdown
from faults.run import run
from faults.schedule import KILLED, Kind, planned
from faults.verdict import Settings

SEED = 11


@pytest.mark.timeout(240)
async def test_every_answer_is_right_while_every_process_is_killed(tmp_path: Path) -> None:
    has_redis = shutil.which("redis-server") is not None
    assert has_redis or not os.environ.get("CI"), "redis-server is missing"
    outcome = await run(Settings(SEED, kills=8), tmp_path / "data", tmp_path / "processes.log")
    report = as_markdown(outcome)
    assert not outcome.violations, report
    killed = outcome.run.injector.kills
    assert len(killed) == 8, report
    assert set(killed) == {name for name in KILLED if has_redis or name != "redis"}, report
    # Otherwise all this says nothing.
    assert outcome.run.oracle.checked > 100, report
    assert outcome.run.history.acknowledged > 100, report
    assert outcome.rule_answers > 5, report
    assert outcome.searches_at_end > 200, report


@pytest.mark.parametrize("has_redis", [True, False])
def test_a_schedule_follows_from_its_seed_and_has_as_many_kills_as_asked_for(
    has_redis: bool,
) -> None:
    episodes = planned(SEED, 200, has_redis=has_redis)
    assert episodes == planned(SEED, 200, has_redis=has_redis)
    assert episodes != planned(SEED + 1, 200, has_redis=has_redis)
    faults = [fault for episode in episodes for fault in episode.faults]
    kills = Counter(fault.target for fault in faults if fault.kind is Kind.KILL)
    assert kills.total() == 200
    assert set(kills) == {name for name in KILLED if has_redis or name != "redis"}
    assert {fault.kind for fault in faults} == set(Kind) - (set() if has_redis else {Kind.FLUSH})
    assert has_redis or not any("redis" in fault.target for fault in faults)


def test_nobody_is_killed_twice_in_one_episode() -> None:
    for episode in planned(SEED, 200, has_redis=True):
        killed = [fault.target for fault in episode.faults if fault.kind is Kind.KILL]
        assert len(set(killed)) == len(killed)
