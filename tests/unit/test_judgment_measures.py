"""The measures against sums done by hand."""

from math import log2

import pytest

from services.cli.judgment.measures import (
    CONDENSED,
    JUDGED,
    NDCG,
    RECALL,
    RECIPROCAL_RANK,
    mean,
    percentile,
    scores_by_query,
)

GRADES = {"q": {"best": 3, "good": 2, "fair": 1, "bad": 0}}
# The gains 7, 3, 1 in the best order.
IDEAL = 7 / log2(2) + 3 / log2(3) + 1 / log2(4)


def measured(*ranking: str) -> dict[str, float]:
    return scores_by_query({"q": ranking}, GRADES)["q"]


def test_the_best_order_scores_one() -> None:
    scores = measured("best", "good", "fair")
    assert scores == pytest.approx(
        {NDCG: 1, CONDENSED: 1, RECIPROCAL_RANK: 1, RECALL: 1, JUDGED: 1}
    )


def test_ndcg_takes_the_gain_two_to_the_grade_less_one() -> None:
    scores = measured("unjudged", "fair", "bad", "best")
    assert scores[NDCG] == pytest.approx((1 / log2(3) + 7 / log2(5)) / IDEAL)


def test_condensed_ndcg_closes_the_gaps_of_what_is_not_judged() -> None:
    scores = measured("unjudged", "fair", "bad", "best")
    assert scores[CONDENSED] == pytest.approx((1 / log2(2) + 7 / log2(4)) / IDEAL)


def test_condensed_ndcg_looks_past_the_tenth_result() -> None:
    unjudged = [f"unjudged {i}" for i in range(10)]
    scores = measured(*unjudged, "best")
    assert scores[NDCG] == scores[RECIPROCAL_RANK] == 0
    assert scores[CONDENSED] == pytest.approx(7 / IDEAL)


def test_a_bad_product_is_judged_and_not_relevant() -> None:
    scores = measured("bad", "unjudged", "fair", "unjudged too")
    assert scores[RECIPROCAL_RANK] == pytest.approx(1 / 3)
    assert scores[RECALL] == pytest.approx(1 / 3)
    assert scores[JUDGED] == pytest.approx(2 / 4)


def test_grades_above_three_gain_more() -> None:
    scores = scores_by_query({"q": ["three", "five"]}, {"q": {"three": 3, "five": 5}})["q"]
    assert scores[NDCG] == pytest.approx((7 + 31 / log2(3)) / (31 + 7 / log2(3)))


def test_ranks_are_the_answers_order_whatever_the_ids() -> None:
    ranking = [f"unjudged {i}" for i in range(7)]
    for place in range(8):
        for best in ("0", "zzz"):
            ids = [*ranking[:place], best, *ranking[place:]]
            scores = scores_by_query({"q": ids}, {"q": {best: 3}})["q"]
            assert scores[RECIPROCAL_RANK] == pytest.approx(1 / (place + 1))
            assert scores[NDCG] == pytest.approx(1 / log2(place + 2))


def test_an_answer_without_results_scores_zero_and_has_no_share_of_judged() -> None:
    scores = scores_by_query({"q": [], "r": ["best"]}, {**GRADES, "r": {"best": 3}})
    assert scores["q"] == {NDCG: 0, CONDENSED: 0, RECIPROCAL_RANK: 0, RECALL: 0}
    assert mean(scores, NDCG) == pytest.approx(0.5)
    assert mean(scores, JUDGED) == 1


def test_nothing_that_is_judged_found_scores_zero() -> None:
    assert set(measured("unjudged").values()) == {0}


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([7.0], 95, 7), ([4, 1, 3, 2], 50, 2), (list(range(1, 101)), 95, 95)],
)
def test_percentiles_are_values_that_occurred(
    values: list[float], percent: int, expected: float | None
) -> None:
    assert percentile(values, percent) == expected
