"""The change log: which cached answers still hold."""

from functools import partial

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
    assert log.is_valid(at, [touched]) == (at <= len(feed) and not is_touched)


def test_an_answer_of_a_revision_that_is_not_known_yet_does_not_hold() -> None:
    log = ChangeLog()
    log.begin("c", 5)
    assert not log.is_valid(6, ["Audio"])
    log.apply([CategoryChange(6, None, "Video")])
    assert log.is_valid(6, ["Audio"])


invalidation = partial(CategoryChange, is_invalidation=True)


def test_an_invalidation_reaches_what_is_above_and_below_its_category_and_nothing_beside() -> None:
    log = ChangeLog()
    log.begin("c", 1)
    log.apply([invalidation(2, "Audio > Headphones", "Audio > Headphones")])
    for path in ("Audio", "Audio > Headphones", "Audio > Headphones > Wireless", EVERYTHING):
        assert not log.is_valid(1, [path])
        assert log.is_valid(2, [path])
    for path in ("", "Video", "Audio > Speakers", "Audio > Headphones 2"):
        assert log.is_valid(1, [path])
    assert log.invalidations == 1


def test_an_invalidation_of_everything_leaves_nothing_older() -> None:
    log = ChangeLog()
    log.begin("c", 1)
    log.apply([invalidation(2, None, None, changes_everything=True)])
    assert not log.is_valid(1, ["Audio"])
    assert log.is_valid(2, ["Audio", EVERYTHING])


@given(path=st.sampled_from(PATHS), everything=st.booleans())
def test_what_is_anticipated_holds_while_the_feed_still_brings_older_changes(
    path: str, everything: bool
) -> None:
    log = ChangeLog()
    log.begin("c", 1)
    log.anticipate(invalidation(9, path, path, changes_everything=everything))
    for revision in range(2, 9):
        log.apply([CategoryChange(revision, path, path)])
        assert log.head == revision
        assert not log.is_valid(revision, [path])
    log.apply([invalidation(9, path, path, changes_everything=everything)])
    assert log.is_valid(9, [path])
    assert log.invalidations == 1


async def test_the_log_is_current_only_when_the_feed_has_brought_what_was_written_here() -> None:
    log = ChangeLog()
    log.begin("c", 1)
    states = [log.is_current]
    log.is_following = True
    states.append(log.is_current)
    log.expect(2)
    await log.reached(2, 0.0)
    states.append(log.is_current)
    log.apply([CategoryChange(2, None, "Audio")])
    states.append(log.is_current)
    assert states == [False, True, False, True]


def test_a_catalog_that_was_set_back_has_another_history_and_another_catalog_too() -> None:
    log = ChangeLog()
    histories = []
    for catalog_id, was_set_back in (("c", True), ("c", True), ("c", False), ("d", True), ("e", 0)):
        log.begin(catalog_id, 5)
        histories.append(log.history_id)
        log.lose(was_set_back=bool(was_set_back))
    assert len(set(histories)) == len(histories)
    assert histories[0] == "c"
    assert histories[3:] == ["d", "e"]
