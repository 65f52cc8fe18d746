"""`vitrina spaces`: shown, used, dropped, and compared before one takes over."""

from collections.abc import AsyncIterator
from math import log2
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import FailedPrecondition
from tests.cli_gateway import FakeGateway, gateway_serving
from tests.cli_process import Ended, vitrina
from vitrina.catalog.v1 import catalog_pb2
from vitrina.search.v1 import search_pb2 as pb

WORDS = ("lamp", "chair", "table", "radio", "desk", "sofa")


class TwoSpaces(FakeGateway):
    """Finds ten products a word; "new" shares `common` of them with "old"."""

    def __init__(self) -> None:
        super().__init__()
        self.common = 10
        self.pinned = ""
        self.dropped: list[str] = []
        self.unanswered: set[str] = set()

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:
        self.searches.append(request)
        if request.space not in ("old", "new") or request.query in self.unanswered:
            raise FailedPrecondition(
                f"space: {request.space} cannot answer", reason="SPACE_MISMATCH"
            )
        first = 10 - self.common if request.space == "new" else 0
        products = [
            catalog_pb2.Product(id=f"{request.query}-{number}", name="x")
            for number in range(first, first + 10)
        ]
        return pb.SearchResponse(
            results=[pb.Result(product=product) for product in products],
            info=pb.AnswerInfo(space=request.space),
        )

    async def UseSpace(self, request: pb.UseSpaceRequest, context: Any) -> pb.UseSpaceResponse:
        if request.space not in ("", "old"):
            raise FailedPrecondition("space: it is being built", reason="COLLECTION_NOT_READY")
        self.pinned = request.space
        return pb.UseSpaceResponse()

    async def DropSpace(self, request: pb.DropSpaceRequest, context: Any) -> pb.DropSpaceResponse:
        self.dropped.append(request.space)
        return pb.DropSpaceResponse(freed_bytes=3 * 1024 * 1024)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        building = pb.CollectionStatus(
            space="new", lag=750, vectors=250, is_followed=True, pending_documents=750,
            pending_tokens=48_000, pending_seconds=95.0, stalled_by="SPACE_UNAVAILABLE",
        )  # fmt: skip
        ready = pb.CollectionStatus(
            space="old", is_ready=True, vectors=1000, memory_bytes=5 << 20, is_pinned=True,
            is_followed=True,
        )  # fmt: skip
        gone = pb.CollectionStatus(space="older", is_ready=True, lag=7, pending_documents=7)
        return pb.GetStatusResponse(
            collections=[building, ready, gone],
            spaces=[
                pb.SpaceStatus(id="new", provider="gemini", model="gemini-x"),
                pb.SpaceStatus(id="old", provider="minilm", model="mini", is_working=True),
            ],
        )


@pytest.fixture
def fake() -> TwoSpaces:
    return TwoSpaces()


@pytest.fixture
async def address(fake: TwoSpaces) -> AsyncIterator[str]:
    async with gateway_serving(fake) as served_at:
        yield served_at


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    file = tmp_path / "queries.tsv"
    file.write_text("".join(f"q-{word}\t{word}\n" for word in WORDS))
    return file


async def compare(address: str, queries: Path, *options: str) -> Ended:
    return await vitrina(
        *("spaces", "compare", "old", "new", "--queries", str(queries), "--address", address),
        *options,
    )


async def test_spaces_are_shown_with_what_is_left_to_do(address: str) -> None:
    ended = await vitrina("spaces", "--address", address, COLUMNS="170")
    assert ended.code == 0, ended.err
    _, new, old, older = (" ".join(line.split()) for line in ended.out.splitlines())
    assert new == (
        "new gemini-x (fails) building, 25 %, waits for SPACE_UNAVAILABLE 750 250 0.0 MiB "
        "750 48,000 1 min"
    )
    assert old == "old mini ready, used by name 0 1,000 5.0 MiB"
    assert older == "older not in the embedder ready 7 0 0.0 MiB"
    programs = await vitrina("spaces", "--json", "--address", address)
    assert programs.json["collections"][0]["pendingTokens"] == "48000"


async def test_a_space_is_used_by_name_or_by_order(address: str, fake: TwoSpaces) -> None:
    ended = await vitrina("spaces", "use", "old", "--address", address)
    assert (ended.code, fake.pinned) == (0, "old"), ended.err
    ended = await vitrina("spaces", "use", "new", "--address", address)
    assert (ended.code, fake.pinned) == (1, "old")
    assert "space: it is being built" in ended.err
    ended = await vitrina("spaces", "use", "--auto", "--address", address)
    assert (ended.code, fake.pinned) == (0, "")
    for wrong in ([], ["old", "--auto"]):
        ended = await vitrina("spaces", "use", *wrong, "--address", address)
        assert ended.code == 2
        assert "either the ID of a space or --auto" in ended.err


async def test_a_drop_wants_a_yes(address: str, fake: TwoSpaces) -> None:
    ended = await vitrina("spaces", "drop", "older", "--address", address)
    assert (ended.code, fake.dropped) == (2, [])
    ended = await vitrina("spaces", "drop", "older", "--yes", "--address", address)
    assert (ended.code, fake.dropped) == (0, ["older"])
    assert "3.0 MiB freed" in ended.out


@pytest.mark.parametrize(("common", "code"), [(6, 0), (5, 1)])
async def test_without_judgments_the_overlap_decides(
    address: str, fake: TwoSpaces, queries: Path, common: int, code: int
) -> None:
    fake.common = common
    ended = await compare(address, queries, "--json")
    assert ended.code == code, ended.err
    assert ended.json["passed"] is (code == 0)
    assert [each["overlap"] for each in ended.json["modes"]] == pytest.approx([common / 10] * 2)
    assert {(s.space, s.mode) for s in fake.searches} == {
        (space, mode) for space in ("old", "new") for mode in (pb.MODE_SEMANTIC, pb.MODE_HYBRID)
    }
    assert all(search.skip_cache for search in fake.searches)
    assert ("below 0.6" in ended.err) is bool(code)
    ended = await compare(address, queries, "--min-overlap", str(common / 10))
    assert ended.code == 0, ended.err
    assert "passed" in ended.out


@pytest.mark.parametrize(("best", "code"), [("old", 1), ("new", 0), ("neither", 0)])
async def test_with_judgments_the_better_one_decides(
    address: str, fake: TwoSpaces, queries: Path, tmp_path: Path, best: str, code: int
) -> None:
    fake.common = 2
    qrels = tmp_path / "qrels.tsv"
    number = {"old": 0, "new": 8, "neither": 30}[best]
    qrels.write_text("".join(f"q-{word} 0 {word}-{number} 3\n" for word in WORDS))
    ended = await compare(address, queries, "--qrels", str(qrels), "--json")
    assert ended.code == code, ended.err
    # On one side the only good product comes first, on the other ninth or not at all.
    gain = {"old": -1, "new": 1 - 1 / log2(1 + 9), "neither": 0}[best]
    for each in ended.json["modes"]:
        assert each["ndcg"]["first"] - each["ndcg"]["second"] == pytest.approx(gain)
    if best != "new":
        return
    strict = await compare(address, queries, "--qrels", str(qrels), "--min-overlap", "0.3")
    assert strict.code == 1
    assert "overlap@10 0.200, below 0.3" in strict.err
    demanding = await compare(address, queries, "--qrels", str(qrels), "--min-ndcg-gain", "0.9")
    assert demanding.code == 1
    assert "below +0.9" in demanding.err


async def test_a_query_that_a_space_does_not_answer_fails_the_gate(
    address: str, fake: TwoSpaces, queries: Path
) -> None:
    fake.unanswered = {"lamp"}
    ended = await compare(address, queries)
    assert ended.code == 1
    assert "semantic old: 1 not answered: q-lamp: space: old cannot answer" in ended.err
    fake.unanswered = set(WORDS)
    ended = await compare(address, queries)
    assert ended.code == 1
    assert "no query was answered: space: old cannot answer" in ended.err


async def test_a_gain_without_judgments_is_wrong_use(address: str, queries: Path) -> None:
    ended = await compare(address, queries, "--min-ndcg-gain", "0.1")
    assert ended.code == 2
    assert "--min-ndcg-gain needs judgments: --qrels" in ended.err
