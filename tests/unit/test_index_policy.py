"""When graphs are built."""

from services.index.policy import GraphPolicy

POLICY = GraphPolicy(min_rows=1000)


def builds(rows: int, *, is_ready: bool) -> int:
    """Count the builds while rows come one after the other."""
    graph_rows = count = 0
    for total in range(rows):
        if POLICY.is_due(
            graph_rows=graph_rows, dead_rows=0, recent_rows=total - graph_rows, is_ready=is_ready
        ):
            graph_rows = total
            count += 1
    return count


def test_a_small_collection_needs_no_graph() -> None:
    assert builds(1000, is_ready=True) == 0


def test_an_import_does_not_build_again_and_again() -> None:
    assert builds(20_000, is_ready=False) <= 6
    assert builds(20_000, is_ready=True) <= 20


def test_dead_rows_make_a_graph_due() -> None:
    assert POLICY.is_due(graph_rows=10_000, dead_rows=2_600, recent_rows=0, is_ready=True)
    assert not POLICY.is_due(graph_rows=10_000, dead_rows=2_400, recent_rows=0, is_ready=True)


def test_putting_in_order_a_small_collection_does_not_make_it_due_again_soon() -> None:
    alive = 500
    assert not POLICY.deserves_graph(alive)
    assert not POLICY.is_due(graph_rows=0, dead_rows=0, recent_rows=alive + 400, is_ready=True)


def test_few_passing_rows_are_scanned_and_many_are_walked() -> None:
    assert POLICY.ef(count=10, graph_rows=100_000, passing_rows=2_000) is None
    assert POLICY.ef(count=10, graph_rows=100_000, passing_rows=100_000) == 200
    assert POLICY.ef(count=10, graph_rows=100_000, passing_rows=50_000) is None
    # twice as many rows are looked at where every other one passes, and some more
    assert POLICY.ef(count=10, graph_rows=1_000_000, passing_rows=500_000) == 4 * 400
    assert POLICY.ef(count=10, graph_rows=1_000_000, passing_rows=40_000) is None
    assert POLICY.ef(count=1000, graph_rows=100_000, passing_rows=100_000) is None
    assert POLICY.ef(count=1000, graph_rows=1_000_000, passing_rows=1_000_000) == 3000
