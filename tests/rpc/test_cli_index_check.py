"""`vitrina index check`, and recall in `vitrina status`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.common import filters
from tests.cli_gateway import SPACE, FakeGateway, gateway_serving
from tests.cli_process import vitrina
from vitrina.search.v1 import search_pb2 as pb


class MeasuredGateway(FakeGateway):
    """Answers every check with the same figures."""

    def __init__(self) -> None:
        super().__init__()
        self.checks: list[pb.CheckIndexRequest] = []

    async def CheckIndex(
        self, request: pb.CheckIndexRequest, context: Any
    ) -> pb.CheckIndexResponse:
        filters.parse(request.filter)
        self.checks.append(request)
        return pb.CheckIndexResponse(
            space=SPACE,
            recall=pb.Recall(recall=0.975, k=request.k, queries=100, worst=0.4),
            plan=pb.Plan(strategy=pb.STRATEGY_GRAPH, vectors=1_000_000, passing=9_000),
            search_ms=1.25,
            scan_ms=310.5,
        )

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        status = await super().GetStatus(request, context)
        status.collections[1].recall.CopyFrom(pb.Recall(recall=0.9834, k=10))
        return status


@pytest.fixture
def fake() -> MeasuredGateway:
    return MeasuredGateway()


@pytest.fixture
async def address(fake: MeasuredGateway) -> AsyncIterator[str]:
    async with gateway_serving(fake) as served_at:
        yield served_at


async def test_what_was_measured_is_shown(address: str) -> None:
    ended = await vitrina("index", "check", "-k", "20", "--address", address)
    assert ended.code == 0, ended.err
    shown = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert shown == [
        f"space {SPACE}",
        "recall@20 0.9750",
        "worst query 0.4000",
        "queries 100",
        "plan graph",
        "products 1,000,000 vectors, 9,000 passed",
        "search 1.25 ms",
        "exact scan 310.50 ms",
    ]
    programs = await vitrina("index", "check", "--json", "--address", address)
    assert programs.json["recall"]["recall"] == 0.975
    assert programs.json["plan"]["strategy"] == "STRATEGY_GRAPH"


async def test_a_file_of_queries_is_asked_in_its_order(
    address: str, fake: MeasuredGateway, tmp_path: Path
) -> None:
    file = tmp_path / "queries.tsv"
    file.write_text("1\tred lamp\n2\tchair\n")
    ended = await vitrina(
        *("index", "check", "--queries", str(file), "--filter", "price < 5"),
        *("--space", SPACE, "--address", address),
    )
    assert ended.code == 0, ended.err
    assert fake.checks == [
        pb.CheckIndexRequest(queries=["red lamp", "chair"], k=10, filter="price < 5", space=SPACE)
    ]


@pytest.mark.parametrize(("least", "code"), [("0.975", 0), ("0.976", 1)])
async def test_less_recall_than_is_asked_for_ends_with_1(
    address: str, least: str, code: int
) -> None:
    ended = await vitrina("index", "check", "--min-recall", least, "--address", address)
    assert ended.code == code
    assert ("recall 0.9750, below 0.976" in ended.err) is bool(code)
    assert "recall@10" in ended.out


async def test_wrong_use_is_told(address: str, fake: MeasuredGateway, tmp_path: Path) -> None:
    file = tmp_path / "queries.tsv"
    file.write_text("1\tlamp\n")
    for arguments, problem in (
        (("--queries", str(file), "--sample", "5"), "either --queries or --sample"),
        (("--filter", "colour = 1"), "  colour = 1\n  ^"),
        (("--queries", str(tmp_path / "none.tsv")), "none.tsv"),
    ):
        ended = await vitrina("index", "check", *arguments, "--address", address)
        assert ended.code == 2
        assert problem in ended.err
    assert not fake.checks


async def test_status_shows_recall_where_it_was_measured(address: str) -> None:
    ended = await vitrina("status", "--address", address)
    assert ended.code == 0, ended.err
    [building] = [line for line in ended.out.splitlines() if line.startswith("gemini-x")]
    [ready] = [line for line in ended.out.splitlines() if line.startswith(SPACE)]
    assert " ".join(ready.split()).endswith("MiB 0.983 @10 ready")
    assert "@" not in building
