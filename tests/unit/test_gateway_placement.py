"""Fused scores, the shop's rules and variety, held to plain readings of what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.answers import Explanation, Plan
from services.gateway.candidates import Rule, VectorHits, WordHits
from services.gateway.diversity import diversified
from services.gateway.fusion import RANKED_BY_WORDS, fused
from services.gateway.placement import boosted, placed

PRODUCTS = [f"p{number}" for number in range(12)]


def words(ids: list[str], scores: list[float], exact: int = 0) -> WordHits:
    return WordHits(ids, scores, 1, exact)


def near(ids: list[str], cosines: list[float]) -> VectorHits:
    return VectorHits(ids, cosines, 1, Plan(), "space")


@st.composite
def rankings(draw: st.DrawFn) -> tuple[WordHits, VectorHits]:
    def ranking(low: float, high: float) -> tuple[list[str], list[float]]:
        ids = draw(st.lists(st.sampled_from(PRODUCTS), unique=True))
        scores = draw(
            st.lists(st.floats(low, high), min_size=len(ids), max_size=len(ids)).map(
                lambda values: sorted(values, reverse=True)
            )
        )
        return ids, scores

    by_words, bm25 = ranking(0.1, 50)
    by_meaning, cosines = ranking(-1, 1)
    exact = draw(st.integers(0, min(2, len(by_words))))
    return words(by_words, bm25, exact), near(by_meaning, cosines)


@given(rankings(), st.floats(0, 1))
def test_fusion_ranks_every_candidate_once_and_by_its_score(
    found: tuple[WordHits, VectorHits], weight: float
) -> None:
    lexical, semantic = found
    hits = fused(lexical, semantic, weight).hits
    ids = [product_id for product_id, _ in hits]
    assert sorted(ids) == sorted({*lexical.ids, *semantic.ids})
    named = lexical.exact_identifiers
    assert ids[:named] == list(lexical.ids[:named])
    scores = [explanation.score for _, explanation in hits[named:]]
    assert scores == sorted(scores, reverse=True)
    for product_id, explanation in hits:
        assert 0 <= explanation.score <= 1 + 1e-9
        assert 0 <= explanation.lexical_score <= 1 + 1e-9
        assert 0 <= explanation.semantic_score <= 1 + 1e-9
        by_words, by_meaning = explanation.lexical_rank, explanation.semantic_rank
        assert not by_words or lexical.ids[by_words - 1] == product_id
        assert not by_meaning or semantic.ids[by_meaning - 1] == product_id


@given(rankings())
def test_of_two_that_one_way_ranks_the_better_never_gets_less_from_it(
    found: tuple[WordHits, VectorHits],
) -> None:
    lexical, semantic = found
    explained = dict(fused(lexical, semantic, 0.5).hits)
    by_words = [explained[product_id].lexical_score for product_id in lexical.ids]
    assert by_words[lexical.exact_identifiers :] == sorted(
        by_words[lexical.exact_identifiers :], reverse=True
    )
    by_meaning = [explained[product_id].semantic_score for product_id in semantic.ids]
    assert by_meaning == sorted(by_meaning, reverse=True)


def test_what_is_ranked_deep_by_words_still_counts_a_little_in_its_order() -> None:
    count = RANKED_BY_WORDS + 50
    lexical = words([f"w{n}" for n in range(count)], [100.0 - n / 10 for n in range(count)])
    scores = [explanation.score for _, explanation in fused(lexical, near([], []), 0.0).hits]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == count
    assert scores[RANKED_BY_WORDS - 1] == pytest.approx(0.2)
    assert 0 < scores[-1] < scores[RANKED_BY_WORDS] < 0.2


@st.composite
def shop_rules(draw: st.DrawFn) -> list[Rule]:
    known = st.sampled_from([*PRODUCTS, "elsewhere"])
    return [
        Rule(
            f"rule-{number}",
            draw(st.dictionaries(known, st.integers(1, 15), max_size=4)),
            draw(st.frozensets(known, max_size=4)),
            (),
        )
        for number in range(draw(st.integers(0, 3)))
    ]


@given(st.lists(st.sampled_from(PRODUCTS), unique=True), shop_rules())
def test_pins_stand_at_their_places_and_buried_products_behind_the_others(
    ids: list[str], rules: list[Rule]
) -> None:
    hits = [(id_, Explanation(1.0 - n / 100)) for n, id_ in enumerate(ids)]
    found = [product_id for product_id, _ in placed(hits, rules)]
    pins = {
        id_: place for rule in reversed(rules) for id_, place in rule.pins.items() if id_ in ids
    }
    assert sorted(found) == sorted(ids)
    buried = {id_ for rule in rules for id_ in rule.buried} - pins.keys()
    free = [id_ for id_ in found if id_ not in pins]
    assert free == [x for x in ids if x not in {*pins, *buried}] + [x for x in ids if x in buried]
    if len(set(pins.values())) == len(pins):
        for product_id, place in pins.items():
            # Where the result is too short for its place, it stands as near as can be.
            stands = found.index(product_id) + 1
            assert stands == place or (
                stands < place and all(other in pins for other in found[stands:])
            )


def test_a_boost_lifts_no_product_over_one_that_the_query_names() -> None:
    hits = [
        ("named", Explanation(1.0, is_exact_identifier=True)),
        ("good", Explanation(0.9)),
        ("liked", Explanation(0.5)),
    ]
    order = boosted(hits, [("r", 100.0, frozenset({"liked"}))])
    assert [product_id for product_id, _ in order] == ["named", "liked", "good"]
    assert order[1][1].score == pytest.approx(50.0)


def naive_mmr(scores: list[float], vectors: np.ndarray, diversity: float) -> list[int]:
    low, high = min(scores), max(scores)
    relevance = [(score - low) / ((high - low) or 1.0) for score in scores]
    left = list(range(len(scores)))
    order: list[int] = []
    while left:

        def worth(place: int) -> float:
            likeness = max([0.0, *(float(vectors[place] @ vectors[done]) for done in order)])
            return (1 - diversity) * relevance[place] - diversity * likeness

        best = max(left, key=lambda place: (round(worth(place), 6), -place))
        order.append(best)
        left.remove(best)
    return order


@given(
    st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=1, max_size=12, unique=True),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_diversity_is_maximal_marginal_relevance(
    scores: list[float], diversity: float, seed: int
) -> None:
    vectors = np.random.default_rng(seed).normal(size=(len(scores), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = diversified(scores, vectors.astype(np.float32), diversity)
    assert sorted(order) == list(range(len(scores)))
    expected = naive_mmr(scores, vectors, diversity)
    if order != expected:  # equal worth within float32
        differs = next(n for n, (a, b) in enumerate(zip(order, expected, strict=True)) if a != b)
        worths = [
            (1 - diversity) * (scores[place] - min(scores)) / ((max(scores) - min(scores)) or 1)
            - diversity
            * max([0.0, *(float(vectors[place] @ vectors[done]) for done in order[:differs])])
            for place in (order[differs], expected[differs])
        ]
        assert worths[0] == pytest.approx(worths[1], abs=1e-4)
