"""What the benchmarks make of their measurements."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Latency, free_ratio, paired_ratio
from benchmarks.queries import computed, price_filter, queries_from
from benchmarks.searching import refuse_degraded, stages_of
from vitrina.search.v1 import search_pb2 as pb

SECONDS = st.lists(st.floats(0.0001, 10.0), min_size=2, max_size=40)


@given(SECONDS)
def test_percentiles_are_milliseconds_in_order(seconds: list[float]) -> None:
    latency = Latency.of(seconds)
    in_order = [latency.p10, latency.p50, latency.p90, latency.p99]
    assert in_order == sorted(in_order)
    assert min(seconds) * 1000 <= latency.p10 * 1.0001
    assert latency.p99 <= max(seconds) * 1000 * 1.0001
    assert latency.count == len(seconds)


@given(SECONDS, st.floats(0.1, 10.0))
def test_what_is_always_so_many_times_slower_has_that_ratio_for_certain(
    seconds: list[float], factor: float
) -> None:
    ratio = paired_ratio([each * factor for each in seconds], seconds)
    assert [ratio.value, ratio.low, ratio.high] == pytest.approx([factor] * 3)


def test_pairs_are_more_certain_than_strangers() -> None:
    chance = np.random.default_rng(3)
    below = chance.lognormal(size=200).tolist()
    above = [each * 1.1 for each in below]
    paired, free = paired_ratio(above, below), free_ratio(above, below)
    assert paired.value == free.value
    assert paired.high - paired.low < 0.01 < free.high - free.low
    assert free.low < 1.1 < free.high


def test_what_has_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="not pairs"):
        paired_ratio([1.0, 2.0], [1.0])


def test_the_price_filter_halves_what_has_a_price() -> None:
    prices: Sequence[float | None] = [1.0, 2.5, None, 4.0, 9.0]
    assert price_filter([{"price": price} for price in prices]) == "price < 3.25"
    assert price_filter([{"name": "without"}]).startswith("price <")


def test_queries_are_distinct_words_of_names_and_the_same_each_time() -> None:
    names = [f"Kettle {colour} steel {n}" for n in range(20) for colour in ("red", "blue")]
    queries = queries_from(names, 10)
    assert queries == queries_from(names, 10)
    assert set(queries) <= {
        "Kettle red", "Kettle blue", "Kettle red steel", "Kettle blue steel",
    }  # fmt: skip
    assert len(set(queries)) == len(queries) > 1


def test_stages_add_up_to_what_the_caller_waited() -> None:
    timings = pb.Timings(
        total_ms=10.0, cache_ms=0.5, embed_ms=2.0, index_ms=1.5, text_ms=4.0, hydrate_ms=1.0,
        arrange_ms=0.25,
    )  # fmt: skip
    stages = stages_of(timings, seconds=0.0125)
    by_words = ("cache", "text", "arrange", "hydrate", "rest of the gateway")
    assert sum(stages[stage] for stage in by_words) == pytest.approx(10.0)
    assert stages["client and transport"] == pytest.approx(2.5)


@pytest.mark.parametrize("kind", ["cached", *computed("kettle", "")])
def test_an_answer_that_is_not_what_is_measured_ends_the_run(kind: str) -> None:
    memory = pb.SearchResponse(info=pb.AnswerInfo(provenance=pb.PROVENANCE_MEMORY))
    anew = pb.SearchResponse(info=pb.AnswerInfo(provenance=pb.PROVENANCE_COMPUTED))
    right, wrong = (memory, anew) if kind == "cached" else (anew, memory)
    refuse_degraded(kind, right)
    with pytest.raises(RuntimeError, match=kind):
        refuse_degraded(kind, wrong)
    right.info.degraded.append(pb.DEGRADATION_LEXICAL_ONLY)
    with pytest.raises(RuntimeError, match="LEXICAL_ONLY"):
        refuse_degraded(kind, right)
