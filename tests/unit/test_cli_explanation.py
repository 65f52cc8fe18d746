import pytest

from services.cli.explanation import ranking_table, show_query
from services.cli.failures import Failure
from services.cli.options import filter_failure
from services.cli.tables import show_results
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2

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


@pytest.mark.parametrize("place", [0, 1, 300, 1998, 1999])
def test_the_caret_stands_below_the_place_in_a_filter_of_any_length(place: int) -> None:
    text = "a" * place + "!" + "z" * (1999 - place)
    failure = filter_failure(Failure(f"filter: at position {place + 1}: no"), text)
    _, shown, caret = failure.message.splitlines()
    assert failure.exit_code == 2
    assert len(shown) < 80
    assert caret.index("^") == shown.index("!")


def test_the_caret_stands_behind_a_filter_that_ends_too_soon() -> None:
    failure = filter_failure(Failure("filter: at position 8: no"), "price <")
    assert failure.message.splitlines()[1:] == ["  price <", "         ^"]


def test_a_failure_of_something_else_stays_as_it_is() -> None:
    failure = Failure("query: at position 3: no", exit_code=1)
    assert filter_failure(failure, "x") is failure
