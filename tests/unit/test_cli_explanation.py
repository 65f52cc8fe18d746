from functools import partial

import pytest

from services.cli.explanation import ranking_table, show_query
from services.cli.tables import show_results
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2

X = "\N{MULTIPLICATION SIGN}"
NAME = "Dell Latitude 5420 laptop \x1b[31m[red]電気電気電気電気電気電気電気電気電気"
PRODUCT = catalog_pb2.Product(id="LAP-1", name=NAME, brand="Dell", price="449", currency="EUR")
BY_BOTH = search_pb2.Explanation(
    lexical_rank=1, bm25=123.456, lexical_score=1, semantic_rank=120, cosine=-0.7126,
    semantic_score=0.874, is_exact_identifier=True,
)  # fmt: skip
BY_WORDS = search_pb2.Explanation(lexical_rank=200, bm25=3.2, lexical_score=0.031)
BY_MEANING = search_pb2.Explanation(semantic_rank=2, cosine=0.6, semantic_score=0.5)
INFO = search_pb2.AnswerInfo(
    plan=search_pb2.Plan(
        strategy=search_pb2.STRATEGY_GRAPH, vectors=6000, passing=1204, candidates=150,
        lexical_candidates=50, semantic_candidates=120,
    ),
    timings=search_pb2.Timings(
        total_ms=18.14, cache_ms=0.11, text_ms=2.1, embed_ms=13.3, index_ms=1.1
    ),
)  # fmt: skip


def explained(
    request: search_pb2.SearchRequest,
    capsys: pytest.CaptureFixture[str],
    *explanations: search_pb2.Explanation,
    info: search_pb2.AnswerInfo = INFO,
) -> list[str]:
    results = [
        search_pb2.Result(product=PRODUCT, score=0.8126, explanation=e) for e in explanations
    ]
    show_query(request, search_pb2.SearchResponse(info=info))
    show_results(results, info, nothing="", table=ranking_table)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [80, 110, 160])
def test_every_product_is_one_line_with_all_that_ranked_it(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    request = search_pb2.SearchRequest(mode=search_pb2.MODE_HYBRID, semantic_weight=0.7)
    lines = explained(request, capsys, BY_BOTH, BY_WORDS, BY_MEANING)
    query, (header, *products, _summary) = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert [" ".join(line.split()) for line in query] == [
        "mode hybrid, semantic weight 0.7",
        "correction none",
        "plan graph · 1,204 of 6,000 pass · 150 candidates: words 50, meaning 120",
        "timings 18.1 ms: cache 0.1, words 2.1, embed 13.3, index 1.1",
    ]
    assert header.split()[:8] == [
        "#", "score", "words", "bm25", "meaning", "cosine", "exact", "name",
    ]  # fmt: skip
    begin = [
        ["1", "0.813", "#1", "1.00", "123.46", "#120", "0.87", "-0.713", "yes", "Dell"],
        ["2", "0.813", "#200", "0.03", "3.20", "-", "-", "Dell"],
        ["3", "0.813", "-", "-", "#2", "0.50", "0.600", "Dell"],
    ]
    for line, expected in zip(products, begin, strict=True):
        assert line.split()[: len(expected)] == expected
        assert "\x1b" not in line
        assert ("LAP-1" in line) == (width >= 110)


def test_an_answer_by_words_alone_has_no_vectors_to_speak_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = search_pb2.Plan(strategy=search_pb2.STRATEGY_TEXT, candidates=1, lexical_candidates=1)
    request = search_pb2.SearchRequest(mode=search_pb2.MODE_LEXICAL, literal=True)
    lines = explained(request, capsys, info=search_pb2.AnswerInfo(plan=plan))
    assert [" ".join(line.split()) for line in lines[:4]] == [
        "mode lexical",
        "correction not wanted (--literal)",
        "plan text · 1 candidate: words 1, meaning 0",
        "timings 0.0 ms",
    ]


def test_a_strategy_of_a_newer_gateway_is_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    info = search_pb2.AnswerInfo(plan=search_pb2.Plan(strategy=9))  # type: ignore[arg-type]
    lines = explained(search_pb2.SearchRequest(), capsys, info=info)
    assert "9 · 0 candidates" in lines[2]


def rows(capsys: pytest.CaptureFixture[str], *results: search_pb2.Result) -> list[str]:
    request = search_pb2.SearchRequest()
    show_query(request, search_pb2.SearchResponse())
    show_results(results, search_pb2.AnswerInfo(), nothing="", table=ranking_table)
    lines = capsys.readouterr().out.splitlines()
    return [" ".join(line.split()) for line in lines[lines.index("") + 1 : -1]]


def lamp(score_rank: int, *rules: search_pb2.AppliedRule) -> search_pb2.Result:
    return search_pb2.Result(
        product=catalog_pb2.Product(name="Lamp"),
        explanation=search_pb2.Explanation(score_rank=score_rank, rules=rules),
    )


PINNED = search_pb2.AppliedRule(rule_id="summer", pinned_position=1)
BOOSTED = search_pb2.AppliedRule(rule_id="sale", factor=1.5)
BURIED = search_pb2.AppliedRule(rule_id="stock", is_buried=True, factor=0.5)


@pytest.mark.parametrize("width", [80, 160])
def test_what_rules_did_and_the_place_by_score_are_told(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    header, *lines = rows(
        capsys, lamp(0, PINNED), lamp(2), lamp(5, BOOSTED, PINNED), lamp(1, BURIED)
    )
    assert header.startswith("# by score score words bm25 meaning cosine exact rules name")
    begin = [("1 -", "pinned #1"), ("2 0.000", ""), ("3 #5", f"{X}1.5"), ("4 #1", f"buried {X}0.5")]
    for line, (start, effect) in zip(lines, begin, strict=True):
        assert line.startswith(f"{start} ")
        assert f"- - - - {effect}" in line
    assert (f"buried {X}0.5 by stock" in lines[3]) == (width == 160)
    assert (f"{X}1.5 by sale, pinned #1 by summer" in lines[2]) == (width == 160)


def test_products_that_nothing_moved_need_no_columns_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    header, *_ = rows(capsys, lamp(1), lamp(2))
    assert "by score" not in header
    assert "rules" not in header
    # With order_by there are no places by score.
    header, *_ = rows(capsys, lamp(0), lamp(0))
    assert "by score" not in header


def test_behind_the_first_page_every_place_by_score_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = partial(ranking_table, is_first_page=False)
    show_results([lamp(11), lamp(2)], search_pb2.AnswerInfo(), nothing="", table=table)
    _, first, second, _ = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["1", "#11"]
    assert second.split()[:2] == ["2", "#2"]


def test_how_the_query_went_names_all_that_took_part(capsys: pytest.CaptureFixture[str]) -> None:
    request = search_pb2.SearchRequest(
        mode=search_pb2.MODE_HYBRID, diversity=0.3, order_by="price desc"
    )
    info = search_pb2.AnswerInfo(
        plan=search_pb2.Plan(strategy=search_pb2.STRATEGY_EXACT, feedback_products=5),
        timings=search_pb2.Timings(total_ms=9, arrange_ms=2.54),
    )
    response = search_pb2.SearchResponse(
        info=info, rule_ids=["summer", "sale"], synonym_ids=["tv\x1b"]
    )
    show_query(request, response)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[:6] == [
        "mode hybrid, diversity 0.3, in order of price desc",
        "correction none",
        "rules summer, sale",
        "synonyms tv␛",
        "plan exact · 0 candidates: words 0, meaning 0 · feedback of 5 products",
        "timings 9.0 ms: arrange 2.5",
    ]
    show_query(search_pb2.SearchRequest(without_rules=True), search_pb2.SearchResponse())
    assert "left out (--no-rules)" in capsys.readouterr().out


def test_stages_that_were_left_out_are_told_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    info = search_pb2.AnswerInfo(
        left_out=[
            search_pb2.LeftOut(stage="embed", reason="CIRCUIT_OPEN"),
            search_pb2.LeftOut(stage="cache", reason="UPSTREAM_UNAVAILABLE\x1b[31m"),
        ]
    )
    lines = explained(search_pb2.SearchRequest(), capsys, BY_WORDS, info=info)
    (told,) = [line for line in lines if line.startswith("left out")]
    assert told.split(maxsplit=2)[2].startswith("embed (CIRCUIT_OPEN), cache (UPSTREAM_UNAVAILABLE")
    assert "\x1b" not in told
    assert not any(
        "left out" in line for line in explained(search_pb2.SearchRequest(), capsys, BY_WORDS)
    )
