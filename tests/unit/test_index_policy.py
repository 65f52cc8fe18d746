"""When graphs are built and joined, and how they are searched."""

import pytest

from services.index.model import Strategy
from services.index.policy import GraphPolicy, Joining, Way

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


def way(count: int, rows: int, passing_rows: int, share: float, *, can_sift: bool = True) -> Way:
    return POLICY.way(
        count=count, rows=rows, passing_rows=passing_rows, share=share, can_sift=can_sift
    )


@pytest.mark.parametrize("rows", [20_000, 1_000_000])
def test_where_all_rows_pass_the_graph_is_walked(rows: int) -> None:
    assert way(10, rows, rows, 1.0)[:2] == (Strategy.GRAPH, POLICY.ef_search)
    # a row that is gone here and there changes nothing
    assert way(10, rows, rows - 9, 63 / 64)[:2] == (Strategy.GRAPH, POLICY.ef_search)
    assert way(300, rows, rows, 1.0)[:2] == (Strategy.GRAPH, 330)


def test_the_fewer_pass_around_the_query_the_wider_is_a_walk() -> None:
    half = [way(10, 1_000_000, 500_000, share) for share in (0.9, 0.15, 0.1, 0.05)]
    assert {each.strategy for each in half} == {Strategy.GRAPH}
    assert [each.width for each in half] == [200, 200, 300, 600]


def test_a_walk_needs_more_in_view_than_are_asked_for() -> None:
    assert way(1, 1_000_000, 500_000, 0.5).enough == 2
    assert way(10, 1_000_000, 500_000, 0.5).enough == 15
    assert way(300, 1_000_000, 500_000, 0.5).enough == 300
    # but not more than there are
    assert way(7, 5_000, 7, 1.0, can_sift=False).enough <= 7


def test_where_a_walk_would_be_too_wide_the_rows_that_pass_are_looked_at_alone() -> None:
    assert way(10, 1_000_000, 100_000, 0.1).strategy is Strategy.GRAPH
    assert way(10, 1_000_000, 100_000, 1 / 128).strategy is Strategy.SIFT
    assert way(10, 100_000, 10_000, 1 / 64).strategy is Strategy.SIFT
    assert way(10, 1_000_000, 10_000, 0.01).strategy is Strategy.SIFT
    assert way(10, 1_000_000, 10, 1 / 128).strategy is not Strategy.GRAPH
    assert way(10, 1_000_000, 500_000, 1e-5).strategy is not Strategy.GRAPH


def test_a_sift_keeps_more_of_more_rows_and_for_more_hits() -> None:
    few, many = way(10, 1_000_000, 2_000, 0.001), way(10, 1_000_000, 100_000, 0.001)
    assert 10 < few.width < many.width < 100_000
    assert way(1000, 1_000_000, 100_000, 0.001).width > many.width


def test_a_graph_without_landmarks_is_walked_or_scanned() -> None:
    assert way(10, 9_000, 9_000, 1.0, can_sift=False)[:2] == (Strategy.GRAPH, 200)
    assert way(10, 9_000, 2_000, 0.2, can_sift=False).strategy is Strategy.EXACT
    assert way(10, 9_000, 90, 0.01, can_sift=False).strategy is Strategy.EXACT
