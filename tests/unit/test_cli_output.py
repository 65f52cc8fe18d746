import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.logs import JsonLog, ReadableLog
from services.cli.output import count, inert, json_line, money
from services.cli.searchable import answering_collection
from services.cli.tables import show_product, show_results
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2

HOSTILE = "\x1b]0;owned\x07[red]\x9b31mtext\u202e :smile: [/red]\r\nrest"


def is_harmless(text: str) -> bool:
    return not any(
        ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066"
        for c in text.replace("\n", "")
    )


@given(st.text())
def test_no_control_character_gets_through(text: str) -> None:
    assert is_harmless(inert(text))
    assert "\n" not in inert(text)
    assert inert(text, keep_lines=True).count("\n") == text.count("\n")


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf"])))
def test_json_is_harmless_and_says_the_same(text: str) -> None:
    line = json_line({"text": text})
    assert is_harmless(line)
    assert "\n" not in line
    assert json.loads(line) == {"text": text}


def test_half_of_a_surrogate_pair_can_be_printed() -> None:
    json_line("\ud800").encode()
    inert("\ud800").encode()


def test_letters_of_all_scripts_are_left_alone() -> None:
    text = "ñandú · 42″ · 電気 · 👍"
    assert inert(text) == text
    assert json_line(text) == f'"{text}"'


def result(**fields: object) -> search_pb2.Result:
    return search_pb2.Result(product=catalog_pb2.Product(**fields), score=0.83)  # type: ignore[arg-type]


def info(**fields: object) -> search_pb2.AnswerInfo:
    return search_pb2.AnswerInfo(revision=7, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_results_are_readable_at_any_width_and_never_obeyed(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    row = result(
        id="A-1", name=HOSTILE, brand="Brand", category="Audio > Headphones", price="49.95",
        currency="EUR", stock=3,
    )  # fmt: skip
    show_results([row], info(), nothing="")
    text = capsys.readouterr().out
    assert is_harmless(text)
    assert all(len(line) <= width for line in text.splitlines())
    assert "0.83" in text
    assert "49.95 €" in text
    assert ("Brand" in text) == (width >= 70)
    assert ("Headphones" in text) == (width >= 110)
    if width >= 120:
        assert "[red]" in text
        assert ":smile:" in text


def test_a_degraded_answer_says_so_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    degraded = [search_pb2.DEGRADATION_LEXICAL_ONLY, search_pb2.DEGRADATION_CACHE_DOWN]
    timings = search_pb2.Timings(total_ms=3.21)
    show_results(
        [result(name="x")],
        info(
            degraded=degraded,
            provenance=search_pb2.PROVENANCE_REDIS,
            timings=timings,
            space="minilm-1",
        ),
        nothing="",
    )
    output = capsys.readouterr()
    assert "1 result · 3.2 ms · from Redis · minilm-1 · revision 7" in output.out
    assert "words alone answered" in output.err
    assert "Redis does not answer" in output.err


def test_every_degradation_and_provenance_has_words(capsys: pytest.CaptureFixture[str]) -> None:
    for degradation in search_pb2.Degradation.values()[1:]:
        show_results([], info(degraded=[degradation]), nothing="nothing")
    assert "degradation" not in capsys.readouterr().err


def test_all_fields_of_a_product_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    product = catalog_pb2.Product(
        id="A-1", name="N", description=f"one\ntwo {HOSTILE}", category="C", brand="B",
        price="5", currency="USD", stock=0, image_url="http://i", active=False, revision=3,
    )  # fmt: skip
    product.attributes["on"].bool_value = True
    product.attributes["[bold]"].number_value = 2.5
    product.attributes["text"].string_value = "t"
    product.create_time.seconds = 1
    show_product(product, 9)
    shown = capsys.readouterr().out
    assert is_harmless(shown)
    for part in ("A-1", "5 $", "http://i", "active", "[bold]", "2.5", "yes", "1970-01-01"):
        assert part in shown
    assert "3 (the catalog is at 9)" in shown


def test_money_and_counts() -> None:
    assert money("5", "EUR") == "5 €"
    assert money("5", "CHF") == "5 CHF"
    assert money("5", "") == "5"
    assert money("", "EUR") == ""
    assert count(1, "row") == "1 row"
    assert count(12_000, "row") == "12,000 rows"


def test_the_collection_that_answers_is_the_ready_one_of_the_most_preferred_space() -> None:
    status = search_pb2.GetStatusResponse(
        spaces=[search_pb2.SpaceStatus(id=name) for name in ("gemini", "minilm", "hashing")],
        collections=[
            search_pb2.CollectionStatus(space="hashing", is_ready=True),
            search_pb2.CollectionStatus(space="minilm", is_ready=True),
            search_pb2.CollectionStatus(space="gemini"),
        ],
    )
    answering = answering_collection(status)
    assert answering is not None
    assert answering.space == "minilm"
    assert answering_collection(search_pb2.GetStatusResponse()) is None


EVENT = {
    "event": "serving", "port": 50053, "service": "catalog", "process": "catalog",
    "level": "info", "timestamp": "2026-11-01T05:31:07.123Z",
}  # fmt: skip


def test_a_log_line_is_shown_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    log = ReadableLog(["catalog"])
    log.line("catalog", json.dumps(EVENT))
    log.line("catalog", "plain [red]\x1b[31m text")
    log.line("catalog", '{"not": "ours"}')
    first, second, third = capsys.readouterr().err.splitlines()
    assert first[2] == first[5] == ":"
    assert first[8:] == " catalog   serving  port=50053"
    assert second[8:] == " catalog   plain [red]␛[31m text"
    assert third[8:] == ' catalog   {"not": "ours"}'


def test_a_traceback_in_the_log_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"event": "failed", "level": "error", "trace": "abc", "exception": "Traceback\n  at\nX"}
    ReadableLog([]).line("index", json.dumps(error))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("ERROR failed  trace=abc")
    assert [line.strip() for line in lines[1:]] == ["Traceback", "at", "X"]


def test_json_logs_stay_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    log = JsonLog()
    log.line("catalog", json.dumps(EVENT))
    log.line("catalog", "Traceback: x")
    log.event("info", "ready", seconds=1.5)
    first, second, third = map(json.loads, capsys.readouterr().err.splitlines())
    assert first == EVENT
    assert second == {"process": "catalog", "level": "info", "event": "Traceback: x"}
    assert third["process"] == "up"
    assert third["seconds"] == 1.5


@given(st.text() | st.text().map(json.dumps) | st.just('{"event": {"a": [1]}, "timestamp": 5}'))
def test_any_line_can_be_logged(line: str) -> None:
    ReadableLog([]).line("x", line)
    JsonLog().line("x", line)
