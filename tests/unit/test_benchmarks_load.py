"""What is read from h2load, and what is made of it."""

from pathlib import Path

import pytest

from benchmarks.load.h2load import Level, Load, framed, read
from benchmarks.load.report import Loads, drawn, sheet_of

REPLY_BYTES = 95
FOUR_CALLS = "100\t200\t1000\n200\t200\t3000\n300\t200\t2000\n400\t200\t9000\n"


def output(*, succeeded: int = 4, failed: int = 0, data_bytes: int = 400) -> str:
    return f"""
finished in 2.00s, 2.50 req/s, 22.16MB/s
requests: {succeeded} total, 6 started, 4 done, {succeeded} succeeded, {failed} failed, 0 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 44.32MB (46475251) total, 41.98KB (42987) headers (space savings 96.24%), 1B ({data_bytes}) data
"""  # noqa: E501


def load_of(text: str, log: str = FOUR_CALLS) -> Load:
    return read(text, log, REPLY_BYTES, cpu_seconds=0.002, own_cpu_seconds=0.001)


def test_a_run_is_read() -> None:
    load = load_of(output())
    assert (load.requests, load.requests_per_second, load.failed) == (4, 2.5, 0)
    assert (load.latency.p50, load.latency.count) == (2.5, 4)
    assert (load.cpu_ms, load.own_cpu_ms) == (0.5, 0.25)


def test_an_error_without_a_message_is_a_failure_though_http_says_ok() -> None:
    assert load_of(output(data_bytes=300)).failed == 1


def test_what_h2load_counts_as_failed_is_a_failure() -> None:
    assert load_of(output(succeeded=3, failed=1, data_bytes=300)).failed == 1


def test_a_stream_that_broke_is_a_failure_and_has_no_latency() -> None:
    load = load_of(output(), FOUR_CALLS.replace("400\t200", "400\t-1"))
    assert load.failed == 1
    assert load.latency.count == 3


def test_an_output_that_is_not_understood_is_shown() -> None:
    with pytest.raises(RuntimeError, match="new words"):
        load_of("new words")


def test_a_message_is_framed_as_grpc_frames_it() -> None:
    assert framed(b"abc") == b"\0\0\0\0\3abc"


def test_levels_are_read_and_impossible_ones_refused() -> None:
    assert Level.parse("8x4") == Level(clients=8, streams=4)
    for text in ("0x1", "8", "8xmany"):
        with pytest.raises(ValueError, match="must be like"):
            Level.parse(text)


@pytest.fixture
def loads() -> Loads:
    loads = Loads(beside={"gateway": "echo"}, reply_bytes=REPLY_BYTES, seconds=2)
    for echo, gateway, data_bytes in (("8.00", "2.00", 400), ("8.00", "4.00", 300)):
        loads.add(Level(1, 1), "echo", load_of(output().replace("2.50", echo)))
        text = output(data_bytes=data_bytes).replace("2.50", gateway)
        loads.add(Level(1, 1), "gateway", load_of(text))
    return loads


def test_a_server_is_held_against_the_other_one_round_by_round(loads: Loads) -> None:
    assert loads.ratios(Level(1, 1), "gateway") == [0.25, 0.5]
    assert loads.ratios(Level(1, 1), "echo") == []
    assert loads.failed == 1


def test_the_report_of_a_load_has_a_row_for_each_server_and_a_picture(
    loads: Loads, tmp_path: Path
) -> None:
    markdown = sheet_of(loads).as_markdown()
    assert "| 1 x 1, gateway | 3 |" in markdown
    assert "0.38 (0.25-0.50) | echo |" in markdown
    drawn(loads, tmp_path / "load.png")
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")
