"""What is left of a collection's work, and how long it takes at the present pace."""

import pytest

from services.index.progress import Pace, Progress, estimated_tokens


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("lamp", 1), ("lamps", 2), ("x" * 400, 100)])
def test_a_token_is_four_characters(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens


def test_the_pace_is_that_of_the_time_at_work() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.seconds_for(10) == -1
    with pace.working(), pace.working():
        clock.now += 2
        pace.embedded(4)
    clock.now += 1000  # idle
    assert pace.seconds_for(10) == pytest.approx(5)
    assert pace.seconds_for(0) == 0


def test_waiting_for_an_embedder_slows_the_pace() -> None:
    clock = Clock()
    pace = Pace(clock)
    with pace.working():
        clock.now += 1
        pace.embedded(10)
        clock.now += 9
        assert pace.seconds_for(10) == pytest.approx(10)


def test_the_latest_minutes_count_most() -> None:
    clock = Clock()
    pace = Pace(clock)
    with pace.working():
        for _ in range(600):
            clock.now += 1
            pace.embedded(1)
        for _ in range(600):
            clock.now += 1
            pace.embedded(100)
    assert pace.seconds_for(1000) == pytest.approx(10, rel=0.05)


def test_what_was_looked_at_is_known_and_the_rest_is_at_most_a_text_a_change() -> None:
    progress = Progress()
    progress.begin(10)
    progress.head_revision = 110
    assert (progress.pending_documents, progress.pending_tokens) == (100, 0)
    progress.planned(60, ["four" * 10] * 20)
    assert (progress.pending_documents, progress.pending_tokens) == (70, 20 * 10 + 50 * 10)
    progress.embedded(["four" * 10] * 15)
    progress.refused("four" * 10)
    assert progress.pending_documents == 4 + 50
    assert (progress.embedded_documents, progress.embedded_tokens) == (15, 150)
    progress.planned(110, [])
    progress.embedded(["four" * 10] * 4)
    left = progress.pending_documents, progress.pending_tokens, progress.pending_seconds
    assert left == (0, 0, 0)


def test_what_was_under_way_counts_anew_after_a_failure() -> None:
    progress = Progress(head_revision=50)
    progress.planned(50, ["a text"] * 50)
    progress.begin(20)
    assert progress.pending_documents == 30
