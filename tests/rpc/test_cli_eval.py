"""`vitrina eval` against a gateway, as people and programs run it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import InvalidArgument
from tests.cli_gateway import FakeGateway, gateway_serving
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2

WORDS = ("lamp", "chair", "table", "radio")
PNG = b"\x89PNG\r\n\x1a\n"


class RankingGateway(FakeGateway):
    """Finds the best product first, but by words the best one last."""

    def __init__(self) -> None:
        super().__init__()
        self.degraded_words: set[str] = set()
        self.in_flight = self.most_in_flight = 0

    async def Search(
        self, request: search_pb2.SearchRequest, context: Any
    ) -> search_pb2.SearchResponse:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            if request.filter == "(":
                raise InvalidArgument("filter", "at position 2: not closed")
            answer = await super().Search(request, context)
        finally:
            self.in_flight -= 1
        results = list(answer.results)
        if request.mode == search_pb2.MODE_LEXICAL:
            results.reverse()
        degraded = [search_pb2.DEGRADATION_LEXICAL_ONLY] * (request.query in self.degraded_words)
        # All scores equal: the order alone is the ranking.
        for result in results:
            result.score = 0.5
        return search_pb2.SearchResponse(
            results=results, info=search_pb2.AnswerInfo(space="space-1", degraded=degraded)
        )


@dataclass
class Judged:
    queries: Path
    qrels: Path

    def add(self, query: str, text: str, *judgments: str) -> None:
        with self.queries.open("a", encoding="utf-8") as file:
            file.write(f"{query}\t{text}\n")
        with self.qrels.open("a", encoding="utf-8") as file:
            file.writelines(f"{query} 0 {judgment}\n" for judgment in judgments)

    @property
    def options(self) -> tuple[str, ...]:
        return ("--queries", str(self.queries), "--qrels", str(self.qrels))


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out.count("\n") == 1
        return json.loads(self.out)


@pytest.fixture
def fake() -> RankingGateway:
    gateway = RankingGateway()
    for word in WORDS:
        for place in range(3):
            product_id = f"{word}-{place}"
            gateway.products[product_id] = catalog_pb2.Product(id=product_id, name=word)
    return gateway


@pytest.fixture
async def address(fake: RankingGateway) -> AsyncIterator[str]:
    async with gateway_serving(fake) as served_at:
        yield served_at


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    files = Judged(tmp_path / "queries.tsv", tmp_path / "qrels.tsv")
    for word in WORDS:
        files.add(f"q-{word}", word, f"{word}-0 3", f"{word}-1 0")
    return files


async def evaluate(*arguments: str, **environment: str) -> Ended:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "services.cli", "eval", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    ended = Ended(process.returncode, out.decode(), err.decode())
    assert "Traceback" not in ended.err
    assert "Warning" not in ended.err
    return ended


async def test_one_side_is_measured_and_its_worst_queries_are_shown(
    address: str, judged: Judged, fake: RankingGateway
) -> None:
    judged.add("q-none", "sofa", "sofa-1 2")
    ended = await evaluate(*judged.options, "--address", address, "--per-query")
    assert ended.code == 0, ended.err
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["nDCG@10", "0.800"] in lines
    assert ["judged@10", "0.667"] in lines
    assert ["0.000", "q-none", "sofa"] in lines
    assert ["answers", "without", "results", "1"] in lines
    assert "means over 5 queries with a relevant product" in ended.out
    assert all(s.page_size == 100 and s.skip_cache and not s.mode for s in fake.searches)
    assert len(fake.searches) == 5
    assert not ended.err


async def test_two_sides_are_compared_query_by_query(
    address: str, judged: Judged, tmp_path: Path
) -> None:
    config = tmp_path / "words.toml"
    config.write_text('mode = "lexical"\n')
    plot = tmp_path / "gain.png"
    options = (*judged.options, "--address", address, "--against", str(config))
    people, programs = await asyncio.gather(
        evaluate(*options, "--plot", str(plot)), evaluate(*options, "--json", "--per-query")
    )
    assert (people.code, programs.code) == (0, 0), people.err + programs.err
    lines = [line.split() for line in people.out.splitlines()]
    # The best product comes third by words, or second once the one without judgment is out.
    assert ["nDCG@10", "1.000", "0.500", "+0.500", "4", "0", "0", "4", "0.125"] in lines
    assert "B: mode=lexical" in people.out
    assert "A won most" in people.out
    assert "A lost most" not in people.out
    assert plot.read_bytes().startswith(PNG)
    answer = programs.json
    condensed = answer["comparison"]["measures"]["condensed nDCG@10"]
    assert condensed["difference"] == pytest.approx(1 - 0.6309297535714575)
    assert [side["means"]["RR@10"] for side in answer["sides"]] == pytest.approx([1, 1 / 3])
    assert {gap["id"] for gap in answer["comparison"]["won"]} == {f"q-{word}" for word in WORDS}
    assert answer["per_query"][0]["sides"]["B"]["scores"]["recall@100"] == 1


async def test_all_overrides_reach_the_gateway_that_they_name(
    address: str, judged: Judged, fake: RankingGateway
) -> None:
    config = (
        'mode=hybrid,semantic_weight=0,literal=true,category=Audio,filter=brand = "A, B",'
        f'order_by="price desc, name",diversity=0.3,without_rules=true,address={address}'
    )
    ended = await evaluate(*judged.options, "--config", config, "--address", "127.0.0.1:1")
    assert ended.code == 0, ended.err
    (request, *_) = fake.searches
    assert request.mode == search_pb2.MODE_HYBRID
    assert request.HasField("semantic_weight")
    assert (request.semantic_weight, request.literal) == (0, True)
    assert (request.category, request.filter) == ("Audio", 'brand = "A, B"')
    assert request.order_by == "price desc, name"
    assert (request.diversity, request.without_rules) == (0.3, True)


async def test_degraded_answers_do_not_pass_unnoticed(
    address: str, judged: Judged, fake: RankingGateway
) -> None:
    fake.degraded_words = {"lamp", "chair", "radio"}
    ended = await evaluate(*judged.options, "--address", address)
    assert ended.code == 0
    assert ["answers", "LEXICAL_ONLY", "3"] in [line.split() for line in ended.out.splitlines()]
    assert "3 answers were LEXICAL_ONLY" in ended.err


async def test_queries_that_cannot_be_measured_are_counted_and_named(
    address: str, judged: Judged
) -> None:
    judged.add("q-unjudged", "desk")
    judged.add("q-hopeless", "lamp", "lamp-0 0")
    ended = await evaluate(*judged.options, "--address", address)
    assert "means over 4 queries" in ended.out
    assert "1 query without any judgment, not in the means: q-unjudged" in ended.out
    assert "no relevant product, not in the means: q-hopeless" in ended.out


async def test_failed_queries_are_named_and_the_rest_is_measured(
    address: str, judged: Judged
) -> None:
    judged.add("q-long", "word " * 300, "lamp-0 1")
    options = (*judged.options, "--address", address, "--against", "mode=semantic")
    people, programs = await asyncio.gather(evaluate(*options), evaluate(*options, "--json"))
    assert (people.code, programs.code) == (1, 1)
    assert "A: 1 query not answered, and left out of the means: q-long" in people.err
    assert "at most 1000" in people.err
    assert programs.json["queries"]["measured"] == 4
    assert list(programs.json["sides"][1]["errors"]) == ["q-long"]


async def test_a_side_that_answers_nothing_is_an_error(address: str, judged: Judged) -> None:
    ended = await evaluate(*judged.options, "--address", address, "--against", "filter=(")
    assert ended.code == 1
    assert not ended.out
    assert "B (filter=(): no query was answered: filter: at position 2" in ended.err


async def test_judgments_of_another_catalog_are_doubted(address: str, judged: Judged) -> None:
    judged.qrels.write_text("q-lamp 0 other 1\n")
    ended = await evaluate(*judged.options, "--address", address)
    assert "is this the catalog that the judgments are of?" in ended.err


async def test_no_more_queries_are_in_flight_than_allowed(
    address: str, judged: Judged, fake: RankingGateway
) -> None:
    for i in range(30):
        judged.add(f"q-{i}", "lamp", "lamp-0 1")
    ended = await evaluate(*judged.options, "--address", address, "--concurrency", "3")
    assert ended.code == 0
    assert fake.most_in_flight <= 3
    assert len(fake.searches) == 34


async def test_hostile_texts_are_shown_and_drawn_harmlessly(
    address: str, judged: Judged, tmp_path: Path
) -> None:
    judged.add("$\\frac{", "\x1b]0;owned\x07 [red]lamp[/red]", "lamp-0 1")
    judged.add("灯", "lamp", "lamp-0 1")
    plot = tmp_path / "p.png"
    ended = await evaluate(
        *judged.options, "--address", address, "--plot", str(plot), MPLBACKEND="none-such"
    )
    assert ended.code == 0, ended.err
    assert "\x1b" not in ended.out + ended.err
    assert "[red]lamp[/red]" in ended.out
    assert not ended.err
    assert plot.read_bytes().startswith(PNG)


async def test_wrong_use_is_told_before_anything_is_asked(judged: Judged, tmp_path: Path) -> None:
    for options, problem in {
        ("--plot", "p.pdf"): "--plot p.pdf: must end with .png",
        ("--plot", str(tmp_path / "none" / "p.png")): "cannot be written there",
        ("--config", "mood=good"): "--config: unknown: mood",
        ("--config", "address=shop"): "shop: the address must be host:port",
    }.items():
        ended = await evaluate(*judged.options, *options, "--address", "127.0.0.1:1")
        assert ended.code == 2
        assert problem in ended.err


async def test_without_a_gateway_it_ends_at_once(judged: Judged) -> None:
    ended = await evaluate(*judged.options, "--address", "127.0.0.1:1")
    assert ended.code == 1
    assert "cannot reach a gateway at 127.0.0.1:1" in ended.err


@pytest.mark.parametrize(
    ("library", "options"),
    [
        ("ir_measures", ()),
        ("scipy", ("--against", "mode=lexical")),
        ("matplotlib", ("--plot", "p.png")),
    ],
)
async def test_missing_libraries_are_named_with_their_extra(
    judged: Judged, tmp_path: Path, library: str, options: tuple[str, ...]
) -> None:
    (tmp_path / f"{library}.py").write_text("raise ImportError\n")
    ended = await evaluate(*judged.options, *options, PYTHONPATH=str(tmp_path))
    assert ended.code == 1
    assert f"needs {library}" in ended.err
    assert "pip install 'vitrina[eval]'" in ended.err


async def test_the_other_commands_start_without_the_libraries(tmp_path: Path) -> None:
    for library in ("ir_measures", "scipy", "matplotlib", "numpy"):
        (tmp_path / f"{library}.py").write_text("raise SystemExit(9)\n")
    ended = await evaluate("--help", PYTHONPATH=str(tmp_path))
    assert ended.code == 0
