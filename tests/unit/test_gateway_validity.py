"""The change log: which cached answers still hold."""

from hypothesis import given
from hypothesis import strategies as st

from services.common import categories
from services.gateway.validity import EVERYTHING, CategoryChange, ChangeLog

PATHS = ["", "Audio", "Audio > Headphones", "Audio > Headphones > Wireless", "Audiobooks", "Video"]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_holds_until_its_category_changes() -> None:
    log = ChangeLog()
    log.begin("c", 10)
    assert log.is_valid(10, ["Audio"])
    log.apply([CategoryChange(11, None, "Video")])
    assert log.is_valid(10, ["Audio"])
    log.apply([CategoryChange(12, "Audio", "Audio")])
    assert not log.is_valid(10, ["Audio"])
    assert not log.is_valid(11, ["Audio"])
    assert log.is_valid(12, ["Audio"])


def test_a_change_below_a_category_is_a_change_of_it_but_not_of_a_namesake() -> None:
    log = ChangeLog()
    log.begin("c", 1)
    log.apply([CategoryChange(2, None, "Audio > Headphones")])
    assert not log.is_valid(1, ["Audio"])
    assert log.is_valid(1, ["Audiobooks"])


def test_a_product_that_moves_changes_both_categories() -> None:
    log = ChangeLog()
    log.begin("c", 1)
    log.apply([CategoryChange(2, "Audio", "Video")])
    assert not log.is_valid(1, ["Audio"])
    assert not log.is_valid(1, ["Video"])


def test_what_was_before_following_began_counts_as_changed_then() -> None:
    log = ChangeLog()
    log.begin("c", 100)
    assert not log.is_valid(99, ["Anything"])
    assert log.is_valid(100, ["Anything"])


def test_an_answer_that_anything_may_alter_falls_with_any_change() -> None:
    log = ChangeLog()
    log.begin("c", 5)
    assert log.is_valid(5, [EVERYTHING])
    log.apply([CategoryChange(6, None, "")])
    assert not log.is_valid(5, [EVERYTHING])


def test_an_index_is_stale_only_after_the_limit() -> None:
    clock = Clock()
    log = ChangeLog(stale_after_seconds=2.0, clock=clock)
    log.begin("c", 0)
    clock.now += 10
    log.apply([CategoryChange(1, None, "Audio")])
    assert not log.is_stale(0)
    clock.now += 1.9
    assert not log.is_stale(0)
    clock.now += 0.2
    assert log.is_stale(0)
    assert not log.is_stale(1)


def test_a_steady_stream_of_changes_does_not_hide_that_the_index_stands_still() -> None:
    clock = Clock()
    log = ChangeLog(stale_after_seconds=2.0, clock=clock)
    log.begin("c", 0)
    for revision in range(1, 1000):
        clock.now += 0.005
        log.apply([CategoryChange(revision, None, "")])
    assert log.is_stale(0)
    assert log.is_stale(500)
    assert not log.is_stale(999)


changes = st.lists(
    st.tuples(st.none() | st.sampled_from(PATHS), st.none() | st.sampled_from(PATHS)), max_size=30
)


@given(changes=changes, touched=st.sampled_from(PATHS), at=st.integers(0, 30))
def test_validity_agrees_with_reading_the_whole_feed(
    changes: list[tuple[str | None, str | None]], touched: str, at: int
) -> None:
    log = ChangeLog()
    log.begin("c", 0)
    feed = [CategoryChange(n, before, after) for n, (before, after) in enumerate(changes, start=1)]
    log.apply(feed)
    later = [
        path
        for change in feed
        if change.revision > at
        for path in (change.category_before, change.category_after)
        if path is not None
    ]
    # The empty path is "no category" here, not the root of all.
    is_touched = any(
        path == touched or (touched and categories.is_within(path, touched)) for path in later
    )
    assert log.is_valid(at, [touched]) == (not is_touched)
