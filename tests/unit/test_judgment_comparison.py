import random

import pytest

from services.cli.judgment.comparison import by_difference, differences, p_value_of
from services.cli.judgment.measures import JUDGED, NDCG


def test_wins_losses_and_ties_are_of_the_first_side() -> None:
    first = {"a": {NDCG: 0.9}, "b": {NDCG: 0.1}, "c": {NDCG: 0.5}, "d": {NDCG: 0.8}}
    second = {"a": {NDCG: 0.4}, "b": {NDCG: 0.3}, "c": {NDCG: 0.5 + 1e-15}, "d": {NDCG: 0.6}}
    (ndcg,) = differences(first, second)
    assert (ndcg.wins, ndcg.losses, ndcg.ties, ndcg.n) == (2, 1, 1, 4)
    assert ndcg.difference == pytest.approx(0.5 / 4)
    assert by_difference(first, second, NDCG) == [
        ("b", pytest.approx(-0.2)), ("c", 0), ("d", pytest.approx(0.2)), ("a", pytest.approx(0.5)),
    ]  # fmt: skip


def test_a_measure_counts_where_both_sides_have_it() -> None:
    first = {"a": {NDCG: 0.0}, "b": {NDCG: 1.0, JUDGED: 1.0}}
    second = {"a": {NDCG: 1.0, JUDGED: 1.0}, "b": {NDCG: 1.0, JUDGED: 0.5}}
    by_measure = {d.measure: d for d in differences(first, second)}
    assert by_measure[NDCG].n == 2
    assert by_measure[JUDGED].n == 1
    assert by_measure[JUDGED].p_value is None


def test_few_pairs_are_permuted_in_all_ways() -> None:
    # Of the 16 ways to place four equal signs, two part the means as far.
    assert p_value_of([0.9, 0.8, 0.7, 0.6], [0.1, 0.1, 0.1, 0.1]) == pytest.approx(2 / 16)


def test_equal_sides_differ_by_chance() -> None:
    assert p_value_of([0.5] * 30, [0.5] * 30) == 1
    assert p_value_of([0.2, 0.4] * 30, [0.4, 0.2] * 30) == pytest.approx(1)


def test_the_same_data_always_give_the_same_p() -> None:
    drawn = random.Random(5)
    first = [drawn.random() for _ in range(60)]
    second = [min(1.0, value + drawn.gauss(0.03, 0.1)) for value in first]
    p_value = p_value_of(first, second)
    assert p_value is not None
    assert 0 < p_value < 1
    assert p_value == p_value_of(first, second)


def test_a_clear_difference_is_no_chance() -> None:
    p_value = p_value_of([0.8, 0.7] * 40, [0.4, 0.5] * 40)
    assert p_value is not None
    assert p_value < 0.001
