"""`vitrina rules` and `vitrina synonyms` against a gateway, as people and programs run them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli_gateway import FakeGateway, gateway_serving
from tests.cli_process import vitrina
from vitrina.catalog.v1 import tuning_pb2

SUMMER = tuning_pb2.Rule(
    id="summer",
    queries=["piscina", "playa"],
    match=tuning_pb2.QUERY_MATCH_CONTAINS,
    pins=[
        tuning_pb2.Pin(product_id="A=1", position=2),
        tuning_pb2.Pin(product_id="B-2", position=1),
    ],
    bury_product_ids=["C"],
    boosts=[tuning_pb2.Boost(filter='brand = "Acme"', factor=1.5)],
    description="Hot [red]days",
)
SUMMER_OPTIONS = (
    "--query", "piscina", "--query", "playa", "--match", "contains", "--pin", "A=1=2", "--pin",
    "B-2=1", "--bury", "C", "--boost", 'brand = "Acme"=1.5', "--description", "Hot [red]days",
)  # fmt: skip


@pytest.fixture
def fake() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def address(fake: FakeGateway) -> AsyncIterator[str]:
    async with gateway_serving(fake) as served_at:
        yield served_at


def stored(rule: tuning_pb2.Rule) -> tuning_pb2.Rule:
    """Return a rule without what the catalog alone writes."""
    bare = tuning_pb2.Rule()
    bare.CopyFrom(rule)
    bare.ClearField("revision")
    bare.ClearField("update_time")
    return bare


async def test_a_rule_is_put_by_options(fake: FakeGateway, address: str) -> None:
    ended = await vitrina(
        "rules", "put", "summer", *SUMMER_OPTIONS, "--author", "ana", "--address", address
    )
    assert ended.code == 0, ended.err
    assert stored(fake.tuning.rules["summer"]) == SUMMER
    assert fake.tuning.log[0].author == "ana"
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert lines[0] == "stored summer (revision 1)"
    assert lines[2:] == [
        'summer for "piscina" inside, "playa" inside',
        "pins B-2 at 1, A=1 at 2",
        "buries C",
        'boosts brand = "Acme" \N{MULTIPLICATION SIGN}1.5',
        "description Hot [red]days",
        "changed 2030-03-17 17:46:41 UTC, revision 1",
    ]


async def test_a_rule_that_is_listed_can_be_put_again_as_a_file(
    fake: FakeGateway, address: str, tmp_path: Path
) -> None:
    await vitrina("rules", "put", "summer", *SUMMER_OPTIONS, "--address", address)
    listed = await vitrina("rules", "list", "--json", "--address", address)
    (rule,) = listed.json["rules"]
    path = tmp_path / "rule.json"
    path.write_text(json.dumps(rule))
    short = json.dumps(rule | {"id": "", "match": "contains"}).encode()
    by_file, by_stdin = await asyncio.gather(
        vitrina("rules", "put", "summer", "--file", str(path), "--address", address),
        vitrina("rules", "put", "copy", "--file", "-", "--json", "--address", address, stdin=short),
    )
    assert (by_file.code, by_stdin.code) == (0, 0), by_file.err + by_stdin.err
    assert stored(fake.tuning.rules["summer"]) == SUMMER
    assert by_stdin.json["rule"]["match"] == "QUERY_MATCH_CONTAINS"
    copy = stored(fake.tuning.rules["copy"])
    copy.id = "summer"
    assert copy == SUMMER


async def test_an_inactive_rule_for_every_query_is_told(fake: FakeGateway, address: str) -> None:
    await vitrina("rules", "put", "all", "--bury", "C", "--inactive", "--address", address)
    assert fake.tuning.rules["all"].HasField("active")
    assert not fake.tuning.rules["all"].active
    ended = await vitrina("rules", "list", "--address", address)
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert lines[1:4] == ["all for every query", "buries C", "active no"]


async def test_a_wrong_boost_shows_which_filter_and_where(address: str) -> None:
    ended = await vitrina(
        "rules", "put", "x", "--boost", "price < 5=2", "--boost", "colour = 1=2",
        "--address", address,
    )  # fmt: skip
    assert ended.code == 2
    error, text, caret = ended.err.splitlines()
    assert error.startswith("error: rule.boosts[1].filter: at position 1: unknown field")
    assert (text, caret) == ("  colour = 1", "  ^")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no rule: Expecting value"),
        (b"[]", "must be a JSON object"),
        (b"\xff", "is no JSON in UTF-8"),
        (b'{"id": "other"}', "is rule 'other', not 'x'"),
        (b'{"pin": []}', 'no field named "pin"'),
        (b'{"match": "fuzzy"}', "no rule: "),
        (b'{"match": ["contains"]}', "no rule: "),
        (b'{"pins": [{"position": "first"}]}', "no rule: "),
    ],
)
async def test_a_file_that_holds_no_rule_is_wrong_use(
    fake: FakeGateway, address: str, content: bytes, problem: str
) -> None:
    ended = await vitrina("rules", "put", "x", "--file", "-", "--address", address, stdin=content)
    assert ended.code == 2
    assert ended.err.startswith("error: -: ")
    assert problem in ended.err
    assert not fake.tuning.log


async def test_synonyms_are_put_listed_and_removed(fake: FakeGateway, address: str) -> None:
    put, one_way = await asyncio.gather(
        vitrina("synonyms", "put", "tv", "tv", "tele", "televisor [x]", "--address", address),
        vitrina(
            "synonyms", "put", "portable", "laptop", "--one-way-from", "portátil", "--json",
            "--address", address,
        ),
    )  # fmt: skip
    assert (put.code, one_way.code) == (0, 0), put.err + one_way.err
    assert "tv ↔ tele ↔ televisor [x]" in put.out
    assert one_way.json["synonyms"]["oneWayFrom"] == "portátil"
    listed = await vitrina("synonyms", "list", "--address", address)
    assert "portátil → laptop" in listed.out
    removed = await vitrina("synonyms", "delete", "tv", "--yes", "--address", address)
    assert (removed.code, removed.out) == (0, "removed tv (revision 3)\n")
    assert list(fake.tuning.synonyms) == ["portable"]


async def test_what_is_not_there_ends_with_4(address: str) -> None:
    for kind, problem in {"rules": "no rule 'x'", "synonyms": "no synonyms 'x'"}.items():
        ended = await vitrina(kind, "delete", "x", "--yes", "--address", address)
        assert (ended.code, ended.err) == (4, f"error: {problem}\n")
        empty = await vitrina(kind, "list", "--address", address)
        assert empty.out == f"There are no {kind}.\n"


async def test_the_log_tells_who_changed_what(fake: FakeGateway, address: str) -> None:
    for command in (
        ("rules", "put", "s", "--query", "playa", "--bury", "C", "--author", "ana"),
        ("rules", "put", "s", "--query", "playa", "--bury", "D"),
        ("synonyms", "put", "tv", "tv", "tele", "--author", "[b]luis"),
        ("rules", "delete", "s", "--yes", "--author", "eva"),
    ):
        ended = await vitrina(*command, "--address", address, VITRINA_AUTHOR="eli")
        assert ended.code == 0, ended.err
    people, programs, first = await asyncio.gather(
        vitrina("rules", "log", "--address", address),
        vitrina("rules", "log", "--json", "--address", address),
        vitrina("rules", "log", "--limit", "3", "--address", address),
    )
    _, *lines = (" ".join(line.split()) for line in people.out.splitlines())
    assert lines == [
        '4 2030-03-17 17:46:44 UTC eva rule s for "playa"',
        "buries D",
        "3 2030-03-17 17:46:43 UTC [b]luis synonyms tv phrases tv ↔ tele",
        "2 2030-03-17 17:46:42 UTC eli rule s buries C buries D",
        '1 2030-03-17 17:46:41 UTC ana rule s for "playa"',
        "buries C",
    ]
    assert [change["revision"] for change in programs.json["changes"]] == ["4", "3", "2", "1"]
    assert first.out.splitlines()[-1] == "next page: the same with --page-token 3"
    rest = await vitrina("rules", "log", "--page-token", "3", "--address", address)
    assert len(rest.out.splitlines()) == 3
