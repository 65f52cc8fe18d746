import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path

import pytest

from services.cli.__main__ import main
from services.common.server import Service, serving
from tests.cli_gateway import FakeGateway, gateway_serving
from tests.cli_process import vitrina
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2

HOSTILE = "\x1b]0;owned\x07 [red]Lamp[/red]"
REJECTS = ["p.csv.rejects", "r", "stdin.rejects"]
SUBCOMMANDS = [
    "up", "import", "search", "similar", "suggest", "get", "delete", "status", "eval", "rules",
    "rules put", "rules list", "rules delete", "rules log", "synonyms", "synonyms put",
    "synonyms list", "synonyms delete", "spaces", "spaces use", "spaces drop", "spaces compare",
    "index", "index check",
]  # fmt: skip


@pytest.fixture
def fake() -> FakeGateway:
    gateway = FakeGateway()
    for i in range(3):
        gateway.products[f"L-{i}"] = catalog_pb2.Product(
            id=f"L-{i}", name=HOSTILE, brand="B", price="5", currency="EUR"
        )
    return gateway


@pytest.fixture
async def address(fake: FakeGateway) -> AsyncIterator[str]:
    async with gateway_serving(fake) as served_at:
        yield served_at


async def test_each_reading_command_answers_people_and_programs(address: str) -> None:
    plain = {
        ("search", "lamp"): "3 results · 3.2 ms · from memory",
        ("similar", "L-0", "--limit", "1"): "1 result ",
        ("get", "L-0"): "(the catalog is at 0)",
        ("status",): "3 products, revision 0",
    }
    runs = [
        vitrina(*command, *json_option, VITRINA_ADDRESS=address)
        for command in plain
        for json_option in ((), ("--json",))
    ]
    ended = await asyncio.gather(*runs)
    for people, programs, expected in zip(ended[::2], ended[1::2], plain.values(), strict=True):
        assert (people.code, programs.code) == (0, 0), people.err + programs.err
        assert expected in people.out
        assert programs.out.count("\n") == 1
        json.loads(programs.out)
    assert "[red]Lamp[/red]" in ended[0].out
    assert json.loads(ended[1].out)["results"][0]["product"]["name"] == HOSTILE
    assert json.loads(ended[5].out)["product"]["id"] == "L-0"


async def test_options_of_a_search_reach_the_gateway(fake: FakeGateway, address: str) -> None:
    fake.degraded = [search_pb2.DEGRADATION_STALE_INDEX]
    ended = await vitrina(
        "--address", address, "search", "two", "words", "-n", "7", "-c", "Audio > X",
        "--no-cache", "--min-revision", "5", "--timeout", "2.5", "--filter", "-stock = 0",
        "--mode", "Lexical", "--semantic-weight", "0", "--literal",
    )  # fmt: skip
    assert ended.code == 0
    assert "Nothing found" in ended.out
    assert "behind the catalog" in ended.err
    (request,) = fake.searches
    assert request == search_pb2.SearchRequest(
        query="two words", page_size=7, category="Audio > X", min_revision=5, skip_cache=True,
        filter="-stock = 0", mode=search_pb2.MODE_LEXICAL, semantic_weight=0, literal=True,
        timeout=request.timeout,
    )  # fmt: skip
    assert request.timeout.ToMilliseconds() == 2500


async def test_a_weight_that_is_not_given_is_left_to_the_gateway(
    fake: FakeGateway, address: str
) -> None:
    await vitrina("search", "lamp", "--address", address)
    (request,) = fake.searches
    assert request.mode == search_pb2.MODE_HYBRID
    assert not request.HasField("semantic_weight")


async def test_a_filter_narrows_what_is_similar(fake: FakeGateway, address: str) -> None:
    ended = await vitrina("similar", "L-0", "-f", "price<500", "--address", address)
    assert ended.code == 0, ended.err
    assert [request.filter for request in fake.searches] == ["price<500"]


async def test_a_corrected_query_is_told_and_literal_takes_it_as_it_is(
    fake: FakeGateway, address: str
) -> None:
    fake.corrections = {"lapm": "lamp"}
    corrected, explained, literal, programs = await asyncio.gather(
        vitrina("search", "lapm", "--address", address),
        vitrina("search", "lapm", "--explain", "--address", address),
        vitrina("search", "lapm", "--explain", "--literal", "--address", address),
        vitrina("search", "lapm", "--json", "--address", address),
    )
    note = 'searched for "lamp"; --literal takes "lapm" as it is'
    assert corrected.out.startswith(f"{note}\n")
    assert "3 results" in corrected.out
    assert "lapm → lamp" in explained.out
    assert note not in literal.out
    assert "Nothing found" in literal.out
    assert json.loads(programs.out)["correctedQuery"] == "lamp"


async def test_a_wrong_filter_is_wrong_use_and_shows_where(address: str) -> None:
    searched, similar = await asyncio.gather(
        vitrina("search", "x", "-f", 'brand = "電気" AND colour = 1', "--address", address),
        vitrina("similar", "L-0", "-f", "price < ", "--address", address),
    )
    assert searched.code == similar.code == 2
    error, text, caret = searched.err.splitlines()
    assert error.startswith('error: filter: at position 18: unknown field "colour"')
    assert text == '  brand = "電気" AND colour = 1'
    # Each of both ideographs is two columns wide.
    assert caret == " " * (2 + 17 + 2) + "^"
    assert similar.err.splitlines()[1:] == ["  price < ", "         ^"]


async def test_how_commands_fail(fake: FakeGateway, address: str) -> None:
    fake.index_state = search_pb2.PROCESS_STATE_UNREACHABLE
    expected = {
        ("get", "nope"): (4, "error: no product 'nope'"),
        ("similar", "nope"): (4, "error: no product 'nope'"),
        ("delete", "nope", "--yes"): (4, "error: no product 'nope'"),
        ("delete", "L-0"): (2, "without a terminal pass --yes"),
        ("search", "x", "-f", "x" * 2001): (2, "error: filter: 2001 characters, at most 2000"),
        ("search", "x" * 1001): (1, "error: query: 1001 characters, at most 1000"),
        ("status",): (1, ""),
        ("status", "--address", "127.0.0.1:1"): (1, "cannot reach a gateway at 127.0.0.1:1"),
    }
    runs = (vitrina(*command, VITRINA_ADDRESS=address) for command in expected)
    for ended, (code, message) in zip(await asyncio.gather(*runs), expected.values(), strict=True):
        assert ended.code == code
        assert message in ended.err
    assert sorted(fake.products) == ["L-0", "L-1", "L-2"]


async def test_get_waits_for_a_revision_and_delete_until_no_search_finds_it(
    fake: FakeGateway, address: str
) -> None:
    read = await vitrina("get", "L-1", "--min-revision", "7", "--address", address)
    removed = await vitrina("delete", "L-1", "--yes", "--wait", "--address", address)
    assert (read.code, removed.code) == (0, 0), read.err + removed.err
    assert [request.min_revision for request in fake.readings] == [7]
    assert [request.wait_searchable for request in fake.removals] == [True]


async def test_delete_removes(fake: FakeGateway, address: str) -> None:
    ended = await vitrina("delete", "L-1", "--yes", "--json", "--address", address)
    assert (ended.code, json.loads(ended.out)) == (0, {"revision": "1"})
    assert sorted(fake.products) == ["L-0", "L-2"]


async def test_import_tells_what_became_of_the_rows(
    fake: FakeGateway, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = b'id,name,price\n1,a,"1,50"\n2,b,\x1b[31m\n,c,3\n'
    (tmp_path / "p.csv").write_bytes(content)
    people, programs, piped = await asyncio.gather(
        vitrina("import", "p.csv", "--wait", "--address", address),
        vitrina("import", "p.csv", "--json", "--rejects", "r.jsonl", "--address", address),
        vitrina("import", "-", "--format", "csv", "--address", address, stdin=content),
    )
    assert people.code == programs.code == piped.code == 3
    assert "read 3 rows" in people.out
    assert "no id" in people.out
    assert "all are in p.csv.rejects.jsonl" in people.out
    summary = json.loads(programs.out)
    assert (summary["rows"], summary["stored"], summary["rejected"]) == (3, 1, 2)
    assert programs.err == ""
    written = [(tmp_path / f"{name}.jsonl").read_text() for name in REJECTS]
    assert written[0].count("\n") == 2
    assert set(written) == {written[0]}
    assert fake.products["1"].price == "1.50"


async def test_another_service_at_the_address_is_told(address: str) -> None:
    empty = Service("x", "127.0.0.1:0", [], [], [], grace_seconds=0)
    async with serving(empty) as port:
        ended = await vitrina("search", "x", "--address", f"127.0.0.1:{port}")
    assert (ended.code, "no Vitrina gateway" in ended.err) == (1, True)


@pytest.mark.parametrize("subcommand", SUBCOMMANDS)
def test_help_has_examples(subcommand: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*subcommand.split(), "--help"]) == 0
    _, _, examples = capsys.readouterr().out.partition("Example")
    assert f" vitrina {subcommand}" in examples


def test_the_main_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 imported but some rows were rejected, 4 not found" in shown
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("vitrina 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"], ["search"], ["search", " "], ["search", "x", "--limit", "0"],
        ["search", "x", "--mode", "fuzzy"], ["search", "x", "--semantic-weight", "1.1"],
        ["search", "x", "--diversity", "1.1"], ["search", "x", "--pages", "0"],
        ["suggest", "x", "--limit", "21"], ["rules", "nope"], ["rules", "put"],
        ["rules", "put", "x", "--match", "fuzzy"], ["rules", "put", "x", "--pin", "A"],
        ["rules", "put", "x", "--file", "none.json"], ["rules", "log", "--limit", "501"],
        ["rules", "put", "x", "--file", "none.json", "--match", "contains"],
        ["rules", "delete", "x"], ["synonyms", "put", "tv"], ["synonyms", "delete", "tv"],
        ["search", "x", "--address", "localhost"], ["search", "x", "--address", "http://h:1"],
        ["import", "no-such-file.csv"], ["import", "README.md"],
        ["import", "examples/catalog.jsonl", "--map", "color=x"],
        ["import", "examples/catalog.jsonl", "--currency", "EURO"],
        ["import", "examples/catalog.jsonl", "--encoding", "klingon"],
        ["import", "examples/catalog.jsonl", "--rejects", "examples/catalog.jsonl"],
        ["import", "examples/catalog.jsonl", "--batch-size", "501"],
        ["import", "x.csv", "--delimiter", "ab"], ["up", "--sample", "no-such-file"],
    ],
)  # fmt: skip
def test_wrong_use_ends_with_2_and_says_why(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_a_defect_is_one_line_and_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(work: Coroutine[None, None, None]) -> None:
        work.close()
        raise RuntimeError("oh\x1b[31m")

    monkeypatch.setattr("services.cli.connection.run", fail)
    assert main(["status"]) == 70
    assert "error: a defect of vitrina: RuntimeError: oh" in capsys.readouterr().err
    monkeypatch.setenv("VITRINA_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main(["status"])
