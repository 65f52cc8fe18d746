"""When graphs are built and joined, and when they are walked."""

from itertools import pairwise

from services.index.policy import GraphPolicy, Joining

POLICY = GraphPolicy(min_rows=1000)


def grown(rows: int) -> tuple[list[int], int]:
    """Return the segments, and how many rows were inserted, after rows came one by one."""
    segments: list[int] = []
    inserted = recent = 0
    for _ in range(rows):
        recent += 1
        joining = POLICY.joining_recent(segments=segments, recent_rows=recent, busy=0)
        if joining is not None:
            segments[joining.first :] = [sum(segments[joining.first :]) + recent]
            inserted, recent = inserted + recent, 0
        large = POLICY.joining_large(segments=segments, dead=[0] * len(segments))
        if large is not None:
            assert large.extends
            inserted += sum(segments[1:])
            segments = [sum(segments)]
    return segments, inserted


def test_a_small_collection_needs_no_graph() -> None:
    assert grown(1000) == ([], 0)


def test_each_row_is_inserted_twice_at_most() -> None:
    for rows in (20_000, 200_000, 1_000_000):
        segments, inserted = grown(rows)
        assert len(segments) <= 2
        assert inserted <= 2 * rows


def test_beside_a_large_graph_stands_a_small_one_only() -> None:
    segments, _ = grown(1_000_000)
    assert sum(segments[1:]) <= 0.05 * segments[0] + 1001


def test_what_is_being_joined_is_left_alone() -> None:
    segments = [500_000, 30_000]
    before = POLICY.joining_recent(segments=segments, recent_rows=1001, busy=0)
    assert before == Joining(1, 2, has_recent=True, extends=True)
    meanwhile = POLICY.joining_recent(segments=segments, recent_rows=1001, busy=2)
    assert meanwhile == Joining(2, 2, has_recent=True, extends=False)


def test_dead_rows_make_a_graph_due_without_them() -> None:
    anew = Joining(0, 1, has_recent=False, extends=False)
    assert POLICY.joining_large(segments=[10_000], dead=[2_600]) == anew
    assert POLICY.joining_large(segments=[10_000], dead=[2_400]) is None


def test_putting_in_order_a_small_collection_does_not_make_it_due_again_soon() -> None:
    alive = 500
    assert not POLICY.deserves_graph(alive)
    assert POLICY.joining_recent(segments=[], recent_rows=alive + 400, busy=0) is None


def efs(count: int, graph_rows: int, passing_rows: int) -> list[int]:
    walks = POLICY.walks(count=count, graph_rows=graph_rows, passing_rows=passing_rows)
    return [walk.ef for walk in walks]


def test_few_passing_rows_are_scanned_and_many_are_walked() -> None:
    assert efs(10, 100_000, 100_000)[0] == POLICY.ef_search
    assert efs(10, 100_000, 50_000)[0] == POLICY.ef_search
    # so many are in view that three times the ten pass, if they lie evenly
    assert efs(10, 1_000_000, 100_000)[0] == 3 * 10 * 10
    assert efs(10, 20_000, 200) == []
    assert POLICY.sifts(graph_rows=1_000_000, passing_rows=10_000)
    assert not POLICY.sifts(graph_rows=1_000_000, passing_rows=100_000)
    assert not POLICY.sifts(graph_rows=20_000, passing_rows=200)
    assert efs(1000, 20_000, 20_000) == []
    assert efs(300, 1_000_000, 1_000_000)[0] == 310


def test_a_walk_that_finds_too_few_is_followed_by_wider_ones_until_a_scan_is_faster() -> None:
    wider = efs(10, 1_000_000, 100_000)
    assert [later / before for before, later in pairwise(wider)] == [4] * (len(wider) - 1)
    assert 1 < len(wider) < 5


def test_a_walk_asks_for_more_than_it_is_asked_so_that_it_sees_where_the_filter_passes() -> None:
    walk = next(POLICY.walks(count=10, graph_rows=1_000_000, passing_rows=500_000))
    assert walk.rows > walk.enough > 10
